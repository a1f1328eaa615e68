package bootstrap

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

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
		{"a worker beside its original", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{original}, Shed},
		{"a manager beside its original", copied, swarm.Status{State: swarm.Active, NodeID: "n", Manager: true, SwarmID: "a"}, []Peer{original}, Shed},
		{"a copy that waits for the manager", copied, swarm.Status{State: swarm.Pending, NodeID: "n"}, []Peer{original}, Shed},
		{"a card that was moved", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(high, peer.Manager, node("m"), in("a"))}, Stay},
		{"the original has been silent for long", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(low, peer.Worker, node("n"), met(rivalFor))}, Stay},
		{"the original itself", peer.Membership{Node: "n"}, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(high, peer.Worker, node("n"))}, Stay},
		{"a card of a board outside a swarm", peer.Membership{From: low}, swarm.Status{State: swarm.Inactive}, []Peer{board(low, peer.Blank)}, Propose},
	} {
		a := Decide(View{Now: now, Serial: mine, Member: tt.member, Engine: tt.engine, Peers: tt.peers, Linked: now})
		if a.Kind != tt.want || (a.Kind == Shed) != strings.Contains(a.Reason, "is a copy of that of pi-000001") {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}

// The board of a card that was moved keeps what is on it, once the board before has not been met for a while.
func TestKeepCard(t *testing.T) {
	var kept []peer.Membership
	l := NewLoop(Options{
		Member: peer.Membership{From: low}, Hostname: func() string { return "" }, Log: zap.NewNop(),
		Remember: func(m peer.Membership) error {
			kept = append(kept, m)
			return nil
		},
	})
	l.status, l.engineSeen = swarm.Status{State: swarm.Active, NodeID: "n", Manager: true, SwarmID: "a"}, true
	l.remember(peer.Membership{Swarm: "a", Node: "n", Manager: true})
	l.keepCard(l.started.Add(copyMax - time.Second))
	if want := (peer.Membership{Swarm: "a", Node: "n", Manager: true, From: low}); len(kept) != 1 || kept[0] != want {
		t.Fatalf("at first it keeps %+v, want %+v", kept, want)
	}
	l.keepCard(l.started.Add(copyMax))
	if want := (peer.Membership{Swarm: "a", Node: "n", Manager: true}); len(kept) != 2 || kept[1] != want {
		t.Errorf("then it keeps %+v, want %+v", kept, want)
	}
	l.Member.From = low
	l.status = swarm.Status{State: swarm.Inactive}
	l.remember(peer.Membership{})
	if l.Member != (peer.Membership{}) {
		t.Errorf("outside a swarm it keeps %+v", l.Member)
	}
}
