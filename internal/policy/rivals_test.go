package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// with is what a manager says that its swarm has.
func with(c peer.Contents) func(*Peer) { return func(p *Peer) { p.Claim.Contents = c } }

func barred(p *Peer)   { p.Barred = errors.New("this board follows another") }
func unlisted(p *Peer) { p.Claim.Unlisted = true }

var (
	empty    = peer.Contents{Nodes: 1}
	services = peer.Contents{Nodes: 1, Services: 2}
	several  = peer.Contents{Nodes: 3}
)

// The rule "an empty swarm yields".
func TestDecideRivalry(t *testing.T) {
	tests := []struct {
		name   string
		mine   peer.Contents
		rival  Peer
		member peer.Membership
		want   Kind
		reason string
	}{
		{"empty meets a lower empty one", empty, board(low, peer.Manager, in("b"), with(empty)), peer.Membership{}, Move,
			"is empty: moving to"},
		{"empty meets a higher empty one", empty, board(high, peer.Manager, in("b"), with(empty)), peer.Membership{}, Serve,
			"it is to yield"},
		{"empty meets a higher one with services", empty, board(high, peer.Manager, in("b"), with(services)),
			peer.Membership{}, Move, "is empty"},
		{"empty meets a higher one with nodes", empty, board(high, peer.Manager, in("b"), with(several)), peer.Membership{},
			Move, "is empty"},
		{"services meet an empty lower one", services, board(low, peer.Manager, in("b"), with(empty)), peer.Membership{},
			Serve, "it is to yield"},
		{"a secret is not empty", peer.Contents{Nodes: 1, Secrets: 1}, board(low, peer.Manager, in("b"), with(empty)),
			peer.Membership{}, Serve, "yield"},
		{"a config is not empty", peer.Contents{Nodes: 1, Configs: 1}, board(low, peer.Manager, in("b"), with(empty)),
			peer.Membership{}, Serve, "yield"},
		{"neither is empty", services, board(low, peer.Manager, in("b"), with(several)), peer.Membership{}, Serve,
			"pi-000001 manages b with 3 nodes, 0 services, 0 secrets and 0 configs, pi-000005 manages a with 1 node, 2 services"},
		{"own contents are not known", peer.Contents{}, board(low, peer.Manager, in("b"), with(services)), peer.Membership{},
			Serve, "asking"},
		{"the others' are not known", empty, board(low, peer.Manager, in("b")), peer.Membership{}, Serve, "asking"},
		{"empty meets one that it may not follow", empty, board(low, peer.Manager, in("b"), with(services), barred),
			peer.Membership{}, Serve, "follows another"},
		{"the other has gone", empty, board(low, peer.Manager, in("b"), with(services), met(patient.Rival)),
			peer.Membership{}, Serve, "This board is a manager"},
		{"a fellow manager", empty, board(low, peer.Manager, in("a"), with(services)), peer.Membership{}, Serve,
			"This board is a manager"},
		{"a worker of another swarm", empty, board(low, peer.Worker, in("b")), peer.Membership{}, Serve,
			"This board is a manager"},
		{"given up by a person", services, board(high, peer.Manager, in("b"), with(empty)),
			peer.Membership{Swarm: "a", Yields: true}, Move, "A person has given"},
		{"another one was given up", services, board(high, peer.Manager, in("b"), with(empty)),
			peer.Membership{Swarm: "x", Yields: true}, Serve, "it is to yield"},
		{"given up to one that it may not follow", services, board(high, peer.Manager, in("b"), barred),
			peer.Membership{Swarm: "a", Yields: true}, Serve, "follows another"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Decide(View{
				Timing: patient,
				Now:    now,
				Serial: mine,
				Engine: Engine{Status: swarm.Status{State: swarm.Active, Manager: true, SwarmID: "a", NodeID: "n"}},
				Swarm:  Swarm{Contents: tt.mine},
				Boards: Boards{Peers: []Peer{tt.rival}},
				Member: tt.member,
			})
			if a.Kind != tt.want || !strings.Contains(a.Reason.En, tt.reason) {
				t.Errorf("%v: %s", a.Kind, a.Reason)
			}
		})
	}
}

