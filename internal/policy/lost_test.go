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

func TestDecideOfALostSwarm(t *testing.T) {
	manager := netip.MustParseAddrPort("10.77.0.9:2377")
	second := netip.MustParseAddrPort("10.77.0.8:2377")
	worker := swarm.Status{State: swarm.Active, NodeID: "n1", Managers: []netip.AddrPort{manager}}
	two := worker
	two.Managers = append(two.Managers, second)
	member := peer.Membership{Swarm: "a", Node: "n1"}
	barred := func(p *Peer) { p.Barred = errors.New("another key") }
	unlisted := func(p *Peer) { p.Claim.Unlisted = true }
	stranger := []Unfollowed{{low, manager.Addr()}}
	const (
		lost = "No manager of swarm a is left: pi-000001 does not know it any more, as after a new card or pi-agent " +
			"yield, and its services, secrets and configs are lost. pi-000005 leaves it"
		another = `pi-000001 has another node key than the manager that pi-000005 follows, as after a new card. If its card is new, the swarm of the old one is lost with its services, secrets and configs: "sudo pi-agent pair" on both`
		silent  = "This board is a worker and its manager pi-000001 at 10.77.0.9 does not answer"
		well    = "This board is a worker in the swarm of pi-000001"
		blank   = "No other board is seen"
	)
	tests := []struct {
		name   string
		engine swarm.Status
		change func(*View)
		want   Kind
		reason string
		lost   bool
	}{
		{"a blank board in the place of the manager", worker,
			func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Blank)} }, Stay, lost, true},
		{"that elects", worker, func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Electing)} }, Stay, lost, true},
		{"that founds", worker, func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Founding)} }, Stay, lost, true},
		{"that manages another swarm", worker, func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Manager, in("b"))} },
			Stay, lost, true},
		{"that works in another swarm", worker, func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Worker, in("b"))} },
			Stay, lost, true},
		{"without a key, a blank board in the place of the manager", worker, func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Blank, barred)}
		}, Stay, another, true},
		{"that is not followed", worker, func(v *View) { v.Boards.Unfollowed = stranger }, Stay, another, true},
		{"that is not followed and was blank before", worker, func(v *View) {
			v.Boards.Unfollowed, v.Boards.Peers = stranger, []Peer{board(low, peer.Blank, met(time.Minute))}
		}, Stay, another, true},
		{"that waits, and may be the manager again", worker,
			func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Waiting)} }, Stay, well, false},
		{"the manager has not heard of this node yet", worker, func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("a"), unlisted)}
		}, Stay, well, false},
		{"a manager elsewhere that is not followed, and the own one answers", worker, func(v *View) {
			v.Boards.Unfollowed = []Unfollowed{{high, netip.MustParseAddr("10.77.0.7")}}
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("a"))}
		}, Stay, well, false},
		{"a manager elsewhere that is not followed, and the own one is off", worker, func(v *View) {
			v.Boards.Unfollowed = []Unfollowed{{high, netip.MustParseAddr("10.77.0.7")}}
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("a"), met(2*time.Minute))}
		}, Stay, silent, false},
		{"one of two managers has a new card, and the other is off", two, func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Blank),
				board(high, peer.Manager, in("a"), at("10.77.0.8:2378"), met(2*time.Minute))}
		}, Stay, well, false},
		{"a blank board, and a manager that it does not follow", swarm.Status{State: swarm.Inactive}, func(v *View) {
			v.Boards.Unfollowed = stranger
		}, Wait, another, false},
		{"the same, and one that it follows and has not asked lately", swarm.Status{State: swarm.Inactive}, func(v *View) {
			v.Boards.Unfollowed, v.Boards.Peers = stranger, []Peer{board(high, peer.Manager, met(time.Minute))}
		}, Wait, "pi-000009 is in a swarm: waiting for its manager to answer", false},
		{"the same, and one that it follows", swarm.Status{State: swarm.Inactive}, func(v *View) {
			v.Boards.Unfollowed, v.Boards.Peers = stranger, []Peer{board(high, peer.Manager)}
		}, Join, "Joining the swarm of pi-000009", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{
				Timing:   patient,
				Now:      now,
				Clock:    Clock{Says: now},
				Serial:   mine,
				Network:  Network{Linked: ago(time.Hour), Listening: ago(time.Hour)},
				Swarm:    Swarm{Answered: ago(2 * time.Minute)},
				Engine:   Engine{Status: tt.engine},
				Settings: Settings{Settle: 15 * time.Second},
			}
			if tt.engine.NodeID != "" {
				v.Member = member
			}
			tt.change(&v)
			a := Decide(v)
			if a.Kind != tt.want || !strings.Contains(a.Reason.En, tt.reason) || a.Lost != tt.lost || a.Lost && !a.Trouble {
				t.Errorf("%+v, want %v %q, lost %v", a, tt.want, tt.reason, tt.lost)
			}
		})
	}
}
