package enroll

import (
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

// perSource is a listener that closes a connection at once when its address has too many already.
type perSource struct {
	net.Listener
	mu   sync.Mutex
	open map[netip.Addr]int
}

func newPerSource(l net.Listener) *perSource {
	return &perSource{Listener: l, open: map[netip.Addr]int{}}
}

// Accept implements net.Listener.
func (p *perSource) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil || !p.enter(from.Addr()) {
			_ = c.Close() // the client sees the connection go, which is the message
			continue
		}
		return &countedConn{Conn: c, leave: sync.OnceFunc(func() { p.leave(from.Addr()) })}, nil
	}
}

func (p *perSource) enter(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[a] >= connPerSource {
		return false
	}
	p.open[a]++
	return true
}

func (p *perSource) leave(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[a]--; p.open[a] == 0 {
		delete(p.open, a)
	}
}

type countedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
