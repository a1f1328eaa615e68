package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// statusOnly is an engine that answers Status.
type statusOnly struct {
	swarm.Engine
	status swarm.Status
	err    error
}

func (e *statusOnly) Status(context.Context) (swarm.Status, error) { return e.status, e.err }

func TestOwnEngine(t *testing.T) {
	inner := &statusOnly{status: swarm.Status{State: swarm.Active, Root: "/mnt/ssd/docker"}}
	kept, read := "", 0
	files := fstest.MapFS{"etc/docker/daemon.json": &fstest.MapFile{Data: []byte(`{"live-restore": true}`)}}
	e := &ownEngine{
		Engine: inner, log: zap.NewNop(),
		remember: func(root string) error { kept = root; return nil },
		setup: func(context.Context) dockerd.Setup {
			read++
			return dockerd.Read(files, "")
		},
	}
	if _, err := e.Status(t.Context()); err != nil || kept != "/mnt/ssd/docker" || read != 0 {
		t.Errorf("%v; %q is kept, and the setup was read %d times", err, kept, read)
	}
	inner.status, inner.err = swarm.Status{}, fmt.Errorf("%w: no such file", swarm.ErrUnreachable)
	if _, err := e.Status(t.Context()); !errors.Is(err, swarm.ErrUnreachable) || kept != "/mnt/ssd/docker" {
		t.Errorf("an engine that has just gone: %v, and %q is kept", err, kept)
	}
	e.silent = time.Now().Add(-engineSilent)
	for range 3 {
		if _, err := e.Status(t.Context()); !errors.Is(err, swarm.ErrLiveRestore) || errors.Is(err, swarm.ErrUnreachable) ||
			read != 1 {
			t.Errorf("an engine that does not start: %v, and its setup was read %d times", err, read)
		}
	}
	delete(files, "etc/docker/daemon.json")
	e.looked = time.Now().Add(-engineLook)
	if _, err := e.Status(t.Context()); !errors.Is(err, swarm.ErrUnreachable) || read != 2 {
		t.Errorf("put right, and not started: %v", err)
	}
	inner.err = nil
	if _, err := e.Status(t.Context()); err != nil || !e.silent.IsZero() {
		t.Errorf("an engine that is back: %v", err)
	}
}

// The page is served as soon as its port is free, and that it is not is told once.
func TestServePage(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	calls := 0
	servePage(t.Context(), func(context.Context) error {
		if calls++; calls < 4 {
			return fmt.Errorf("listen: %w", syscall.EADDRINUSE)
		}
		return nil
	}, time.Millisecond, zap.New(core))
	if calls != 4 || logs.Len() != 1 {
		t.Errorf("%d calls, and %v", calls, logs.All())
	}
	calls = 0
	servePage(t.Context(), func(context.Context) error { calls++; return errors.New("no such address") }, time.Millisecond,
		zap.New(core))
	if calls != 1 || logs.Len() != 2 {
		t.Errorf("%d calls, and %v", calls, logs.All())
	}
}

// Root's status names the program of which the agent knows the port only.
func TestNamed(t *testing.T) {
	const table = "x\n0: 00000000:1F0A 00000000:0000 0A 0:0 0:0 0 0 0 9 1\n"
	root := fstest.MapFS{
		"proc/net/tcp": &fstest.MapFile{Data: []byte(table)},
		"proc/7/comm":  &fstest.MapFile{Data: []byte("nc\n")},
		"proc/7/fd/3":  &fstest.MapFile{Data: []byte("socket:[9]"), Mode: fs.ModeSymlink},
	}
	before := []picture.Warning{{Text: say.Words("Port 7946/tcp is taken by another program, and is needed for x."),
		Port: "7946/tcp"}, {Text: say.Words("Other.")}}
	var got []string
	for _, w := range named(before, ports.Look{Root: root, Sees: true}) {
		got = append(got, w.Text.En)
	}
	want := []string{"Port 7946/tcp is taken by nc (7), and is needed for news between nodes.", "Other."}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	delete(root, "proc/7/fd/3")
	if all := named(before, ports.Look{Root: root, Sees: true}); !slices.Equal(all, before) {
		t.Errorf("%+v, want what the agent knows", all)
	}
}
