package enroll

import (
	"net/netip"
	"testing"
	"time"
)

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
