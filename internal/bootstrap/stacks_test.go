package bootstrap

import (
	"github.com/pi-agent/pi-agent/internal/say"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestStackErrors looks at the pictures of a manager that leads, of one that does not, and of a worker: what the first
// says of its Compose files is in all of them, what the others say in none. What Docker leaves out is no trouble.
func TestStackErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.wanted = 3
		rnd := rand.New(rand.NewPCG(1, 0))
		w.addMany(rnd, 4)
		w.run(t, w.startAll(t, rnd), 10*time.Minute, func() bool { return w.formed() && w.managed(3)() })
		w.run(t, nil, time.Minute, nil)
		leads := 0
		var bad, notes []say.Text
		for _, b := range w.boards {
			own := []say.Text{say.StackRefused.With(b.hostname, "it is empty")}
			if b.running().Place().Leads {
				leads++
				bad, notes = own, []say.Text{say.StackEmpty.With(b.hostname, "x.yml")}
			}
			b.running().Stacks = func() (wrong, advice []say.Text) {
				return own, []say.Text{say.StackEmpty.With(b.hostname, "x.yml")}
			}
		}
		if leads != 1 {
			t.Fatalf("%d boards lead", leads)
		}
		check := func() {
			t.Helper()
			for _, b := range w.boards {
				p := b.running().Picture(t.Context())
				if !slices.Equal(p.StackErrors, bad) || !slices.Equal(p.StackAdvice, notes) || p.Trouble() != (len(bad) > 0) {
					t.Errorf("%s shows stacks %q and %q, trouble %v, want %q and %q", b.hostname, p.StackErrors, p.StackAdvice,
						p.Trouble(), bad, notes)
				}
			}
		}
		check()
		bad = nil
		for _, b := range w.boards {
			b.running().Stacks = func() (wrong, advice []say.Text) { return nil, notes }
		}
		time.Sleep(pictureAge) // virtual
		check()
		notes = nil
		for _, b := range w.boards {
			b.running().Stacks = nil
		}
		time.Sleep(pictureAge) // virtual
		check()
	})
}
