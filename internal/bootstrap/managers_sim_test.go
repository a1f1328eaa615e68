package bootstrap

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// managers are the serials of the boards that manage the swarm and are reachable, lowest first, as the managers that
// have a majority see it; none when the swarm cannot be changed. all is how many there are with those that are gone.
func (w *world) managers() (reachable []peer.Serial, all int) {
	for _, b := range w.boards {
		if b.running() == nil {
			continue
		}
		nodes, err := b.engine.Nodes(context.Background())
		if err != nil {
			continue
		}
		for _, n := range nodes {
			if n.Votes {
				all++
			}
			if n.Reachable {
				reachable = append(reachable, peer.Serial(n.Labels[manager.LabelSerial]))
			}
		}
		slices.Sort(reachable)
		return reachable, all
	}
	return nil, 0
}

// changeable reports whether some managers have a majority.
func (w *world) changeable() bool {
	reachable, _ := w.managers()
	return len(reachable) > 0
}

// serials are those of all boards, lowest first.
func (w *world) serials() (all []peer.Serial) {
	for _, b := range w.boards {
		all = append(all, b.serial)
	}
	slices.Sort(all)
	return all
}

// managed reports whether n managers are there and no others.
func (w *world) managed(n int) func() bool {
	return func() bool {
		reachable, all := w.managers()
		return len(reachable) == n && all == n
	}
}

// The boards with the lowest serials manage the swarm; any of them may be lost, is replaced where that can be, and
// comes back; and when only one manager is wanted, one is left.
func simManagers(t testing.TB, w *world, rnd *rand.Rand) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 3+rnd.IntN(4))
	want := 3
	if w.wanted = 3 + 2*rnd.IntN(2); w.wanted == 5 && len(w.boards) >= 5 {
		want = 5
	}
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	w.run(t, nil, 3*time.Minute, w.managed(want))

	lost := w.boards[rnd.IntN(len(w.boards))]
	before, _ := w.managers()
	was := slices.Contains(before, lost.serial)
	if lowest := w.serials()[:want]; w.loss == 0 && !slices.Equal(before, lowest) {
		t.Errorf("managers are %v, the lowest serials are %v", before, lowest)
	}
	plan := []event{{upTo(rnd, 10*time.Second), lost, "power off", lost.powerOff}}
	w.run(t, plan, time.Minute, w.changeable)
	w.run(t, nil, patient.ManagerGone-time.Minute, nil)
	left := slices.DeleteFunc(slices.Clone(before), func(s peer.Serial) bool { return s == lost.serial })
	if after, _ := w.managers(); !slices.Equal(after, left) {
		t.Errorf("without %s the managers are %v, want %v for a while", lost.serial, after, left)
	}
	if len(w.boards) > want || !was {
		w.run(t, nil, 3*time.Minute, w.managed(want))
	} else {
		w.run(t, nil, 3*time.Minute, func() bool {
			return slices.ContainsFunc(w.boards, func(b *simBoard) bool { return b.said("there is no board to take its place") })
		})
	}
	after, _ := w.managers()
	engine := upTo(rnd, 10*time.Second)
	plan = []event{{upTo(rnd, time.Minute), lost, "power on", func() { lost.powerOn(t.Context(), engine) }}}
	w.run(t, plan, 3*time.Minute, func() bool { return w.managed(want)() && w.ready() })
	w.run(t, nil, time.Minute, nil)
	again, _ := w.managers()
	if replaced := was && len(w.boards) > want; replaced && slices.Contains(again, lost.serial) || !replaced &&
		len(again) != want {
		t.Errorf("managers were %v, without %s %v, and with it again %v", before, lost.serial, after, again)
	}

	w.wanted = 1
	plan = nil
	for _, b := range w.boards {
		plan = append(plan, event{upTo(rnd, 10*time.Second), b, "another setting", func() { b.kill(); b.start(t.Context()) }})
	}
	w.run(t, plan, 3*time.Minute, func() bool { return w.managed(1)() && w.ready() })
	w.run(t, nil, time.Minute, nil)
	if left, all := w.managers(); all != 1 {
		t.Errorf("managers at the end: %v of %d", left, all)
	}
	for _, b := range w.boards {
		if b.said("two swarms") {
			t.Errorf("%s tells of two swarms", b.serial.Name())
		}
	}
}

// ready reports whether every board is a node that is ready.
func (w *world) ready() bool {
	for _, b := range w.boards {
		nodes, err := b.engine.Nodes(context.Background())
		if err != nil {
			continue
		}
		up := 0
		for _, n := range nodes {
			if n.Ready {
				up++
			}
		}
		return up == len(w.boards)
	}
	return false
}
