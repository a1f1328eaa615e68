package roster

// Ways: where multicast is lost, boards are reached by address: those that the settings name, those where boards were
// met before the last start, and those that another board names in its hello. Every address is only a hint, and is
// asked.

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// recallAsks is how often an address from before is asked in vain before it is forgotten: for some four minutes.
const recallAsks = 10

// way is how a board is met of which multicast does not tell: the first of these that holds.
type way int

// The ways, the most certain first.
const (
	bySettings way = iota
	byMemory
	byOther
	byItself

	// ways is how many there are.
	ways = iota
)

// String follows a number of boards.
func (w way) String() string {
	return [...]string{
		"named in the settings", "remembered from last time", "named by another board", "that asked this one",
	}[w]
}

// way is the way to a contact.
func (c *Contact) way() way {
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

// MulticastLost says which boards outside a swarm are met that multicast does not tell of, and what leads to them
// instead; empty where there are none.
func (r *Roster) MulticastLost(now time.Time) string {
	_, boards, unheard := r.byAddress(now)
	all := 0
	var parts []string
	for w, count := range unheard {
		if all += count; count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, way(w)))
		}
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf("Multicast does not pass this network: %d of %d boards are met by address only, %s. Turn off "+
		"client isolation and IGMP snooping, or name one board in peers on all others.",
		all, boards, strings.Join(parts, ", "))
}

// ToldOf are the boards that a board in no swarm tells others of: those that it met, once it has met one that multicast
// does not tell of.
func (r *Roster) ToldOf(now time.Time) []netip.Addr {
	addrs, _, unheard := r.byAddress(now)
	if unheard == [ways]int{} {
		return nil
	}
	return addrs
}

// byAddress lists where boards outside a swarm were met lately, and counts those that were met though no announcement
// of theirs is heard.
func (r *Roster) byAddress(now time.Time) (addrs []netip.Addr, boards int, unheard [ways]int) {
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
