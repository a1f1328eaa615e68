package bootstrap

// Boards that hear each other and do not reach each other, and boards whose addresses come late.

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// mendedMax is how long it may take from the end of a firewall to the one swarm, all engines being up.
const mendedMax = 10 * time.Second

// somewhere is a firewall at random: which, between whom, and whether some boards do not reach each other at any
// address.
func (w *world) somewhere(rnd *rand.Rand) (name string, through wall, apart bool) {
	one, other := w.boards[rnd.IntN(len(w.boards))], w.boards[rnd.IntN(len(w.boards))]
	half := map[*simBoard]bool{}
	for _, b := range w.boards {
		half[b] = rnd.IntN(2) == 0
	}
	switch rnd.IntN(7) {
	case 0:
		return "every board is shut", func(_, _ *simBoard, _ bool) bool { return false }, true
	case 1:
		return "one board is shut", func(_, to *simBoard, _ bool) bool { return to != one }, true
	case 2:
		return "all but one are shut", func(_, to *simBoard, _ bool) bool { return to == one }, true
	case 3:
		return "shut one way", func(from, to *simBoard, _ bool) bool { return from != one || to != other }, one != other
	case 4:
		return "two halves", func(from, to *simBoard, _ bool) bool { return half[from] == half[to] },
			slices.ContainsFunc(w.boards, func(b *simBoard) bool { return half[b] != half[w.boards[0]] })
	case 5:
		return "shut at the address that stays", func(_, to *simBoard, stays bool) bool { return !stays || to != one }, false
	}
	return "shut at the address of DHCP", func(_, to *simBoard, stays bool) bool { return stays || to != one }, false
}

// shutOut puts up a firewall.
func (w *world) shutOut(name string, through wall) event {
	return event{0, nil, "a firewall: " + name, func() { w.walls.Store(&through) }}
}

// down takes it away.
func (w *world) down() event { return event{0, nil, "no firewall", func() { w.walls.Store(nil) }} }

// worried are the boards that ask for a person, and say which port.
func (w *world) worried() (all []*simBoard) {
	for _, b := range w.boards {
		if loop := b.running(); loop != nil {
			if _, needs := loop.Standing(); needs &&
				(b.said("Heard, and not reached at port 2378/tcp: ") || b.said("Port 2378/tcp of this board is shut to ")) {
				all = append(all, b)
			}
		}
	}
	return all
}

// UDP passes and TCP does not: nobody founds a swarm while a board is heard and not reached, whoever that is says so,
// and when the firewall is gone there is one swarm at once.
func simFirewall(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(4))
	w.renumber(rnd, true)
	name, through, apart := w.somewhere(rnd)
	w.run(t, append([]event{w.shutOut(name, through)}, w.startAll(t, rnd)...), 0, nil)
	if !apart {
		w.run(t, nil, 3*time.Minute, w.formed)
		if len(w.swarms) != 1 {
			t.Errorf("%d swarms, want one", len(w.swarms))
		}
		return
	}
	w.run(t, nil, 2*time.Minute, nil)
	swarms := len(w.swarms)
	if swarms > 1 || swarms == 0 && len(w.worried()) == 0 {
		t.Errorf("%s: %d swarms, and %d boards ask for a person", name, swarms, len(w.worried()))
	}
	w.run(t, []event{w.down()}, mendedMax, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	for _, b := range w.boards {
		if b.said("cannot take part") {
			t.Errorf("%s repeats what others say of one more", b.serial.Name())
		}
	}
}

