package bootstrap

import (
	"math/rand/v2"
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
		{"a manager that cannot enter its swarm, beside its original", copied, swarm.Status{State: swarm.Failed}, []Peer{original}, Shed},
		{"a copy whose engine has left", copied, swarm.Status{State: swarm.Inactive}, []Peer{board(low, peer.Blank, node("n"))}, Propose},
		{"a card that was moved", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(high, peer.Manager, node("m"), in("a"))}, Stay},
		{"the original has been silent for long", copied, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(low, peer.Worker, node("n"), met(patient.Rival))}, Stay},
		{"the original itself", peer.Membership{Node: "n"}, swarm.Status{State: swarm.Active, NodeID: "n"}, []Peer{board(high, peer.Worker, node("n"))}, Stay},
		{"a card of a board outside a swarm", peer.Membership{From: low}, swarm.Status{State: swarm.Inactive}, []Peer{board(low, peer.Blank)}, Propose},
	} {
		a := Decide(View{Timing: patient, Now: now, Serial: mine, Member: tt.member, Engine: tt.engine, Peers: tt.peers, Linked: now})
		if a.Kind != tt.want || (a.Kind == Shed) != strings.Contains(a.Reason, "is a copy of that of pi-000001") {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}

// Two boards that are one node for long are named, by themselves and by their manager.
func TestDecideDoubled(t *testing.T) {
	worker := swarm.Status{State: swarm.Active, NodeID: "n"}
	manager := swarm.Status{State: swarm.Active, NodeID: "m", Manager: true, SwarmID: "a"}
	long := now.Add(-patient.Doubled)
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
		{"a copy that may still leave", manager, now.Add(time.Second - patient.Doubled), two, ""},
		{"one of them is gone", manager, long, []Peer{two[0], board(high, peer.Worker, node("n"), met(patient.Rival))}, ""},
		{"boards outside a swarm", manager, long, []Peer{board(low, peer.Blank), board(high, peer.Blank)}, ""},
	} {
		a := Decide(View{Timing: patient, Now: now, Serial: mine, Engine: tt.engine, Doubled: tt.since, Peers: tt.peers, Linked: now})
		if a.Trouble != (tt.want != "") || !strings.Contains(a.Reason, tt.want) {
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
	l.remember(peer.Membership{}) // stopped before its engine has answered
	if len(kept) > 0 {
		t.Fatalf("before its engine has answered it keeps %+v", kept)
	}
	l.status, l.statusErr, l.engineSeen = swarm.Status{State: swarm.Active, NodeID: "n", Manager: true, SwarmID: "a"}, nil, true
	l.remember(peer.Membership{Swarm: "a", Node: "n", Manager: true})
	l.keepCard(l.started.Add(patient.Copy - time.Second))
	if want := (peer.Membership{Swarm: "a", Node: "n", Manager: true, From: low}); len(kept) != 1 || kept[0] != want {
		t.Fatalf("at first it keeps %+v, want %+v", kept, want)
	}
	l.keepCard(l.started.Add(patient.Copy))
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

// spare forms a swarm that holds something, with a board beside it that has never been on.
func (w *world) spare(t testing.TB, rnd *rand.Rand) (original, other *simBoard) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 3+rnd.IntN(3))
	other = w.boards[len(w.boards)-1]
	plan := w.startAll(t, rnd)
	for i, e := range plan {
		if e.board == other {
			plan[i].do = func() {}
		}
	}
	w.run(t, plan, 2*time.Minute, w.formed)
	w.run(t, nil, 30*time.Second, nil) // until all know their swarm's id
	original = w.boards[rnd.IntN(len(w.boards)-1)]
	w.leader().engine.Deploy()
	w.run(t, []event{{0, original, "power off", original.powerOff}}, time.Second, nil)
	other.kept = original.remembered()
	other.kept.From = original.serial
	return original, other
}

// A copied card goes into another board. The two meet within 15 minutes, and the copy joins under its own name; or later, and
// both are named.
func simCopiedCard(t testing.TB, w *world, rnd *rand.Rand) {
	original, other := w.spare(t, rnd)
	leader := w.leader()
	other.engine.Clone(original.engine)
	other.node, other.doomed = original.node, true // as far as it is a copy
	on := func(b *simBoard, at time.Duration) event {
		return event{at, b, "power on", func() { b.powerOn(t.Context(), upTo(rnd, 10*time.Second)) }}
	}
	plan := []event{on(original, upTo(rnd, 10*time.Minute)), on(other, upTo(rnd, 10*time.Minute))}
	if late := rnd.IntN(4) == 0; !late {
		w.run(t, plan, 5*time.Minute, func() bool { return other.engine.In() != "" && !other.doomed && w.formed() })
		w.wantLeader(t, leader)
		return
	}
	plan = []event{on(other, 0), on(original, patient.Copy+time.Minute)}
	w.run(t, plan, patient.Doubled+2*time.Minute, nil)
	a, b := min(original.serial, other.serial).Name(), max(original.serial, other.serial).Name()
	if !leader.said(a + " and " + b + " are one node of the swarm") {
		t.Errorf("%s does not name %s and %s", leader.serial.Name(), a, b)
	}
}

// A board breaks, and its card goes into another one, which keeps the place in the swarm and all that is in it.
func simMovedCard(t testing.TB, w *world, rnd *rand.Rand) {
	original, other := w.spare(t, rnd)
	leads := w.leader() == original
	node := original.node
	other.engine.Take(original.engine)
	other.node, other.swarm, original.node, original.swarm = original.node, original.swarm, "", ""
	w.run(t, []event{{upTo(rnd, 5*time.Minute), other, "power on", func() { other.powerOn(t.Context(), upTo(rnd, 10*time.Second)) }}},
		patient.Copy+5*time.Minute, nil)
	s, err := other.engine.Status(t.Context())
	if err != nil || s.NodeID != node || s.Manager != leads || other.remembered().From != "" || !other.said("its place in the swarm is this board's now") {
		t.Errorf("%s is %+v, %v; the card was node %s", other.serial.Name(), s, err, node)
	}
}
