package discovery

// This file keeps what other boards announced, for as long as it holds and within bounds.

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Bounds of the cache. Whoever can send to the link can invent boards.
const (
	hintsMax     = 256
	hintsPerAddr = 4 // so that one address alone cannot fill the cache
)

// errFull says that a new hint has taken the place of another.
var errFull = errors.New("no room for another board")

// origin is what a hint is filed under: a board that is heard from two addresses has two hints.
type origin struct {
	serial peer.Serial
	addr   netip.Addr
}

// hint makes a hint of what was heard from addr at now.
func (i instance) hint(addr netip.Addr, now time.Time) Hint {
	return Hint{Claim: i.claim, Addr: netip.AddrPortFrom(addr, peer.Port), Heard: now, Expires: now.Add(i.ttl)}
}

// cache has what was heard and still holds.
type cache map[origin]Hint

// put files a hint that was just heard. fresh means that its origin is new, changed that it is new or says something
// else than before. A new one always gets in: where there is no room it takes the place of one chosen by chance, so
// that a flood shuts nobody out for long. That is errFull.
func (c cache) put(h Hint) (fresh, changed bool, err error) {
	at := origin{h.Claim.Serial, h.Addr.Addr()}
	old, known := c[at]
	if !known {
		err = c.makeRoom(at.addr)
	}
	c[at] = h
	return !known, !known || old.Claim != h.Claim, err
}

// makeRoom drops a hint when there is no room for another one of this address.
func (c cache) makeRoom(addr netip.Addr) error {
	var one, oneHere origin
	here := 0
	for p := range c { // in an order by chance
		one = p
		if p.addr == addr {
			here++
			oneHere = p
		}
	}
	switch {
	case here >= hintsPerAddr:
		delete(c, oneHere)
	case len(c) >= hintsMax:
		delete(c, one)
	default:
		return nil
	}
	return errFull
}

// remove forgets what came from an origin and reports whether it was known.
func (c cache) remove(at origin) bool {
	_, known := c[at]
	delete(c, at)
	return known
}

// expire forgets what no longer holds at now. It returns when the next hint expires, zero when there is none.
func (c cache) expire(now time.Time) (next time.Time, gone bool) {
	for at, h := range c {
		switch {
		case !h.Expires.After(now):
			delete(c, at)
			gone = true
		case next.IsZero() || h.Expires.Before(next):
			next = h.Expires
		}
	}
	return next, gone
}

// split sorts the hints by serial and address, and sets apart the addresses of boards that have our own serial.
func (c cache) split(own peer.Serial) (hints []Hint, duplicates []netip.Addr) {
	sorted := slices.Collect(maps.Keys(c))
	sort.Slice(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		return cmp.Or(cmp.Compare(a.serial, b.serial), a.addr.Compare(b.addr)) < 0
	})
	for _, at := range sorted {
		if at.serial == own {
			duplicates = append(duplicates, at.addr)
		} else {
			hints = append(hints, c[at])
		}
	}
	return hints, duplicates
}

// known are the known answers to a question: the other boards that hold for at least half their TTL still (RFC 6762
// section 7.1).
func (c cache) known(own peer.Serial, now time.Time) (known []dns.RR) {
	hints, _ := c.split(own)
	hints = slices.DeleteFunc(hints, func(h Hint) bool { return h.Expires.Sub(now) < h.Expires.Sub(h.Heard)/2 })
	hints = slices.CompactFunc(hints, func(a, b Hint) bool { return a.Claim.Serial == b.Claim.Serial })
	for _, h := range hints {
		known = append(known, pointer(h.Claim.Serial, h.Expires.Sub(now)))
	}
	return known
}
