package bootstrap

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The board of a card that was moved keeps what is on it, once the board before has not been met for a while.
func TestKeepCard(t *testing.T) {
	var kept []peer.Membership
	nobody := func(swarm.Status) string { return "" }
	c := &card{Membership: peer.Membership{From: low}, log: zap.NewNop(), remember: func(m peer.Membership) error {
		kept = append(kept, m)
		return nil
	}}
	member := swarm.Status{State: swarm.Active, NodeID: "n", Manager: true, SwarmID: "a"}
	c.note(member, nobody)
	c.adopt(member, patient.Copy-time.Second, patient.Copy)
	if want := (peer.Membership{Swarm: "a", Node: "n", Manager: true, From: low}); len(kept) != 1 || kept[0] != want {
		t.Fatalf("at first it keeps %+v, want %+v", kept, want)
	}
	c.adopt(member, patient.Copy, patient.Copy)
	if want := (peer.Membership{Swarm: "a", Node: "n", Manager: true}); len(kept) != 2 || kept[1] != want {
		t.Errorf("then it keeps %+v, want %+v", kept, want)
	}
	c.From = low
	c.note(swarm.Status{State: swarm.Inactive}, nobody)
	if c.Membership != (peer.Membership{}) {
		t.Errorf("outside a swarm it keeps %+v", c.Membership)
	}
}

// A board that is stopped before its engine has answered keeps what is on its card.
func TestSilentEngineForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		b := w.add(mine)
		b.kept = peer.Membership{Swarm: "a", Node: "n", From: low}
		b.powerOn(t.Context(), time.Hour)
		w.run(t, nil, 5*time.Minute, nil)
		b.powerOff()
		if want := (peer.Membership{Swarm: "a", Node: "n", From: low}); b.remembered() != want {
			t.Errorf("it keeps %+v, want %+v", b.remembered(), want)
		}
	})
}

// spare forms a swarm that holds something, with a board beside it that has never been on.
func (w *world) spare(t testing.TB, rnd *rand.Rand) (original, other *simBoard) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 3+rnd.IntN(3))
	other = w.boards[len(w.boards)-1]
	plan := w.startAll(t, rnd)
	for i, e := range plan {
		if e.board == other {
			plan[i].do = func() {}
		}
	}
	w.run(t, plan, 2*time.Minute, w.formed)
	w.run(t, nil, 30*time.Second, nil) // until all know their swarm's id
	original = w.boards[rnd.IntN(len(w.boards)-1)]
	w.leader().engine.Deploy()
	w.run(t, []event{{0, original, "power off", original.powerOff}}, time.Second, nil)
	other.kept = original.remembered()
	other.kept.From = original.serial
	return original, other
}

// A copied card goes into another board. The two meet within 15 minutes, and the copy joins under its own name; or
// later, and both are named.
func simCopiedCard(t testing.TB, w *world, rnd *rand.Rand) {
	original, other := w.spare(t, rnd)
	leader := w.leader()
	other.engine.Clone(original.engine)
	other.node, other.doomed = original.node, true // as far as it is a copy
	on := func(b *simBoard, at time.Duration) event {
		return event{at, b, "power on", func() { b.powerOn(t.Context(), upTo(rnd, 10*time.Second)) }}
	}
	plan := []event{on(original, upTo(rnd, 10*time.Minute)), on(other, upTo(rnd, 10*time.Minute))}
	if late := rnd.IntN(4) == 0; !late {
		w.run(t, plan, 5*time.Minute, func() bool { return other.engine.In() != "" && !other.doomed && w.formed() })
		w.wantLeader(t, leader)
		return
	}
	plan = []event{on(other, 0), on(original, patient.Copy+time.Minute)}
	w.run(t, plan, patient.DuplicateTold+2*time.Minute, nil)
	a, b := min(original.serial, other.serial).Name(), max(original.serial, other.serial).Name()
	if !leader.said(a + " and " + b + " are one node of the swarm") {
		t.Errorf("%s does not name %s and %s", leader.serial.Name(), a, b)
	}
}

// A board breaks, and its card goes into another one, which keeps the place in the swarm and all that is in it.
func simMovedCard(t testing.TB, w *world, rnd *rand.Rand) {
	original, other := w.spare(t, rnd)
	leads := w.leader() == original
	node := original.node
	other.engine.Take(original.engine)
	other.node, other.swarm, original.node, original.swarm = original.node, original.swarm, "", ""
	w.run(t, []event{{upTo(rnd, 5*time.Minute), other, "power on",
		func() { other.powerOn(t.Context(), upTo(rnd, 10*time.Second)) }}},
		patient.Copy+5*time.Minute, nil)
	s, err := other.engine.Status(t.Context())
	if err != nil || s.NodeID != node || s.Manager != leads || other.remembered().From != "" ||
		!other.said("its place in the swarm is this board's now") {
		t.Errorf("%s is %+v, %v; the card was node %s", other.serial.Name(), s, err, node)
	}
}
