package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Where boards are met is written seldom: those that come together at once, a later one after minutes, and nothing anew
// while the same are met at the same places.
func TestPlacesAreRememberedSeldom(t *testing.T) {
	var wrote []string
	known := New(peer.Fingerprint{1}, patient)
	m := &Memory{Write: func(addrs []netip.Addr) error {
		wrote = append(wrote, fmt.Sprint(addrs))
		return nil
	}}
	meet := func(n byte, addr string, at time.Time) {
		p := trust.Peer{Key: peer.Fingerprint{n}, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), peer.Port)}
		known.Meet(p, at)
	}
	for second := range 1200 {
		at := now.Add(time.Duration(second) * time.Second)
		switch second {
		case 10:
			meet(2, "10.0.0.2", at)
		case 12:
			meet(2, "169.254.7.2", at)
		case 20:
			meet(3, "10.0.0.3", at)
		case 60:
			meet(4, "10.0.0.4", at)
		}
		m.Keep(known.Places(), at, patient, zap.NewNop())
	}
	want := []string{"[169.254.7.2 10.0.0.2 10.0.0.3]", "[169.254.7.2 10.0.0.2 10.0.0.3 10.0.0.4]"}
	if !slices.Equal(wrote, want) {
		t.Errorf("wrote %q, want %q", wrote, want)
	}
}
