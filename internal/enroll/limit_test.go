package enroll

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// heldConn is a connection that only tells whether it was closed.
type heldConn struct {
	net.Conn
	closed bool
}

func (c *heldConn) Close() error {
	c.closed = true
	return nil
}

func TestGateMakesTheOldestGiveWay(t *testing.T) {
	g := newGate(nil)
	addr := netip.MustParseAddr("10.77.0.1")
	var held []*heldConn
	enter := func(a netip.Addr) net.Conn {
		c := &heldConn{}
		held = append(held, c)
		return g.enter(c, a)
	}
	first := enter(addr)
	for range connMax - 1 {
		addr = addr.Next()
		if enter(addr) == nil {
			t.Fatal("not let in, though there is room")
		}
	}
	if held[0].closed {
		t.Error("closed, though there was room")
	}
	for i := range 3 {
		addr = addr.Next()
		if enter(addr) == nil || !held[i].closed || held[i+1].closed || g.conns.Len() != connMax {
			t.Errorf("the oldest did not make way: %d connections", g.conns.Len())
		}
	}
	if err := first.Close(); err != nil || g.conns.Len() != connMax {
		t.Errorf("one that was closed counts twice: %v, %d connections", err, g.conns.Len())
	}
	for range 2 * connPerSource {
		enter(addr)
	}
	if g.open[addr] != connPerSource {
		t.Errorf("%d connections of one address, want %d", g.open[addr], connPerSource)
	}
	for e := g.conns.Front(); e != nil; e = g.conns.Front() {
		if err := e.Value.(*gated).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.open) != 0 {
		t.Errorf("addresses are remembered after all is closed: %v", g.open)
	}
}

func TestRatesAreBoundedAndRecover(t *testing.T) {
	r := newRates()
	now := time.Unix(0, 0)
	one := netip.MustParseAddr("10.77.0.1")
	allowed := 0
	for range 1000 {
		if r.allow(one, now) {
			allowed++
		}
	}
	if allowed != sourceBurst {
		t.Errorf("%d requests at once, want %d", allowed, sourceBurst)
	}
	if !r.allow(netip.MustParseAddr("10.77.0.2"), now) {
		t.Error("one source's flood shuts another out")
	}
	if !r.allow(one, now.Add(time.Second)) {
		t.Error("not allowed again after a second")
	}
	addr := netip.MustParseAddr("10.0.0.0")
	for range 10 * sourcesTracked {
		addr = addr.Next()
		r.allow(addr, now)
	}
	if got := len(r.sources); got > sourcesTracked {
		t.Errorf("%d sources remembered, want at most %d", got, sourcesTracked)
	}
}
