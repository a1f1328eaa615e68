package bootstrap

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// A board that is reset, a manager too, leaves a swarm that goes on without it, and comes back when its agent starts
// anew. The only manager of a swarm must be told the swarm by name.
func simReset(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 4+rnd.IntN(3))
	w.wanted = 3
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	w.run(t, nil, 3*time.Minute, w.managed(3))

	out := w.boards[rnd.IntN(len(w.boards))]
	node := out.node
	if text, err := out.running().Reset(t.Context(), ""); err != nil || !strings.Contains(text, "has left its swarm") {
		t.Fatalf("%q, %v", text, err)
	}
	out.node = ""
	w.run(t, nil, 3*time.Minute, w.managed(3))
	w.run(t, nil, 3*time.Minute, nil)
	if s, err := out.engine.Status(t.Context()); err != nil || s.State != swarm.Inactive || out.remembered().Node != "" {
		t.Errorf("minutes later it is %s, remembers %+v, %v", s.State, out.remembered(), err)
	}
	if reachable, all := w.managers(); all != 3 || slices.Contains(reachable, out.serial) && out.node == node {
		t.Errorf("managers %v of %d", reachable, all)
	}
	out.kill()
	out.start(t.Context())
	w.run(t, nil, 3*time.Minute, func() bool {
		s, err := out.engine.Status(t.Context())
		return err == nil && s.State == swarm.Active
	})

	w.wanted = 1
	var plan []event
	for _, b := range w.boards {
		plan = append(plan, event{0, b, "another setting", func() { b.kill(); b.start(t.Context()) }})
	}
	w.run(t, plan, 3*time.Minute, w.managed(1))
	serials, _ := w.managers()
	last := w.boards[slices.IndexFunc(w.boards, func(b *simBoard) bool { return b.serial == serials[0] })]
	id := last.running().Claim().Swarm
	for _, named := range []string{"", "another"} {
		if _, err := last.running().Reset(t.Context(), named); err == nil ||
			!strings.Contains(err.Error(), "reset -swarm "+id) {
			t.Errorf("the only manager was told %q: %v", named, err)
		}
	}
	if _, err := last.running().Reset(t.Context(), id); err != nil {
		t.Error(err)
	}
	last.node = ""
	w.run(t, nil, time.Minute, nil)
	if s, err := last.engine.Status(t.Context()); err != nil || s.State != swarm.Inactive {
		t.Errorf("the only manager is %s, %v", s.State, err)
	}
}

// Without a majority of managers none of them may go.
func simResetWithoutMajority(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3)
	w.wanted = 3
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	w.run(t, nil, 3*time.Minute, w.managed(3))
	left := w.boards[rnd.IntN(3)]
	for _, b := range w.boards {
		if b != left {
			b.powerOff()
		}
	}
	w.run(t, nil, time.Minute, nil)
	if _, err := left.running().Reset(t.Context(), ""); err == nil ||
		!strings.Contains(err.Error(), "try again when they are back") {
		t.Errorf("a manager without majority: %v", err)
	}
	if !left.said("does not reach enough of the others") {
		t.Error("it does not say that the swarm cannot be changed")
	}
}

// An engine that is locked does not tell what it is the manager of.
func simResetOfALockedManager(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 1)
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	b := w.boards[0]
	b.engine.Autolock()
	b.engine.StopEngine()
	b.engine.StartEngine()
	if _, err := b.running().Reset(t.Context(), b.swarm); err == nil ||
		!strings.Contains(err.Error(), "docker swarm leave --force") {
		t.Errorf("a locked manager: %v", err)
	}
	if s, err := b.engine.Status(t.Context()); err != nil || s.State != swarm.Locked {
		t.Errorf("it is %s, %v", s.State, err)
	}
}

// The only manager of a swarm that is just brought back is not reset by the way: its swarm would be deleted.
func TestResetWhileASwarmIsBroughtBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		b := w.add(mine)
		b.kept = peer.Membership{Swarm: "aaa", Node: "n1", Manager: true, Sole: true, Revive: b.addr}
		w.noRoot = true
		b.powerOn(t.Context(), 0)
		b.engine.StopEngine()
		w.run(t, nil, 10*time.Second, nil)
		if _, err := b.running().Reset(t.Context(), ""); err == nil {
			t.Error("it is reset with an engine that does not answer")
		}
		c := b.running().commands
		for _, named := range []string{"", "bbb"} {
			// All of it belongs to the loop.
			_, err := c.order(t.Context(), func(ctx context.Context) (string, error) {
				c.engine.Engine = inactive{b.engine}
				return "", c.reset(ctx, named)
			})
			if err == nil || !strings.Contains(err.Error(), "reset -swarm aaa") {
				t.Errorf("told %q: %v", named, err)
			}
		}
		if b.remembered().Revive != b.addr {
			t.Errorf("it remembers %+v", b.remembered())
		}
	})
}

// A board is reset while it wants to leave a swarm that is lost for another one, and its engine has not left yet: it has
// not gone there.
func TestResetWhileItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		b := w.add(mine)
		b.powerOn(t.Context(), 0)
		w.run(t, nil, time.Minute, func() bool { return b.swarm != "" })
		c := b.running().commands
		if _, err := c.order(t.Context(), func(ctx context.Context) (string, error) {
			c.actor.leaving = &policy.Action{Kind: policy.Move, Lost: true}
			return "", c.reset(ctx, b.swarm)
		}); err != nil {
			t.Fatal(err)
		}
		w.run(t, nil, 10*time.Second, nil)
		if all := strings.Join(b.lines, "\n"); strings.Contains(all, "which is lost") || !strings.Contains(all, "was reset") {
			t.Error(all)
		}
	})
}

// inactive is an engine in no swarm.
type inactive struct{ swarm.Engine }

func (inactive) Status(context.Context) (swarm.Status, error) {
	return swarm.Status{State: swarm.Inactive}, nil
}
