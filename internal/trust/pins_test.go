package trust_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

func TestPinsValidate(t *testing.T) {
	boards := func(n int) map[peer.Serial]peer.Fingerprint {
		all := map[peer.Serial]peer.Fingerprint{}
		for i := range n {
			all[peer.Serial(fmt.Sprintf("2%015x", i))] = keyA
		}
		return all
	}
	for _, tt := range []struct {
		name string
		pins trust.Pins
		word string // of the error; empty for none
	}{
		{"nothing", trust.Pins{}, ""},
		{"the most", trust.Pins{
			Cluster: "pi", Manager: keyA,
			OtherManagers: make([]peer.Fingerprint, 15), Boards: boards(trust.PinsMax),
		}, ""},
		{"a bad cluster", trust.Pins{Cluster: "Pi pi"}, `"Pi pi"`},
		{"too many managers", trust.Pins{OtherManagers: make([]peer.Fingerprint, 16)},
			"16 further managers"},
		{"too many boards", trust.Pins{Boards: boards(trust.PinsMax + 1)}, "257 boards"},
		{"a bad serial", trust.Pins{Boards: map[peer.Serial]peer.Fingerprint{"10000000AABBCC02": keyA}},
			`"10000000AABBCC02"`},
	} {
		err := tt.pins.Validate()
		if (err == nil) != (tt.word == "") || err != nil && !strings.Contains(err.Error(), tt.word) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.word)
		}
	}
}
