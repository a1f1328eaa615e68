package bootstrap

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever boards are called, they form a swarm, and are shown by names that people can read.
func TestBoardsWithoutAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		rnd := rand.New(rand.NewPCG(1, 0))
		w.addMany(rnd, 4)
		for i, name := range []string{"k\xfcche", "\x00\x00\x00\x00\x00\x00\x00\x00", "my\tpi", strings.Repeat("a", 129)} {
			w.boards[i].hostname = name
		}
		w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
		w.run(t, nil, time.Minute, nil)
		for _, b := range w.boards {
			p := b.running().Picture(t.Context())
			if p.Source != w.leader().serial.Name() || p.Needs || len(p.Boards) != 4 {
				t.Errorf("%s shows %+v", b.serial.Name(), p)
			}
		}
	})
}
