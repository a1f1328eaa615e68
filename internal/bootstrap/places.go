package bootstrap

import (
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// places are where boards are met. They are remembered through a power cut, and asked at the next start: a board that found
// the others by multicast finds them again where multicast is lost since. An address may be another board's by then, or
// nobody's, and that is no news.
type places struct {
	known []netip.Addr
	write func([]netip.Addr) error
	news  timing.Since // there is something to write
	wrote time.Time
}

// keep remembers where boards are met now, seldom. Addresses from before are dropped when there is no room for them.
func (p *places) keep(met []netip.Addr, now time.Time, t timing.Timing, log *zap.Logger) {
	known := peer.Remembered(met, p.known)
	p.news.Note(slices.ContainsFunc(known, func(a netip.Addr) bool { return !slices.Contains(p.known, a) }), now)
	if !p.news.For(t.RecallCalm, now) || !p.wrote.IsZero() && now.Sub(p.wrote) < t.Recall {
		return
	}
	p.known, p.news, p.wrote = known, timing.Since{}, now
	if err := p.write(known); err != nil {
		log.Debug("Where the other boards are is not remembered through a power cut.", zap.Error(err))
	}
}
