package bootstrap

import (
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Where boards were met is remembered through a power cut, and asked at the next start: a board that found the others by
// multicast finds them again where multicast is lost since. An address may be another board's by then, or nobody's, and
// that is no news.

const (
	// recallAsks is how often an address from before is asked in vain before it is forgotten: for some four minutes.
	recallAsks = 10
)

// recall makes contacts of the addresses at which boards were met before.
func (t *contacts) recall(addrs []netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range addrs {
		if c := t.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.recalled = true
		}
	}
}

// placesMet lists the addresses at which boards are met, those that do not change first.
func (t *contacts) placesMet() []netip.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	var stable, leased []netip.Addr
	for _, c := range t.all {
		switch a := c.addr.Addr(); {
		case !c.met:
		case a.IsLinkLocalUnicast():
			stable = append(stable, a)
		default:
			leased = append(leased, a)
		}
	}
	slices.SortFunc(stable, netip.Addr.Compare)
	slices.SortFunc(leased, netip.Addr.Compare)
	return append(stable, leased...)
}

// memory is what is remembered of where boards are met.
type memory struct {
	news  time.Time // since when there is something to write; zero when there is not
	wrote time.Time
}

// keepAddrs remembers where boards are met. Addresses from before are dropped when there is no room for them.
func (l *Loop) keepAddrs(now time.Time) {
	known := peer.Remembered(l.contacts.placesMet(), l.Known)
	switch {
	case !slices.ContainsFunc(known, func(a netip.Addr) bool { return !slices.Contains(l.Known, a) }):
		l.memory.news = time.Time{}
		return
	case l.memory.news.IsZero():
		l.memory.news = now
	}
	if now.Sub(l.memory.news) < l.Timing.RecallCalm || !l.memory.wrote.IsZero() && now.Sub(l.memory.wrote) < l.Timing.Recall {
		return
	}
	l.Known, l.memory = known, memory{wrote: now}
	if err := l.RememberKnown(known); err != nil {
		l.Log.Debug("Where the other boards are is not remembered through a power cut.", zap.Error(err))
	}
}
