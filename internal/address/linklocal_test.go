package address

import (
	"net/netip"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
)

func TestCandidate(t *testing.T) {
	const serial = peer.Serial("10000000aabbcc01")
	if got, want := Candidate(serial, 0), netip.MustParseAddr("169.254.0.0"); got == want || got != Candidate(serial, 0) {
		t.Errorf("Candidate() = %v, then %v", got, Candidate(serial, 0))
	}
	seen := map[netip.Addr]bool{}
	blocks := map[byte]bool{}
	const attempts = 5000
	for i := range attempts {
		a := Candidate(serial, i)
		if err := checkStable(a); err != nil {
			t.Fatal(err)
		}
		seen[a] = true
		blocks[a.As4()[2]] = true
	}
	// Of 65024 addresses, 5000 draws are expected to give 4813 different ones.
	if len(seen) < 4700 || len(blocks) != 254 {
		t.Errorf("%d attempts gave %d addresses in %d blocks", attempts, len(seen), len(blocks))
	}
}

func TestCheckStable(t *testing.T) {
	for text, good := range map[string]bool{
		"169.254.1.0": true, "169.254.254.255": true, "169.254.77.8": true,
		"169.254.0.255": false, "169.254.255.0": false, "10.0.0.1": false, "fe80::1": false, "169.253.9.9": false,
	} {
		if err := checkStable(netip.MustParseAddr(text)); (err == nil) != good {
			t.Errorf("checkStable(%s) = %v", text, err)
		}
	}
	if checkStable(netip.Addr{}) == nil {
		t.Error("no address is a stable address")
	}
}
