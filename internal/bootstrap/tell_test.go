package bootstrap

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// An engine that starts after the agent, as at every boot, is no news until it takes long.
func TestTellLateEngine(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	boot := time.Now()
	l := &Loop{host: &host{Options: Options{Timing: patient, Notify: noNotify{}, Log: zap.New(core)}}, engine: &engine{},
		started: boot}
	turn := func(at time.Duration, err error, a policy.Action, lines int) {
		t.Helper()
		l.tell(policy.View{Now: boot.Add(at), Engine: policy.Engine{Err: err}}, a)
		if got := logs.TakeAll(); len(got) != lines {
			t.Errorf("after %v: %v, want %d lines", at, got, lines)
		}
	}
	without := func(err error) policy.Action { return policy.Decide(policy.View{Engine: policy.Engine{Err: err}}) }
	silent := fmt.Errorf("%w: no such file", swarm.ErrUnreachable)
	turn(0, silent, without(silent), 0)
	turn(patient.EngineStart-time.Second, silent, without(silent), 0)
	turn(patient.EngineStart, silent, without(silent), 1)
	turn(time.Hour, silent, without(silent), 0)

	l.told = policy.Action{}
	turn(0, swarm.ErrLiveRestore, without(swarm.ErrLiveRestore), 1)
	l.engine.seen = true // it restarts
	turn(time.Second, silent, without(silent), 1)
	turn(2*time.Second, nil, wait("Looking for other boards"), 1)
}

// On every board of a swarm systemctl status, and with it a monitor, says how many nodes are ready.
func TestStatusOfNodes(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		leader := w.leader()
		show := func(boards []*simBoard, ready int) {
			t.Helper()
			for _, b := range boards {
				want := fmt.Sprintf("Worker in the swarm of %s, %d of 3 nodes ready", leader.serial.Name(), ready)
				if b == leader {
					want = fmt.Sprintf("Manager of the swarm, %d of 3 nodes ready", ready)
				}
				if got := b.shows(); got != want {
					t.Errorf("%s shows %q, want %q", b.hostname, got, want)
				}
			}
		}
		show(w.boards, 3)
		gone := slices.IndexFunc(w.boards, func(b *simBoard) bool { return b != leader })
		w.boards[gone].powerOff()
		w.run(t, nil, time.Minute, nil)
		rest := slices.Delete(slices.Clone(w.boards), gone, gone+1)
		show(rest, 2)
		leader.powerOff()
		w.run(t, nil, 2*time.Minute, nil)
		for _, b := range rest {
			if b != leader && !strings.Contains(b.shows(), "does not answer") {
				t.Errorf("without its manager %s shows %q", b.hostname, b.shows())
			}
		}
	})
}
