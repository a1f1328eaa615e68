package bootstrap

import (
	"math/rand/v2"
	"testing"
	"time"
)

// shelve turns all boards off for a summer, in which the certificates of these end.
func (w *world) shelve(t testing.TB, expire func(*simBoard) bool) {
	w.run(t, nil, 30*time.Second, nil) // until all know their swarm's id
	var plan []event
	for _, b := range w.boards {
		plan = append(plan, event{0, b, "power off", b.powerOff})
	}
	w.run(t, plan, time.Minute, nil)
	for _, b := range w.boards {
		if expire(b) {
			b.engine.Expire()
		}
	}
}

// Workers whose certificates have expired while they were off come back.
func simExpired(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(3))
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	leader := w.leader()
	w.shelve(t, func(b *simBoard) bool {
		b.doomed = b != leader
		return b.doomed
	})
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	w.wantLeader(t, leader)
}

// The certificate of the only manager has expired. It comes back with its swarm and all that is in it, and so do the
// workers, though power goes at any moment of it, and is left alone where nobody does what it asks of root.
func simExpiredManager(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(3))
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	leader := w.leader()
	leader.engine.Deploy()
	workers := rnd.IntN(2) == 0
	w.shelve(t, func(b *simBoard) bool {
		b.doomed = b != leader && workers
		return b == leader || workers
	})
	w.noRoot = rnd.IntN(4) == 0
	plan := w.startAll(t, rnd)
	if w.noRoot {
		w.run(t, plan, 20*time.Minute, nil)
		if c := leader.engine.Calls(); c.Leave > 0 || c.Revive > 0 || !leader.said("could not be brought back") {
			t.Errorf("%s has not left its swarm alone: %+v", leader.serial.Name(), c)
		}
		return
	}
	for at := upTo(rnd, 20*time.Second); rnd.IntN(3) > 0; at += upTo(rnd, 20*time.Second) {
		plan = append(plan, event{at, leader, "reboot", func() {
			leader.powerOff()
			leader.powerOn(t.Context(), upTo(rnd, 5*time.Second))
		}})
	}
	w.run(t, plan, 5*time.Minute, w.formed)
	w.wantLeader(t, leader)
	have, err := leader.engine.Contents(t.Context())
	if err != nil || have.Services != 1 {
		t.Errorf("the swarm holds %+v, %v", have, err)
	}
}

// The certificates of all managers have expired: which of them knows most is for a person to say.
func simExpiredManagers(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3)
	w.wanted = 3
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	w.run(t, nil, 3*time.Minute, w.managed(3))
	w.shelve(t, func(*simBoard) bool { return true })
	w.run(t, w.startAll(t, rnd), 20*time.Minute, nil)
	for _, b := range w.boards {
		if c := b.engine.Calls(); c.Leave > 0 || c.Revive > 0 || !b.said("The swarm has more managers") {
			t.Errorf("%s has not left its swarm alone: %+v", b.serial.Name(), c)
		}
	}
}
