package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/dockerd"
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
		if _, err := e.Status(t.Context()); !errors.Is(err, swarm.ErrLiveRestore) || errors.Is(err, swarm.ErrUnreachable) || read != 1 {
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
