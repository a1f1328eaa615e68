package address

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lan is a link in memory: what one wire sends, all others hear.
type lan struct {
	mu    sync.Mutex
	wires []*fakeWire
	sent  []arp
	times []time.Time
}

type fakeWire struct {
	lan    *lan
	in     chan arp
	closed chan struct{}
	once   sync.Once
}

func (l *lan) plug() *fakeWire {
	w := &fakeWire{lan: l, in: make(chan arp, 64), closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wires = append(l.wires, w)
	return w
}

func (w *fakeWire) Send(a arp) error {
	w.lan.mu.Lock()
	defer w.lan.mu.Unlock()
	w.lan.sent = append(w.lan.sent, a)
	w.lan.times = append(w.lan.times, time.Now())
	for _, other := range w.lan.wires {
		if other != w {
			other.in <- a
		}
	}
	return nil
}

func (w *fakeWire) Receive() (arp, error) {
	select {
	case a := <-w.in:
		return a, nil
	case <-w.closed:
		return arp{}, errors.New("closed")
	}
}

func (w *fakeWire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

var (
	wanted = netip.MustParseAddr("169.254.7.8")
	other  = netip.MustParseAddr("169.254.9.9")
	macA   = mac{2, 0, 0, 0, 0, 0xa}
	macB   = mac{2, 0, 0, 0, 0, 0xb}
)

func claimOn(l *lan, m mac) *claim { return newClaim(l.plug(), m, map[mac]bool{m: true}) }

func TestProbe(t *testing.T) {
	tests := []struct {
		name string
		said arp // what another machine sends a moment after the first probe
		free bool
	}{
		{"nobody", arp{hardware: macB, sender: other, target: wanted}, true}, // somebody else looks for it
		{"answered", arp{reply: true, hardware: macB, sender: wanted}, false},
		{"announced", arp{hardware: macB, sender: wanted, target: wanted}, false},
		{"probed by another", arp{hardware: macB, sender: netip.IPv4Unspecified(), target: wanted}, false},
		{"another address is probed", arp{hardware: macB, sender: netip.IPv4Unspecified(), target: other}, true},
		{"its own packet comes back", arp{hardware: macA, sender: netip.IPv4Unspecified(), target: wanted}, true},
		{"its own other interface answers", arp{reply: true, hardware: mac{2, 2}, sender: wanted}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l lan
				foreign := l.plug()
				c := newClaim(l.plug(), macA, map[mac]bool{macA: true, {2, 2}: true})
				defer c.close()
				go func() {
					if _, err := foreign.Receive(); err == nil {
						_ = foreign.Send(tt.said)
					}
				}()
				began := time.Now()
				who, free, err := c.probe(t.Context(), wanted)
				if err != nil || free != tt.free || !free && who != macB {
					t.Errorf("probe() = %v, %v, %v, want %v", who, free, err, tt.free)
				}
				if !tt.free {
					return
				}
				if took := time.Since(began); took < 2*probeMin+announceWait || took > probeWait+2*probeMax+announceWait {
					t.Errorf("probing took %v", took)
				}
				probes := slices.DeleteFunc(slices.Clone(l.sent), func(a arp) bool { return a == tt.said })
				want := arp{hardware: macA, sender: netip.IPv4Unspecified(), target: wanted}
				if tt.said != want && !slices.Equal(probes, []arp{want, want, want}) {
					t.Errorf("sent %+v", probes)
				}
			})
		})
	}
}

func TestProbeAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lan
		got := make(chan bool, 2)
		a, b := claimOn(&l, macA), claimOn(&l, macB)
		defer a.close()
		defer b.close()
		for _, c := range []*claim{a, b} {
			go func() {
				_, free, err := c.probe(t.Context(), wanted)
				if err != nil {
					t.Error(err)
				}
				got <- free
			}()
		}
		if first, last := <-got, <-got; first && last {
			t.Error("both have it")
		}
	})
}

func TestProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lan
		c := claimOn(&l, macA)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, free, err := c.probe(ctx, wanted); free || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("probe() = %v, %v after its context", free, err)
		}
		_ = c.wire.Close()
		if _, free, err := c.probe(t.Context(), wanted); free || !errors.Is(err, errBroken) {
			t.Errorf("probe() = %v, %v on a broken wire", free, err)
		}
		c.close()
	})
}

func TestDefence(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, inUse := range []bool{false, true} {
		var d defence
		steps := []struct {
			at              float64
			announce, yield bool
		}{
			{0, true, false},
			{9.9, false, !inUse},
			{10, true, false}, // at most one in 10 s, however often the other one speaks
			{11, false, !inUse},
			{40, true, false},
		}
		for _, s := range steps {
			if announce, yield := d.conflict(at(s.at), inUse); announce != s.announce || yield != s.yield {
				t.Errorf("in use %v, %v s: %v, %v, want %v, %v", inUse, s.at, announce, yield, s.announce, s.yield)
			}
		}
	}
}
