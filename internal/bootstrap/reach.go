package bootstrap

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Where multicast is lost, boards are reached by address: those that the settings name, those where boards were met before
// the last start, and those that another board names in its hello. Every address is only a hint, and is asked.

// unreached lists the boards other than self that were heard lately, by an announcement or a hello of theirs, and have not
// answered lately, in order of serial. One that answers at one of its addresses is reached. since counts the boards heard
// that have not answered since then.
func (t *contacts) unreached(self peer.Serial, since, now time.Time) (all []policy.Unreached, silent int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	type board struct {
		policy.Unreached
		served, first, heard, shut time.Time
		open                       bool
	}
	boards := map[peer.Serial]*board{}
	note := func(c *contact, claim peer.Claim, first, heard, ends time.Time) {
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
			if a := c.addr.Addr(); !b.Addr.IsValid() || before(a, b.Addr) {
				b.Addr = a
			}
		}
	}
	for _, c := range t.all {
		ends := c.heard.Add(t.timing.Heard)
		if c.hintEnds.Before(ends) {
			ends = c.hintEnds
		}
		note(c, c.hint, c.hinted, c.heard, ends)
		if c.met {
			note(c, c.answer.Claim, c.firstMet, c.lastMet, c.lastMet.Add(t.timing.Fresh))
		}
	}
	for _, b := range boards {
		if !b.open {
			continue
		}
		if b.served.Before(since) {
			silent++
		}
		if now.Sub(b.served) < t.timing.Fresh {
			continue
		}
		b.Since = timing.Later(b.first, b.served)
		b.Shut = !b.shut.IsZero() && b.heard.Sub(b.served) >= 2*t.timing.Ask
		all = append(all, b.Unreached)
	}
	slices.SortFunc(all, func(a, b policy.Unreached) int { return cmp.Compare(a.Serial, b.Serial) })
	return all, silent
}

// rung is how a board is met whom multicast does not tell of: the first of these that holds.
type rung int

const (
	bySettings rung = iota
	byMemory
	byOther
	byItself
	rungs
)

// String follows a number of boards.
func (r rung) String() string {
	return [...]string{"named in the settings", "remembered from last time", "named by another board", "that asked this one"}[r]
}

// rung is the way to a contact.
func (c *contact) rung() rung {
	switch {
	case c.named:
		return bySettings
	case c.recalled:
		return byMemory
	case c.told:
		return byOther
	}
	return byItself
}

// before orders addresses: one that a person knows a board by comes before a link-local one.
func before(a, b netip.Addr) bool {
	if a.IsLinkLocalUnicast() != b.IsLinkLocalUnicast() {
		return b.IsLinkLocalUnicast()
	}
	return a.Less(b)
}

// name makes contacts of the addresses in the settings, which stay.
func (t *contacts) name(addrs []netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range addrs {
		if c := t.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.named = true
		}
	}
}

// isNamed reports whether the settings name this address.
func (t *contacts) isNamed(addr netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.all[addr]
	return c != nil && c.named
}

// unanswered are the named addresses at which nobody has answered, this board included: its own address is no matter.
func (t *contacts) unanswered() (addrs []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if c.named && !c.met && (c.asked.IsZero() || c.failures > 0) {
			addrs = append(addrs, c.addr.Addr())
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// reached lists where boards outside a swarm were met lately, and counts those that were met though no announcement of
// theirs is heard.
func (t *contacts) reached(now time.Time) (addrs []netip.Addr, boards int, unheard [rungs]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard := map[peer.Serial]bool{}
	for _, c := range t.all {
		if now.Before(c.hintEnds) {
			heard[c.hint.Serial] = true
		}
	}
	met := map[peer.Serial]*contact{}
	for _, c := range t.all {
		if !c.met || now.Sub(c.lastMet) >= t.timing.Fresh {
			continue
		}
		addrs = append(addrs, c.addr.Addr())
		if known := met[c.answer.Claim.Serial]; known == nil || c.rung() < known.rung() {
			met[c.answer.Claim.Serial] = c
		}
	}
	for serial, c := range met {
		if !heard[serial] && now.Sub(c.firstMet) >= t.timing.Unheard {
			unheard[c.rung()]++
		}
	}
	return addrs, len(met), unheard
}

// tell makes contacts of addresses that another board named.
func (t *contacts) tell(addrs []netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range addrs {
		if c := t.at(netip.AddrPortFrom(a, peer.Port), now); c != nil {
			c.told = true
		}
	}
}

// reach is how the other boards outside a swarm are reached, as it was told.
type reach struct {
	now, told string
	since     time.Time
}

// tellReach says when boards are met that multicast does not tell of, and what leads to them instead.
func (l *Loop) tellReach(now time.Time) {
	text := ""
	if _, boards, unheard := l.contacts.reached(now); unheard != [rungs]int{} && !l.Claim().State.InSwarm() {
		n := 0
		var ways []string
		for r, k := range unheard {
			if n += k; k > 0 {
				ways = append(ways, fmt.Sprintf("%d %s", k, rung(r)))
			}
		}
		text = fmt.Sprintf("Multicast does not pass this network: %d of %d boards are met by address only, %s. Turn off client isolation "+
			"and IGMP snooping, or name one board in peers on all others.", n, boards, strings.Join(ways, ", "))
	}
	if text != l.reach.now {
		l.reach.now, l.reach.since = text, now
	}
	if text != "" && text != l.reach.told && now.Sub(l.reach.since) >= l.Timing.ReachCalm {
		l.reach.told = text
		l.Log.Warn(text)
	}
}
