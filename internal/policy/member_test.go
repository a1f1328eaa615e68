package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func TestDecideWithSeveralManagers(t *testing.T) {
	managers := []netip.AddrPort{netip.MustParseAddrPort("10.77.0.1:2377"), netip.MustParseAddrPort("10.77.0.2:2377")}
	first := func(since time.Duration) Peer {
		return board(low, peer.Manager, in("aaa"), at("10.77.0.1:2378"), met(since))
	}
	second := func(since time.Duration) Peer {
		return board(high, peer.Manager, in("aaa"), at("10.77.0.2:2378"), met(since))
	}
	worker := swarm.Status{State: swarm.Active, NodeID: "n1", Managers: managers}
	manager := swarm.Status{State: swarm.Active, Manager: true, NodeID: "n1", Managers: managers}
	tests := []struct {
		name   string
		engine swarm.Status
		peers  []Peer
		reason string
	}{
		{"both answer", worker, []Peer{first(0), second(0)}, "This board is a worker in the swarm of pi-000001"},
		{"the first is gone", worker, []Peer{first(time.Hour), second(0)},
			"This board is a worker in the swarm of pi-000009"},
		{"both are gone", worker, []Peer{first(time.Hour), second(time.Hour)},
			"its manager pi-000001 at 10.77.0.1 does not answer"},
		{"no majority", manager, []Peer{first(0)}, "does not reach enough of the others"},
		{"one that starts", swarm.Status{State: swarm.Active, Manager: true, Managers: managers[:1]}, []Peer{first(0)},
			"its swarm is starting"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Decide(View{Timing: patient, Now: now, Serial: mine, Engine: Engine{Status: tt.engine},
				Boards: Boards{Peers: tt.peers}})
			if !strings.Contains(a.Reason.En, tt.reason) {
				t.Errorf("%v: %s; want %q", a.Kind, a.Reason, tt.reason)
			}
		})
	}
}

// An engine that stumbles when it is made a manager shows no node id for a while. It is a member all the same, and
// leaves only when it never had a vote and can join anew; a board that never was a member ends a join that has failed.
func TestMemberWhoseEngineStumbles(t *testing.T) {
	const dial = "manager stopped: can't initialize raft node: rpc error: code = Unavailable desc = connection error"
	member := peer.Membership{Swarm: "aaa", Node: "n1"}
	manages := peer.Membership{Swarm: "aaa", Node: "n1", Manager: true}
	manager := []Peer{board(low, peer.Manager, in("aaa"))}
	tests := []struct {
		name    string
		member  peer.Membership
		text    string
		peers   []Peer
		since   time.Duration
		want    Kind
		trouble bool
	}{
		{"a worker, at once", member, dial, manager, patient.Stumble - 1, Wait, false},
		{"a worker", member, dial, manager, patient.Stumble, Abandon, false},
		{"a worker, and no manager to be seen", member, dial, nil, patient.Stumble, Wait, false},
		{"a worker, and a manager without majority", member, dial, []Peer{board(low, peer.Manager)}, patient.Stumble, Wait,
			false},
		{"a worker, and a manager that is gone", member, dial,
			[]Peer{board(low, peer.Manager, in("aaa"), met(patient.Rival))}, time.Hour, Wait, true},
		{"a worker with another trouble", member, "no space left on device", manager, patient.Pending, Wait, true},
		{"a manager", manages, dial, manager, patient.Stumble, Wait, false},
		{"a manager for long", manages, dial, manager, time.Hour, Wait, true},
		{"no member", peer.Membership{}, dial, nil, 0, Abandon, false},
	}
	for _, tt := range tests {
		a := Decide(View{
			Timing: patient,
			Now:    now,
			Serial: mine,
			Engine: Engine{Status: swarm.Status{State: swarm.Failed, Error: tt.text}, Pending: ago(tt.since)},
			Member: tt.member,
			Boards: Boards{Peers: tt.peers},
		})
		if a.Kind != tt.want || a.Trouble != tt.trouble {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}
