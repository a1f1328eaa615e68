package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernel reads interfaces and routes from the kernel it runs on, in the current network namespace.
type Kernel struct {
	Want string // name of the interface to use; empty chooses
}

// Link is the cluster interface right now. The error says in words what is missing until there is one.
func (k Kernel) Link() (Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return Link{}, fmt.Errorf("list network interfaces: %w", err)
	}
	metrics, err := defaultRoutes()
	if err != nil {
		return Link{}, err
	}
	all := make([]candidate, 0, len(links))
	for _, l := range links {
		a := l.Attrs()
		addr, err := ipv4(l)
		if err != nil {
			return Link{}, err
		}
		metric, ok := metrics[a.Index]
		if !ok {
			metric = -1
		}
		all = append(all, candidate{
			Link:      Link{Name: a.Name, Index: a.Index, Addr: addr},
			up:        a.Flags&net.FlagUp != 0,
			carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
			multicast: a.Flags&net.FlagMulticast != 0,
			wireless:  wireless(a.Name),
			metric:    metric,
		})
	}
	return choose(all, k.Want)
}

// Routes lists the destinations that have an IPv4 route, the default route left out.
func (Kernel) Routes() ([]netip.Prefix, error) {
	routes, err := routeList()
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, r := range routes {
		if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

// Watch calls notify after every change of interfaces, addresses and routes, until ctx ends; then it returns nil. An error
// means that the kernel cannot be listened to.
func (Kernel) Watch(ctx context.Context, notify func()) error {
	for ctx.Err() == nil {
		lost, err := watch(ctx, notify)
		if err != nil {
			return fmt.Errorf("listen to the kernel: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-lost: // the kernel drops a listener that is too slow: what it missed is looked at anew
			notify()
			pause(ctx, time.Second)
		}
	}
	return nil
}

// watch subscribes until ctx ends or a subscription is lost.
func watch(ctx context.Context, notify func()) (lost <-chan struct{}, err error) {
	ctx, cancel := context.WithCancel(ctx)
	links, addrs, routes := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	err = errors.Join(
		netlink.LinkSubscribe(links, ctx.Done()),
		netlink.AddrSubscribe(addrs, ctx.Done()),
		netlink.RouteSubscribe(routes, ctx.Done()))
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		for {
			var open bool
			select {
			case _, open = <-links:
			case _, open = <-addrs:
			case _, open = <-routes:
			}
			if !open {
				return
			}
			notify()
		}
	}()
	return done, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// ipv4 is the address of an interface, a global one before a link-local one.
func ipv4(l netlink.Link) (netip.Addr, error) {
	addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return netip.Addr{}, fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
	}
	var found netip.Addr
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP.To4())
		if ok && (!found.IsValid() || found.IsLinkLocalUnicast() && !ip.IsLinkLocalUnicast()) {
			found = ip
		}
	}
	return found, nil
}

// defaultRoutes gives the metric of the best default route of each interface that has one.
func defaultRoutes() (map[int]int, error) {
	routes, err := routeList()
	if err != nil {
		return nil, err
	}
	metrics := map[int]int{}
	for _, r := range routes {
		if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
			continue
		}
		if old, ok := metrics[r.LinkIndex]; !ok || r.Priority < old {
			metrics[r.LinkIndex] = r.Priority
		}
	}
	return metrics, nil
}

func routeList() ([]netlink.Route, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP.To4())
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok
}

// wireless reports whether the interface is a radio, for which the kernel has this directory.
func wireless(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name, "wireless"))
	return err == nil
}
