package enroll

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates bounds the requests of each source address.
type rates struct {
	mu      sync.Mutex
	sources map[netip.Addr]*rate.Limiter
}

func newRates() *rates { return &rates{sources: map[netip.Addr]*rate.Limiter{}} }

// allow reports whether a request from this address may be served now.
func (r *rates) allow(from netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.sources[from]
	if l == nil {
		if len(r.sources) >= sourcesTracked {
			r.forget(now)
		}
		l = rate.NewLimiter(sourceRate, sourceBurst)
		r.sources[from] = l
	}
	return l.AllowN(now, 1)
}

// forget makes room: it drops the sources that have been quiet long enough to have all their burst back, which loses
// nothing, and where none has, one at random.
func (r *rates) forget(now time.Time) {
	for from, l := range r.sources {
		if l.TokensAt(now) >= sourceBurst {
			delete(r.sources, from)
		}
	}
	for from := range r.sources {
		if len(r.sources) < sourcesTracked {
			return
		}
		delete(r.sources, from)
	}
}

// gate is a listener that keeps the number of connections within bounds. One address can open only so many, and only so
// often; a further one is closed at once. When all addresses together have too many, the oldest makes way: an exchange
// between boards takes milliseconds, so that is one that somebody holds open.
type gate struct {
	net.Listener
	rates *rates

	mu    sync.Mutex
	open  map[netip.Addr]int
	conns *list.List // of *gated, the oldest first
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, rates: newRates(), open: map[netip.Addr]int{}, conns: list.New()}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err == nil && g.rates.allow(from.Addr(), time.Now()) {
			if in := g.enter(c, from.Addr()); in != nil {
				return in, nil
			}
		}
		_ = c.Close() // the client sees the connection go, which is the message
	}
}

// enter lets a connection in, or returns nil when its address has too many.
func (g *gate) enter(c net.Conn, from netip.Addr) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[from] >= connPerSource {
		return nil
	}
	if g.conns.Len() >= connMax {
		oldest := g.conns.Front().Value.(*gated)
		g.forget(oldest)
		_ = oldest.Conn.Close() // its handler notices
	}
	in := &gated{Conn: c, gate: g, from: from}
	in.place = g.conns.PushBack(in)
	g.open[from]++
	return in
}

// forget takes a connection off the list, if it is there. The caller must hold g.mu.
func (g *gate) forget(c *gated) {
	if c.place == nil {
		return
	}
	g.conns.Remove(c.place)
	c.place = nil
	if g.open[c.from]--; g.open[c.from] == 0 {
		delete(g.open, c.from)
	}
}

// gated is a connection that was let in.
type gated struct {
	net.Conn
	gate  *gate
	from  netip.Addr
	place *list.Element // guarded by gate.mu; nil when it is off the list
}

// Close implements net.Conn.
func (c *gated) Close() error {
	c.gate.mu.Lock()
	c.gate.forget(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
