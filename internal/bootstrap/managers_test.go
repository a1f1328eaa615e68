package bootstrap

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// asker is managers that give a ticket, or not.
type asker map[peer.Serial]error

func (a asker) Join(_ context.Context, m trust.Peer, _ peer.Claim) (enroll.Ticket, error) {
	return enroll.Ticket{}, a[m.Claim.Serial]
}

func (asker) Picture(context.Context, trust.Peer, peer.Claim) ([]byte, error) {
	return nil, errors.New("not asked here")
}

func (asker) Probe(context.Context, trust.Peer, peer.Claim) (map[string]string, error) {
	return nil, errors.New("not asked here")
}

func (asker) Hello(context.Context, netip.AddrPort, peer.Claim) (trust.Peer, error) {
	return trust.Peer{}, errors.New("not asked here")
}

// A board asks one manager of a swarm after the other, and none of another swarm.
func TestTicketFromAnyManager(t *testing.T) {
	closed := errors.New("new boards are let in for 15 minutes")
	managers := []policy.Peer{
		board(low, peer.Manager, in("aaa"), at("10.77.0.1:2378")), board(mid, peer.Manager, in("aaa"), at("10.77.0.2:2378")),
		board(high, peer.Manager, in("bbb"), at("10.77.0.3:2378")),
	}
	voteless := board("1000000000000002", peer.Manager, at("10.77.0.4:2378"))
	tests := []struct {
		name string
		from policy.Peer
		a    asker
		want peer.Serial
		err  error
	}{
		{"the first gives it", managers[0], asker{mid: closed}, low, nil},
		{"the second gives it", managers[0], asker{low: closed}, mid, nil},
		{"none of this swarm gives it", managers[0], asker{low: closed, mid: errors.New("no leader")}, low, closed},
		{"the first has no majority", voteless, asker{voteless.Claim.Serial: errors.New("no leader")}, low, nil},
	}
	for _, tt := range tests {
		l := NewLoop(Options{Serial: mine, Hostname: func() string { return "" }, Asker: tt.a})
		for _, m := range managers {
			l.roster.Meet(verified(m), now)
		}
		_, m, err := l.actor.ticketFrom(t.Context(), tt.from)
		if m.Claim.Serial != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %s, %v; want %s, %v", tt.name, m.Claim.Serial, err, tt.want, tt.err)
		}
	}
}

// An engine that stumbles when it is made a manager shows no node id for a while. It is a member all the same.
func TestMemberWhoseEngineStumbles(t *testing.T) {
	member := peer.Membership{Swarm: "aaa", Node: "n1"}
	stumbles := swarm.Status{State: swarm.Failed, Error: "manager stopped: can't initialize raft node: connection error"}
	c := &card{Membership: member, log: zap.NewNop(),
		remember: func(m peer.Membership) error { t.Errorf("it remembers %+v", m); return nil }}
	c.note(stumbles, func(swarm.Status) string { return "" })
	v := policy.View{Timing: patient, Now: now, Member: c.Membership,
		Engine: policy.Engine{Status: stumbles, Pending: now}}
	before := peer.Claim{Serial: mine, State: peer.Worker, Swarm: "aaa", Node: "n1"}
	if claim := policy.ClaimOf(v, policy.Decide(v), policy.Said{Before: before}); claim.Membership() != member ||
		!claim.State.InSwarm() {
		t.Errorf("it says %+v", claim)
	}
}

// A board whose engine fails right after it has founded a swarm does not say for ever that it is founding it.
func TestFoundingEnds(t *testing.T) {
	v := policy.View{
		Timing: patient, Now: now, Member: peer.Membership{Swarm: "aaa", Node: "n1", Manager: true},
		Engine: policy.Engine{Status: swarm.Status{State: swarm.Failed, NodeID: "n1", Error: "it fails"}, Pending: now},
	}
	before := peer.Claim{Serial: mine, State: peer.Founding}
	if c := policy.ClaimOf(v, policy.Decide(v), policy.Said{Before: before}); c.State != peer.Worker || c.Node != "n1" {
		t.Errorf("it says %+v", c)
	}
}

// That a manager takes this board counts once: it is asked again before the board leaves for it later.
func TestGrantCountsOnce(t *testing.T) {
	a := &actor{
		host:   &host{Options: Options{Asker: asker{high: errors.New("no leader")}, Timing: patient, Log: zap.NewNop()}},
		engine: newEngine(nil, now), card: &card{},
	}
	a.Store(&snapshot{})
	to := func(p policy.Peer) policy.Action { return policy.Action{Kind: policy.Move, Target: p} }
	if done, err := a.move(t.Context(), to(board(low, peer.Manager))); done || err != nil ||
		a.granted == (peer.Fingerprint{}) {
		t.Fatalf("%v, %v, granted %v", done, err, a.granted)
	}
	if _, err := a.move(t.Context(), to(board(high, peer.Manager))); err == nil || a.granted != (peer.Fingerprint{}) {
		t.Errorf("%v, granted %v after another manager has refused", err, a.granted)
	}
}
