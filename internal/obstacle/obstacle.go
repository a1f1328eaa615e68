// Package obstacle watches for what on this board is in the way of its swarm and is no affair of any other board:
// programs that have its ports, and settings that cripple its engine.
package obstacle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// How often a Watch looks: at first, while the board may be about to enter a swarm, and later.
const (
	paceFirst = 5 * time.Second
	firstFor  = time.Minute
	pace      = 30 * time.Second
)

// Watch watches one board. Its methods may be called from any goroutine, its fields must be set before.
type Watch struct {
	Strangers func() []ports.Holder                      // who has ports of this board
	Settings  func(ctx context.Context) []*swarm.Setting // what the engine's files have that is in the way
	Log       *zap.Logger

	mu       sync.Mutex
	guessed  map[uint64]bool // sockets that were guessed to be a stranger's when last looked
	holders  []ports.Holder
	cripples []*swarm.Setting        // settings that do not exclude swarm mode
	told     map[say.Text]ports.Port // what was told and still holds, with the port that it is about, if any
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	began := time.Now()
	timer := time.NewTimer(paceFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		w.Look(ctx)
		if time.Since(began) < firstFor {
			timer.Reset(paceFirst)
		} else {
			timer.Reset(pace)
		}
	}
}

// Look looks once, and tells what is news.
func (w *Watch) Look(ctx context.Context) {
	seen, settings := w.Strangers(), w.Settings(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	guessed := map[uint64]bool{}
	w.holders, w.cripples = nil, nil
	for _, h := range seen {
		if h.Guess {
			guessed[h.Inode] = true
		}
		// An engine that has just left its swarm still has its ports for a moment.
		if !h.Guess || w.guessed[h.Inode] {
			w.holders = append(w.holders, h)
		}
	}
	w.guessed = guessed
	for _, s := range settings {
		if !s.Excludes { // those that do are told by whoever is refused
			w.cripples = append(w.cripples, s)
		}
	}
	told := map[say.Text]ports.Port{}
	tell := func(is picture.Warning, about ports.Port) {
		told[is.Text] = about
		if _, known := w.told[is.Text]; !known {
			w.Log.Warn(say.Join(" ", is.Text, is.Remedy).En)
		}
	}
	for _, h := range w.holders {
		tell(ofHolder(h), h.Port)
	}
	for _, s := range w.cripples {
		tell(ofSetting(s), ports.Port{})
	}
	for text, p := range w.told {
		if _, still := told[text]; !still && p != (ports.Port{}) {
			w.Log.Info(fmt.Sprintf("Nobody else has %s any more.", p))
		}
	}
	w.told = told
}

// Warnings are for the picture of the cluster.
func (w *Watch) Warnings() (all []picture.Warning) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.holders {
		all = append(all, ofHolder(h))
	}
	for _, s := range w.cripples {
		all = append(all, ofSetting(s))
	}
	return all
}

func ofHolder(h ports.Holder) picture.Warning {
	return picture.Warning{Text: h.Text(), Remedy: h.Remedy(), Trouble: true, Port: h.Port.ID()}
}

func ofSetting(s *swarm.Setting) picture.Warning {
	return picture.Warning{Text: s.Text.Capital().Dot(), Remedy: s.Remedy.Capital().Dot()}
}

// Taken is why this board should enter no swarm: somebody has a port that its nodes need. It is nil when nobody has.
func (w *Watch) Taken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.holders {
		if h.Port.Number != ports.Page && h.Port.Number != ports.MDNS {
			return say.Error(say.Join(" ", h.Text(), h.Remedy()))
		}
	}
	return nil
}
