package bootstrap

import (
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Where boards were met is remembered through a power cut, and asked at the next start: a board that found the others by
// multicast finds them again where multicast is lost since. An address may be another board's by then, or nobody's, and
// that is no news.

// memory is what is remembered of where boards are met.
type memory struct {
	news  timing.Since // there is something to write
	wrote time.Time
}

// keepAddrs remembers where boards are met. Addresses from before are dropped when there is no room for them.
func (l *Loop) keepAddrs(now time.Time) {
	known := peer.Remembered(l.roster.Places(), l.Known)
	l.memory.news.Note(slices.ContainsFunc(known, func(a netip.Addr) bool { return !slices.Contains(l.Known, a) }), now)
	if !l.memory.news.For(l.Timing.RecallCalm, now) || !l.memory.wrote.IsZero() && now.Sub(l.memory.wrote) < l.Timing.Recall {
		return
	}
	l.Known, l.memory = known, memory{wrote: now}
	if err := l.RememberKnown(known); err != nil {
		l.Log.Debug("Where the other boards are is not remembered through a power cut.", zap.Error(err))
	}
}
