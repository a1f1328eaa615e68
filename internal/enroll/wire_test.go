package enroll

import (
	"encoding/json"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

// The answer to a hello has the managers beside the claim, whose texts come with their Spanish.
func TestHelloNamesManagers(t *testing.T) {
	c := peer.Claim{Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Manager, Waits: say.Looking.With()}
	text, err := json.Marshal(helloWire{c, []peer.Fingerprint{{1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	var back helloWire
	if err := json.Unmarshal(text, &back); err != nil || back.Claim != c || len(back.Managers) != 2 {
		t.Errorf("%s is read as %+v, %v", text, back, err)
	}
}
