package peer_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
)

func TestJoinOthers(t *testing.T) {
	var addrs []netip.Addr
	for _, a := range []string{"192.168.1.20", "8.8.8.8", "10.0.0.1", "192.168.1.20", "::1"} {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if got := peer.JoinOthers(addrs); got != "10.0.0.1 192.168.1.20" {
		t.Errorf("%q: want each private address once, in order", got)
	}
	for i := range 2 * peer.OthersMax {
		addrs = append(addrs, netip.AddrFrom4([4]byte{192, 168, 255, byte(100 + i)}))
	}
	c := peer.Claim{Serial: "0000000000000001", Cluster: "pi", State: peer.Blank, Peers: peer.JoinOthers(addrs)}
	if err := c.Validate(); err != nil || len(c.Others()) != peer.OthersMax {
		t.Errorf("%v, %d others, want %d", err, len(c.Others()), peer.OthersMax)
	}
}

func TestRemembered(t *testing.T) {
	addrs := func(text ...string) (all []netip.Addr) {
		for _, a := range text {
			all = append(all, netip.MustParseAddr(a))
		}
		return all
	}
	if got := peer.Remembered(addrs("169.254.7.8", "8.8.8.8"), addrs("10.0.0.1", "169.254.7.8")); !slices.Equal(got,
		addrs("169.254.7.8", "10.0.0.1")) {
		t.Errorf("%v: want those of now first, each once, and none of the world", got)
	}
	var many []netip.Addr
	for i := range peer.OthersMax + 1 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	if got := peer.Remembered(addrs("192.168.1.20"), many); len(got) != peer.OthersMax ||
		peer.CheckRemembered(got) != nil {
		t.Errorf("%d addresses, %v", len(got), peer.CheckRemembered(got))
	}
	for _, wrong := range [][]netip.Addr{many, addrs("8.8.8.8"), addrs("fe80::1")} {
		if peer.CheckRemembered(wrong) == nil {
			t.Errorf("%v passes", wrong)
		}
	}
}

func FuzzOthers(f *testing.F) {
	f.Add("10.0.0.1 169.254.7.8")
	f.Add("8.8.8.8")
	f.Add(strings.Repeat("10.0.0.1 ", 33))
	f.Fuzz(func(t *testing.T, text string) {
		c := peer.Claim{Serial: "0000000000000001", Cluster: "pi", State: peer.Blank, Peers: text}
		others := c.Others()
		if err := c.Validate(); err == nil && (len(others) > peer.OthersMax || len(others) != len(strings.Fields(text))) {
			t.Errorf("%q is valid and gives %v", text, others)
		}
		for _, a := range others {
			if !a.IsPrivate() && !a.IsLinkLocalUnicast() {
				t.Errorf("%q lets %s through", text, a)
			}
		}
	})
}
