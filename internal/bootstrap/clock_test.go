package bootstrap

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/policy"
)

// Boards without a time server wake up in the past, each in its own: they become one swarm all the same, and none asks
// for a join for which its clock makes certificates invalid. Where a time server comes in time nobody's clock is
// touched.
func simClocks(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(5))
	w.built = w.began.Add(-60 * 24 * time.Hour)
	for _, b := range w.boards {
		if rnd.IntN(3) > 0 {
			b.turnClock(-upTo(rnd, 40*24*time.Hour))
		}
	}
	plan := w.startAll(t, rnd)
	server := false
	switch old := w.boards[0]; rnd.IntN(3) {
	case 0: // nobody has set it to when the program was made, as is done at boot
		old.turnClock(-61 * 24 * time.Hour)
		plan = append(plan, event{upTo(rnd, 3*time.Minute), old, "a person sets the clock", func() {
			if old.node != "" {
				t.Errorf("%s is in a swarm before its program was made", old.serial.Name())
			}
			old.turnClock(-time.Hour)
		}})
	case 1:
		server = true
		plan = append(plan, event{20 * time.Second, nil, "a time server", func() {
			for _, b := range w.boards {
				b.turnClock(0)
			}
		}})
	}
	w.run(t, plan, 6*time.Minute, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	for _, b := range w.boards {
		if server && b.asked > 0 {
			t.Errorf("%s wanted its clock put forward, and a time server was about to", b.serial.Name())
		}
		if b.said("x509") {
			t.Errorf("%s asked to join with a clock for which certificates are not valid", b.serial.Name())
		}
	}
}

func TestSetClockThatFails(t *testing.T) {
	a := &actor{setClock: func(time.Time) error { return errors.New("no such file") }}
	if err := a.putForward(policy.Peer{}); err == nil ||
		!strings.Contains(err.Error(), "put the clock forward: no such file") || a.clockAsked.IsZero() {
		t.Errorf("%v, asked at %v", err, a.clockAsked)
	}
}
