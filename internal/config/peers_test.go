package config

import (
	"net/netip"
	"slices"
	"testing"
)

func TestPeers(t *testing.T) {
	c, err := parse(Default(), "f", []byte(`peers = ["192.168.1.20", "169.254.7.8"]`))
	want := []netip.Addr{netip.MustParseAddr("192.168.1.20"), netip.MustParseAddr("169.254.7.8")}
	if err != nil || !slices.Equal(c.Peers, want) {
		t.Errorf("%v, %v, want %v", c.Peers, err, want)
	}
	if c, err = parse(c, "f", []byte("peers = []")); err != nil || c.Peers != nil {
		t.Errorf("an empty list on the boot partition leaves %v, %v", c.Peers, err)
	}
}
