package bootstrap

import (
	"math/rand/v2"
	"net/netip"
	"slices"
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

// Boards that found each other by multicast find each other without it after a power cut, at the addresses that they
// remember. Some of these are nobody's by then, or another board's. Their engines still are in the swarm, or somebody
// has taken all out.
func simMulticastLost(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(5))
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	w.run(t, nil, patient.RecallCalm+patient.Recall+patient.TurnIn, nil)
	w.quiet = true
	dissolved := rnd.IntN(3) > 0
	var plan []event
	for _, b := range w.boards {
		plan = append(plan, event{0, b, "power off", b.powerOff})
	}
	w.run(t, plan, upTo(rnd, time.Minute), nil)
	if dissolved {
		w.swarms = nil
		stale := w.boards[rnd.IntN(len(w.boards))]
		for _, b := range w.boards {
			b.engine.Reflash()
			b.node, b.swarm, b.free = "", "", false
			for i := range b.known[b.key] {
				if b == stale {
					b.known[b.key][i] = []netip.Addr{b.addr, netip.AddrFrom4([4]byte{10, 77, 200, byte(i)})}[rnd.IntN(2)]
				}
			}
		}
	}
	// long enough outside a swarm to tell how the others are met, also with an engine that is late
	w.settle = 2 * simSettle
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	if !dissolved {
		return
	}
	w.wantLeader(t, w.lowest())
	if !slices.ContainsFunc(w.boards,
		func(b *simBoard) bool { return b.said("remembered from last time") || b.said("that asked this one") }) {
		t.Error("no board says how the others are met")
	}
	for _, b := range w.boards {
		if b.said("announces itself at") || b.said("peers in the settings names") {
			t.Errorf("%s complains of an address that it only remembered", b.serial.Name())
		}
	}
}
