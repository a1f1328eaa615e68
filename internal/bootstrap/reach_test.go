package bootstrap

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// Multicast is lost, and all boards name one of them, which tells them of one another: the lowest leads one swarm.
func simWithoutMulticast(t testing.TB, w *world, rnd *rand.Rand) {
	w.quiet = true
	w.addMany(rnd, 2+rnd.IntN(7))
	w.named = []netip.Addr{w.boards[rnd.IntN(len(w.boards))].addr}
	plan := w.startAll(t, rnd)
	w.run(t, plan, 3*time.Minute, w.formed)
	w.wantLeader(t, w.lowest())
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	told := false
	for _, b := range w.boards {
		told = told || b.said("Multicast does not pass this network")
	}
	if !told {
		t.Error("no board says that multicast is lost")
	}
}
