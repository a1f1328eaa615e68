package trust_test

import (
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

func TestDeny(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	const stolen, ours = peer.Serial("10000000aabbcc05"), peer.Serial("10000000aabbcc07")
	model := trust.NewDeny(trust.SameName{Cluster: "pi"}, []peer.Serial{"10000000aabbcc03", stolen}, zap.New(core))
	for range 3 {
		for _, purpose := range []trust.Purpose{trust.Hello, trust.Join} {
			for _, asked := range []bool{false, true} {
				c := trust.Contact{
					Purpose: purpose, Asked: asked, From: netip.MustParseAddr("192.0.2.5"),
					Claim: peer.Claim{Serial: stolen, Cluster: "pi", State: peer.Manager},
				}
				if err := model.Peer(c); err == nil || !strings.Contains(err.Error(), "deny") {
					t.Errorf("the stolen board, purpose %v, asked %v: %v", purpose, asked, err)
				}
				c.Claim.Serial = ours
				if err := model.Peer(c); err != nil {
					t.Errorf("another board, purpose %v, asked %v: %v", purpose, asked, err)
				}
				c.Claim.Cluster = "class-b"
				if err := model.Peer(c); err == nil {
					t.Error("a board of another cluster is a peer")
				}
			}
		}
	}
	if logs.Len() != 1 || !strings.HasPrefix(logs.All()[0].Message, "pi-bbcc05 is denied") {
		t.Errorf("it says %v, want one line", logs.All())
	}
}
