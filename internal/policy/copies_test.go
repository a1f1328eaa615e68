package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func node(id string) func(*Peer) { return func(p *Peer) { p.Claim.Node = id } }

// A copy leaves only where its original is there, and nobody else does.
func TestDecideCopied(t *testing.T) {
	original := board(low, peer.Worker, node("n"), in("a"))
	copied := peer.Membership{Node: "n", From: low}
	for _, tt := range []struct {
		name   string
		member peer.Membership
		engine swarm.Status
		peers  []Peer
		want   Kind
	}{
		{"a worker beside its original", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{original}, LeaveCopy},
		{"a manager beside its original", copied, swarm.Status{State: swarm.Active, NodeID: "n", Manager: true, SwarmID: "a"},
			[]Peer{original}, LeaveCopy},
		{"a copy that waits for the manager", copied, swarm.Status{State: swarm.Pending, NodeID: "n"}, []Peer{original},
			LeaveCopy},
		{"a manager that cannot enter its swarm, beside its original", copied, swarm.Status{State: swarm.Failed},
			[]Peer{original}, LeaveCopy},
		{"a copy whose engine has left", copied, swarm.Status{State: swarm.Inactive},
			[]Peer{board(low, peer.Blank, node("n"))}, Propose},
		{"a card that was moved", copied, swarm.Status{State: swarm.Active, NodeID: "n"},
			[]Peer{board(high, peer.Manager, node("m"), in("a"))}, Stay},
		{"the original has been silent for long", copied, swarm.Status{State: swarm.Active, NodeID: "n"},
			[]Peer{board(low, peer.Worker, node("n"), met(patient.Rival))}, Stay},
		{"the original itself", peer.Membership{Node: "n"}, swarm.Status{State: swarm.Active, NodeID: "n"},
			[]Peer{board(high, peer.Worker, node("n"))}, Stay},
		{"a card of a board outside a swarm", peer.Membership{From: low}, swarm.Status{State: swarm.Inactive},
			[]Peer{board(low, peer.Blank)}, Propose},
	} {
		a := Decide(View{Timing: patient, Now: now, Serial: mine, Member: tt.member, Engine: Engine{Status: tt.engine},
			Boards: Boards{Peers: tt.peers}, Network: Network{Linked: now}})
		if a.Kind != tt.want || (a.Kind == LeaveCopy) != strings.Contains(a.Reason.En, "is a copy of that of pi-000001") {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}

// Two boards that are one node for long are named, by themselves and by their manager.
func TestDecideDoubled(t *testing.T) {
	worker := swarm.Status{State: swarm.Active, NodeID: "n"}
	manager := swarm.Status{State: swarm.Active, NodeID: "m", Manager: true, SwarmID: "a"}
	long := now.Add(-patient.DuplicateTold)
	two := []Peer{board(low, peer.Worker, node("n")), board(high, peer.Worker, node("n"))}
	for _, tt := range []struct {
		name   string
		engine swarm.Status
		since  time.Time
		peers  []Peer
		want   string
	}{
		{"this board is one of them", worker, long, two[:1], "pi-000001 and pi-000005 are one node"},
		{"its manager", manager, long, two, "pi-000001 and pi-000009 are one node"},
		{"a copy that may still leave", manager, now.Add(time.Second - patient.DuplicateTold), two, ""},
		{"one of them is gone", manager, long, []Peer{two[0], board(high, peer.Worker, node("n"), met(patient.Rival))}, ""},
		{"boards outside a swarm", manager, long, []Peer{board(low, peer.Blank), board(high, peer.Blank)}, ""},
	} {
		a := Decide(View{Timing: patient, Now: now, Serial: mine, Engine: Engine{Status: tt.engine},
			Swarm: Swarm{Duplicate: tt.since}, Boards: Boards{Peers: tt.peers}, Network: Network{Linked: now}})
		if a.Trouble != (tt.want != "") || !strings.Contains(a.Reason.En, tt.want) {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}
