package roster

// Ways: where multicast is lost, boards are reached by address: those that the settings name, those where boards were
// met before the last start, and those that another board names in its hello. Every address is only a hint, and is
// asked.

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// recallAsks is how often an address from before is asked in vain before it is forgotten: for some four minutes.
const recallAsks = 10

// Way is how a board is met of which multicast does not tell: the first of these that holds.
type Way int

// The ways.
const (
	bySettings Way = iota
	byMemory
	byOther
	byItself

	// Ways is how many there are.
	Ways = iota
)

// String follows a number of boards.
func (w Way) String() string {
	return [...]string{
		"named in the settings", "remembered from last time", "named by another board", "that asked this one",
	}[w]
}

// way is the way to a contact.
func (c *Contact) way() Way {
	switch {
	case c.Named:
		return bySettings
	case c.Recalled:
		return byMemory
	case c.told:
		return byOther
	}
	return byItself
}

// AddNamed makes contacts of the addresses in the settings, which stay.
func (r *Roster) AddNamed(addrs []netip.Addr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if c := r.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.Named = true
		}
	}
}

// IsNamed reports whether the settings name this address.
func (r *Roster) IsNamed(addr netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.all[addr]
	return c != nil && c.Named
}

// Unanswered are the named addresses at which nobody has answered. This board counts as an answer at its own.
func (r *Roster) Unanswered() (addrs []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all {
		if c.Named && !c.Met && (c.asked.IsZero() || c.failures > 0) {
			addrs = append(addrs, c.Addr.Addr())
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// ByAddress lists where boards outside a swarm were met lately, and counts those that were met though no announcement
// of theirs is heard.
func (r *Roster) ByAddress(now time.Time) (addrs []netip.Addr, boards int, unheard [Ways]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := map[peer.Serial]bool{}
	for _, c := range r.all {
		if now.Before(c.hintEnds) {
			heard[c.Hint.Serial] = true
		}
	}
	met := map[peer.Serial]*Contact{}
	for _, c := range r.all {
		if !c.Met || now.Sub(c.lastMet) >= r.timing.Fresh {
			continue
		}
		addrs = append(addrs, c.Addr.Addr())
		if known := met[c.Answer.Claim.Serial]; known == nil || c.way() < known.way() {
			met[c.Answer.Claim.Serial] = c
		}
	}
	for serial, c := range met {
		if !heard[serial] && now.Sub(c.firstMet) >= r.timing.Unheard {
			unheard[c.way()]++
		}
	}
	return addrs, len(met), unheard
}

// AddTold makes contacts of addresses that another board named.
func (r *Roster) AddTold(addrs []netip.Addr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if c := r.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.told = true
		}
	}
}

// Recall makes contacts of the addresses at which boards were met before.
func (r *Roster) Recall(addrs []netip.Addr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if c := r.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.Recalled = true
		}
	}
}

// Places lists the addresses at which boards are met, those that do not change first.
func (r *Roster) Places() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stable, leased []netip.Addr
	for _, c := range r.all {
		switch a := c.Addr.Addr(); {
		case !c.Met:
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
