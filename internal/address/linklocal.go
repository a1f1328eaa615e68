package address

// This file says which addresses of RFC 3927 a board tries.

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// LinkLocal is where stable addresses come from: every LAN has this network beside its own, no router hands it out, and
// it is never routed (RFC 3927).
var LinkLocal = netip.MustParsePrefix("169.254.0.0/16")

// Candidate is the address that a board with this serial should try, 169.254.1.0 to 169.254.254.255 (RFC 3927 section
// 2.1). The attempts 0, 1, 2 and so on give addresses that have nothing to do with one another, the same ones every
// time.
func Candidate(s peer.Serial, attempt int) netip.Addr {
	const first, count = 1 << 8, 254 << 8
	sum := sha256.Sum256(fmt.Appendf(nil, "pi-agent address\n%s\n%d", s, attempt))
	host := first + binary.BigEndian.Uint64(sum[:])%count
	return netip.AddrFrom4([4]byte{169, 254, byte(host >> 8), byte(host)})
}

// checkStable says whether addr can be a stable address.
func checkStable(addr netip.Addr) error {
	if low := netip.MustParseAddr("169.254.1.0"); !LinkLocal.Contains(addr) || addr.Less(low) ||
		netip.MustParseAddr("169.254.254.255").Less(addr) {
		return fmt.Errorf("address %s is not in 169.254.1.0 to 169.254.254.255", addr)
	}
	return nil
}
