package roster

// Unreached: boards that are heard and do not answer.

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Unreached lists the boards other than self that were heard lately, by an announcement or a hello of theirs, and have
// not answered lately, in order of serial. One that answers at one of its addresses is reached. silent counts the
// boards heard that have not answered since then.
func (r *Roster) Unreached(self peer.Serial, since, now time.Time) (all []policy.Unreached, silent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	type board struct {
		policy.Unreached
		served, first, heard, shut time.Time
		open                       bool
	}
	boards := map[peer.Serial]*board{}
	note := func(c *Contact, claim peer.Claim, first, heard, ends time.Time) {
		if claim.Serial == self || claim.Serial == "" {
			return
		}
		b := boards[claim.Serial]
		if b == nil {
			b = &board{Unreached: policy.Unreached{Serial: claim.Serial}, first: first}
			boards[claim.Serial] = b
		}
		b.served = timing.Later(b.served, c.served)
		if b.first.After(first) {
			b.first = first
		}
		if now.Before(ends) {
			b.open = true
			b.Ends = timing.Later(b.Ends, ends)
			if !heard.Before(b.heard) {
				b.heard, b.State = heard, claim.State
			}
			b.shut = timing.Later(b.shut, c.shut)
			if a := c.Addr.Addr(); !b.Addr.IsValid() || before(a, b.Addr) {
				b.Addr = a
			}
		}
	}
	for _, c := range r.all {
		ends := c.heard.Add(r.timing.Heard)
		if c.hintEnds.Before(ends) {
			ends = c.hintEnds
		}
		note(c, c.Hint, c.hinted, c.heard, ends)
		if c.Met {
			note(c, c.Answer.Claim, c.firstMet, c.lastMet, c.lastMet.Add(r.timing.Fresh))
		}
	}
	for _, b := range boards {
		if !b.open {
			continue
		}
		if b.served.Before(since) {
			silent++
		}
		if now.Sub(b.served) < r.timing.Fresh {
			continue
		}
		b.Since = timing.Later(b.first, b.served)
		b.Shut = !b.shut.IsZero() && b.heard.Sub(b.served) >= 2*r.timing.Ask
		all = append(all, b.Unreached)
	}
	slices.SortFunc(all, func(a, b policy.Unreached) int { return cmp.Compare(a.Serial, b.Serial) })
	return all, silent
}

// before orders addresses: one that a person knows a board by comes before a link-local one.
func before(a, b netip.Addr) bool {
	if a.IsLinkLocalUnicast() != b.IsLinkLocalUnicast() {
		return b.IsLinkLocalUnicast()
	}
	return a.Less(b)
}

// Unmet lists the contacts at which a board announces itself that was never met there, or is outside any swarm and does
// not answer any more, in order of address.
func (r *Roster) Unmet(now time.Time) (all []Contact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all {
		if c.Hint.Serial != "" && (!c.Met || c.Err != nil && c.Mute(now, r.timing)) {
			all = append(all, *c)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Addr.Compare(all[j].Addr) < 0 })
	return all
}

// Unfollowed lists the boards that answer as managers and that this board does not follow, in order of address.
func (r *Roster) Unfollowed(now time.Time) (all []policy.Unfollowed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all {
		serial := c.Hint.Serial
		if serial == "" && c.Met {
			serial = c.Answer.Claim.Serial
		}
		if errors.Is(c.Err, trust.ErrNotFollowed) && now.Sub(c.served) < r.timing.Rival && serial != "" {
			all = append(all, policy.Unfollowed{Serial: serial, Addr: c.Addr.Addr()})
		}
	}
	slices.SortFunc(all, func(a, b policy.Unfollowed) int { return a.Addr.Compare(b.Addr) })
	return all
}
