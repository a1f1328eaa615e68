package address

// This file tells of changes of interfaces, addresses and routes as they come.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// watchPace is the least time between two notifications. Starting one container makes some twenty changes at once.
const watchPace = 100 * time.Millisecond

// Watch calls notify once as soon as it listens, and then after changes of interfaces, IPv4 addresses and IPv4 routes,
// until ctx ends; then it returns nil. Changes that come together are told once. It takes up listening again when that
// broke off; an error means that the kernel does not let it listen.
func (Kernel) Watch(ctx context.Context, notify func()) error {
	for ctx.Err() == nil {
		socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE)
		if err != nil {
			return fmt.Errorf("listen to the kernel: %w", err)
		}
		stop := context.AfterFunc(ctx, socket.Close) // ends Receive
		relay(ctx, func() error {
			_, _, err := socket.Receive()
			return err
		}, notify)
		if stop() {
			socket.Close()
		}
		pause(ctx, watchPace)
	}
	return nil
}

// relay calls notify after each receive, and once at first for what changed before. It returns when receive fails.
func relay(ctx context.Context, receive func() error, notify func()) {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	go func() {
		defer close(changed)
		for {
			err := receive()
			if err != nil && !errors.Is(err, unix.ENOBUFS) { // ENOBUFS: some changes were dropped, which is a change as well
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	for range changed {
		if ctx.Err() == nil {
			notify()
			pause(ctx, watchPace)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
