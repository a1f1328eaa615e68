package roster

import (
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Memory is where boards are met. It is remembered through a power cut, and asked at the next start: a board that found
// the others by multicast finds them again where multicast is lost since. An address may be another board's by then, or
// nobody's, and that is no news.
type Memory struct {
	Known []netip.Addr             // as it was last written
	Write func([]netip.Addr) error // keeps it
	news  timing.Since             // there is something to write
	wrote time.Time
}

// Keep remembers where boards are met now, seldom. Addresses from before are dropped when there is no room for them.
func (m *Memory) Keep(met []netip.Addr, now time.Time, t timing.Timing, log *zap.Logger) {
	known := peer.Remembered(met, m.Known)
	m.news.Note(slices.ContainsFunc(known, func(a netip.Addr) bool { return !slices.Contains(m.Known, a) }), now)
	if !m.news.For(t.RecallCalm, now) || !m.wrote.IsZero() && now.Sub(m.wrote) < t.Recall {
		return
	}
	m.Known, m.news, m.wrote = known, timing.Since{}, now
	if err := m.Write(known); err != nil {
		log.Debug("Where the other boards are is not remembered through a power cut.", zap.Error(err))
	}
}
