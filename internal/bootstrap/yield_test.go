package bootstrap

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A person gives up one of two swarms, and power goes at any moment of it: all boards end in the other.
func simYield(t testing.TB, w *world, rnd *rand.Rand) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 3)
	c := w.boards[2]
	ab := w.boards[:2]
	on := func(b *simBoard) event { return event{0, b, "power on", func() { b.powerOn(t.Context(), 0) }} }
	off := func(b *simBoard) event { return event{0, b, "power off", b.powerOff} }
	w.run(t, []event{on(ab[0]), on(ab[1])}, 2*time.Minute, w.formed)
	a := w.leader()
	a.engine.Deploy()
	w.run(t, []event{off(ab[0]), off(ab[1]), on(c)}, time.Minute, func() bool { return c.swarm != "" })
	c.engine.Deploy()
	w.run(t, []event{on(ab[0]), on(ab[1])}, time.Minute, w.formed)

	wants := func(id, words string) {
		t.Helper()
		if text, err := a.running().Yield(t.Context(), id); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("yield %q: %q, %v", id, text, err)
		}
	}
	wants(c.swarm, "only that one")
	text, err := a.running().Yield(t.Context(), "")
	if err != nil || !strings.Contains(text, "2 nodes, 1 service") || !strings.Contains(text, "yield "+a.swarm) {
		t.Errorf("%q, %v", text, err)
	}
	w.run(t, nil, time.Minute, nil)
	ab[0].doomed, ab[1].doomed = true, true
	if _, err := a.running().Yield(t.Context(), a.swarm); err != nil {
		t.Fatal(err)
	}
	cut := upTo(rnd, 10*time.Second)
	w.run(t, []event{
		{cut, a, "power off", a.powerOff},
		{cut + upTo(rnd, time.Minute), a, "power on", func() { a.powerOn(t.Context(), upTo(rnd, 10*time.Second)) }},
	}, 5*time.Minute, func() bool { return len(w.swarms) == 1 && w.formed() })
	w.wantLeader(t, c)
}