// A board comes to a swarm that it hears and does not reach.
func simFirewallLater(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3+rnd.IntN(3))
	w.renumber(rnd, true)
	late := w.boards[rnd.IntN(len(w.boards))]
	plan := slices.DeleteFunc(w.startAll(t, rnd), func(e event) bool { return e.board == late })
	w.run(t, plan, 3*time.Minute, w.formed)
	leader := w.leader()
	manager := rnd.IntN(2) == 0 // only that is out of reach
	shut := w.shutOut("a late board reaches nobody", func(from, to *simBoard, _ bool) bool {
		return from != late && to != late || manager && from != leader && to != leader
	})
	w.run(t, []event{shut, {time.Second, late, "power on", func() { late.powerOn(t.Context(), 0) }}}, 2*time.Minute, nil)
	if !slices.Contains(w.worried(), late) {
		t.Errorf("%s does not ask for a person", late.serial.Name())
	}
	w.run(t, []event{w.down()}, mendedMax, w.formed)
	w.wantLeader(t, leader)
}

// A board that was heard and never reached loses its power: the others go on when its announcement no longer holds.
func simHeardAndGone(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(3))
	gone := w.boards[rnd.IntN(len(w.boards))]
	if rnd.IntN(2) == 0 { // it was never reached
		shut := w.shutOut("one board is shut", func(from, to *simBoard, _ bool) bool { return from != gone && to != gone })
		w.run(t, []event{shut}, 0, nil)
	}
	off := 5*time.Second + upTo(rnd, 20*time.Second)
	plan := append(w.startAll(t, rnd), event{off, gone, "power off", gone.powerOff})
	w.run(t, plan, 0, nil)
	if gone.swarm == "" && gone.engine.In() == "" { // else it has taken its swarm along
		w.run(t, nil, patient.Heard+2*time.Minute, w.formed)
	}
}

// Only a worker of a swarm is there whose manager is off, and addresses come late: a board with a new card finds it.
func simLateAddress(t testing.TB, w *world, rnd *rand.Rand) {
	w.settle = 5 * time.Second
	w.loss = float64(rnd.IntN(3)) / 10
	w.addMany(rnd, 3)
	w.renumber(rnd, true)
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	leader := w.leader()
	w.run(t, []event{{0, leader, "power off", leader.powerOff}}, upTo(rnd, time.Minute), nil)
	i := slices.IndexFunc(w.boards, func(b *simBoard) bool { return b != leader })
	w.run(t, []event{{0, w.boards[i], "new card", func() { w.reflash(t, w.boards[i], 0) }}}, time.Minute, nil)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	w.run(t, []event{{0, leader, "power on", func() { leader.powerOn(t.Context(), 0) }}}, 2*time.Minute, w.formed)
	w.wantLeader(t, leader)
}

// The engine of a manager does not start for longer than its workers wait for one that is silent, and another swarm is
// there: they stay as long as its agent says that it manages their swarm.
func simEngineAsleep(t testing.TB, w *world, rnd *rand.Rand) {
	w.step = time.Second
	w.addMany(rnd, 2+rnd.IntN(3))
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	leader, boards := w.leader(), slices.Clone(w.boards)
	leader.engine.Deploy()
	for _, b := range boards {
		w.run(t, []event{{0, b, "power off", b.powerOff}}, 0, nil)
	}
	other := w.add(peer.Serial("0000000000000001"))
	w.run(t, []event{{0, other, "another swarm", func() { other.powerOn(t.Context(), 0) }}}, 4*time.Minute, func() bool {
		return other.swarm != ""
	})
	other.engine.Deploy()
	asleep := patient.Orphaned + 2*time.Minute + upTo(rnd, 20*time.Minute)
	for _, b := range boards {
		engine := upTo(rnd, 10*time.Second)
		if b == leader {
			engine = asleep
		}
		w.run(t, []event{{0, b, "power on", func() { b.powerOn(t.Context(), engine) }}}, 0, nil)
	}
	w.run(t, nil, asleep, nil)
	for _, b := range boards {
		if b.engine.In() != leader.swarm {
			t.Errorf("%s has left the swarm of %s", b.serial.Name(), leader.serial.Name())
		}
	}
	w.run(t, nil, 5*time.Minute, w.formed)
}
