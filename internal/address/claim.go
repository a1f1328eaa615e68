package address

// This file claims and defends an address on one link, as RFC 5227 has it.

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Times of RFC 5227 section 1.1.
const (
	probeWait        = time.Second // before the first probe, at random
	probeNum         = 3
	probeMin         = time.Second // between probes, at random
	probeMax         = 2 * time.Second
	announceWait     = 2 * time.Second // after the last probe
	announceNum      = 2
	announceInterval = 2 * time.Second
	maxConflicts     = 10               // before slowing down
	rateLimit        = 60 * time.Second // RATE_LIMIT_INTERVAL, between attempts from then on
	defendInterval   = 10 * time.Second
)

// claim speaks ARP for one address at a time on one link.
type claim struct {
	wire  wire
	self  mac           // sends from here
	own   map[mac]bool  // all interfaces of this board: their packets are no conflict
	heard chan arp      // closed when the wire is broken
	done  chan struct{} // closed by close
}

// newClaim begins to listen to w, which close ends.
func newClaim(w wire, self mac, own map[mac]bool) *claim {
	c := &claim{wire: w, self: self, own: own, heard: make(chan arp), done: make(chan struct{})}
	go func() {
		defer close(c.heard)
		for {
			a, err := w.Receive()
			if err != nil {
				return
			}
			select {
			case c.heard <- a:
			case <-c.done:
				return
			}
		}
	}()
	return c
}

// close returns when nobody listens any more.
func (c *claim) close() {
	close(c.done)
	_ = c.wire.Close() // nothing was written that could be lost
	for range c.heard {
	}
}

// conflict reports whether a shows that another machine has addr (RFC 5227 section 2.4), or wants it while this one is
// still probing (section 2.1.1).
func (c *claim) conflict(a arp, addr netip.Addr, probing bool) bool {
	return !c.own[a.hardware] && (a.sender == addr || probing && !a.reply && a.sender.IsUnspecified() && a.target == addr)
}

// probe finds out whether addr is free, which takes 4 to 7 s (RFC 5227 section 2.1.1). It returns who else has it, or
// wants it at the same time.
func (c *claim) probe(ctx context.Context, addr netip.Addr) (other mac, free bool, err error) {
	timer := time.NewTimer(rand.N(probeWait))
	defer timer.Stop()
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			return mac{}, false, ctx.Err()
		case a, ok := <-c.heard:
			if !ok {
				return mac{}, false, errBroken
			}
			if c.conflict(a, addr, true) {
				return a.hardware, false, nil
			}
		case <-timer.C:
			if sent == probeNum {
				return mac{}, true, nil
			}
			if err := c.wire.Send(arp{hardware: c.self, sender: netip.IPv4Unspecified(), target: addr}); err != nil {
				return mac{}, false, err
			}
			if sent++; sent == probeNum {
				timer.Reset(announceWait)
			} else {
				timer.Reset(probeMin + rand.N(probeMax-probeMin))
			}
		}
	}
}

var errBroken = errors.New("the interface does not let ARP through any more")

// announce tells everybody that addr is here, also those who had known it elsewhere.
func (c *claim) announce(addr netip.Addr) error {
	return c.wire.Send(arp{hardware: c.self, sender: addr, target: addr})
}

// defence decides what to do about conflicts over an address that is held, RFC 5227 section 2.4. One that a swarm
// relies on is never given up, case (c) there; any other is when a second conflict follows the first, case (b).
type defence struct {
	last time.Time // when an announcement was last made for this reason
}

// conflict takes in one at now, and says whether to answer with an announcement or to give the address up.
func (d *defence) conflict(now time.Time, inUse bool) (announce, yield bool) {
	if d.last.IsZero() || now.Sub(d.last) >= defendInterval {
		d.last = now
		return true, false
	}
	return false, !inUse
}
