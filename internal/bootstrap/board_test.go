package bootstrap

import (
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
)

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// The serials of boards in tests.
const (
	low  = peer.Serial("1000000000000001")
	mine = peer.Serial("1000000000000005")
	mid  = peer.Serial("1000000000000006")
	high = peer.Serial("1000000000000009")
)

// board is another board that answered a second ago.
func board(serial peer.Serial, state peer.State, change ...func(*policy.Peer)) policy.Peer {
	p := policy.Peer{
		Claim: peer.Claim{Serial: serial, Cluster: "pi", State: state},
		Key:   peer.Fingerprint{serial[15]},
		Addr:  netip.MustParseAddrPort("10.77.0.9:2378"),
		Met:   now.Add(-time.Second),
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func in(id string) func(*policy.Peer) { return func(p *policy.Peer) { p.Claim.Swarm = id } }

func at(a string) func(*policy.Peer) {
	return func(p *policy.Peer) { p.Addr = netip.MustParseAddrPort(a) }
}

// wait is a board that does nothing, for that reason.
func wait(reason string) policy.Action {
	return policy.Action{Kind: policy.Wait, Reason: say.Words(reason)}
}