// A worker tells of two swarms what its manager tells; the manager of the other one does not list it, of course.
func TestDecideDivided(t *testing.T) {
	own := func(c peer.Contents) Peer { return board(low, peer.Manager, at("10.77.0.1:2378"), in("a"), with(c)) }
	for _, tt := range []struct {
		name  string
		peers []Peer
		told  bool
	}{
		{"neither is empty", []Peer{own(several), board(high, peer.Manager, in("b"), with(services), unlisted)}, true},
		{"the other is empty", []Peer{own(several), board(high, peer.Manager, in("b"), with(empty), unlisted)}, false},
		{"its own is not counted yet",
			[]Peer{own(peer.Contents{}), board(high, peer.Manager, in("b"), with(services), unlisted)}, false},
		{"another manager of its own", []Peer{own(several), board(high, peer.Manager, in("a"), with(several))}, false},
	} {
		a := Decide(View{
			Timing: patient,
			Now:    now,
			Serial: mine,
			Member: peer.Membership{Swarm: "a", Node: "n"},
			Boards: Boards{Peers: tt.peers},
			Engine: Engine{Status: swarm.Status{
				State: swarm.Active, NodeID: "n", Managers: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.1:2377")},
			}},
		})
		if a.Kind != Stay || a.Trouble != tt.told || tt.told != strings.Contains(a.Reason.En, "neither is empty") {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}

// The rule "an orphan moves".
func TestDecideOrphaned(t *testing.T) {
	const home = "10.77.0.1:2378"
	long := func(v *View) { v.Swarm.Disowned = v.Now.Add(-patient.Disowned - time.Minute) }
	silent := func(v *View) { v.Swarm.Answered = ago(patient.Orphaned) }
	tests := []struct {
		name   string
		peers  []Peer
		change func(*View)
		want   Kind
	}{
		{"its manager answers", []Peer{board(low, peer.Manager, at(home), in("a"))}, silent, Stay},
		{"its manager answers, and that of another swarm", []Peer{
			board(low, peer.Manager, at(home), in("a")), board(high, peer.Manager, in("b"))}, silent, Stay},
		{"its manager has no majority", []Peer{board(low, peer.Manager, at(home)), board(high, peer.Manager, in("b"))},
			silent, Stay},
		{"its manager was flashed anew", []Peer{board(low, peer.Manager, at(home), in("b"))}, long, Move},
		{"just now", []Peer{board(low, peer.Manager, at(home), in("b"))},
			func(v *View) { v.Swarm.Disowned = ago(patient.Disowned) }, Stay},
		{"it is not listed any more", []Peer{board(low, peer.Manager, at(home), in("a"), unlisted)}, long, Move},
		{"its manager went to another swarm",
			[]Peer{board(low, peer.Worker, at(home), in("b")), board(high, peer.Manager, in("b"))}, long, Move},
		{"its manager is blank and nobody leads", []Peer{board(low, peer.Blank, at(home))}, long, Stay},
		{"its manager is silent for a while", []Peer{board(low, peer.Manager, in("b"))},
			func(v *View) { v.Swarm.Answered = ago(patient.Orphaned - 1) }, Stay},
		{"its manager is silent for long", []Peer{board(low, peer.Manager, in("b"))}, silent, Move},
		{"another manager, which it may not follow", []Peer{board(low, peer.Manager, in("b"), barred)}, silent, Stay},
		{"another manager, which has gone", []Peer{board(low, peer.Manager, in("b"), met(patient.Rival))}, silent, Stay},
		{"its swarm was never known", []Peer{board(low, peer.Manager, in("b"))},
			func(v *View) { v.Swarm.Answered, v.Member.Swarm = ago(patient.Orphaned), "" }, Stay},
		{"it was a manager", []Peer{board(low, peer.Manager, in("b"))},
			func(v *View) { v.Swarm.Answered, v.Member.Manager = ago(patient.Orphaned), true }, Stay},
		{"another node was remembered", []Peer{board(low, peer.Manager, in("b"))},
			func(v *View) { v.Swarm.Answered, v.Member.Node = ago(patient.Orphaned), "m" }, Stay},
		{"after a power cut", []Peer{board(low, peer.Manager, in("b"))},
			func(v *View) { v.Swarm.Answered, v.Engine.State = ago(patient.Orphaned), swarm.Pending }, Move},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{
				Timing: patient,
				Now:    now,
				Serial: mine,
				Boards: Boards{Peers: tt.peers},
				Swarm:  Swarm{Answered: ago(time.Second)},
				Member: peer.Membership{Swarm: "a", Node: "n"},
				Engine: Engine{Status: swarm.Status{State: swarm.Active, NodeID: "n",
					Managers: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.1:2377")}}},
			}
			tt.change(&v)
			if a := Decide(v); a.Kind != tt.want {
				t.Errorf("%v: %s", a.Kind, a.Reason)
			}
		})
	}
}

func TestDecideExpired(t *testing.T) {
	const text = "x509: certificate has expired or is not yet valid: current time 2026-11-23T08:00:00Z is after 2026-08-01T08:00:00Z"
	manager := board(low, peer.Manager, in("a"))
	tests := []struct {
		name   string
		member peer.Membership
		peers  []Peer
		says   string
		want   Kind
	}{
		{"manager", peer.Membership{Swarm: "a", Node: "n", Manager: true}, []Peer{manager}, text, Wait},
		{"worker", peer.Membership{Swarm: "a", Node: "n"}, []Peer{manager}, text, Move},
		{"worker without manager", peer.Membership{Swarm: "a", Node: "n"}, nil, text, Wait},
		{"worker that hears another swarm", peer.Membership{Swarm: "b", Node: "n"}, []Peer{manager}, text, Wait},
		{"worker that does not follow it", peer.Membership{Swarm: "a", Node: "n"},
			[]Peer{board(low, peer.Manager, in("a"), barred)}, text, Wait},
		{"nothing is remembered", peer.Membership{}, []Peer{manager}, text, Abandon},
		{"another failure of a member", peer.Membership{Swarm: "a", Node: "n"}, []Peer{manager}, "disk full", Wait},
		{"a clock before the certificate", peer.Membership{Swarm: "a", Node: "n"}, []Peer{manager},
			strings.Replace(text, "is after", "is before", 1), Wait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Decide(View{
				Timing: patient,
				Now:    now,
				Serial: mine,
				Boards: Boards{Peers: tt.peers},
				Member: tt.member,
				Engine: Engine{Status: swarm.Status{State: swarm.Failed, Error: tt.says}},
			})
			if a.Kind != tt.want {
				t.Errorf("%v: %s", a.Kind, a.Reason)
			}
		})
	}
}
