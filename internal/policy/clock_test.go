package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func TestDecideClock(t *testing.T) {
	clock := func(off time.Duration) func(*Peer) {
		return func(p *Peer) { p.Claim.Clock = p.Met.Add(off) }
	}
	managed := func(state swarm.State) swarm.Status {
		return swarm.Status{State: state, NodeID: "n1", Managers: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.9:2377")}}
	}
	tests := []struct {
		name   string
		change func(*View)
		want   Kind
		reason string // a part of it
	}{
		{"before this program was made", func(v *View) { v.Clock.Built = now.Add(time.Hour) }, Wait,
			"The clock of this board says 2026-11-23, when"},
		{"before this program was made, a member", func(v *View) {
			v.Clock.Built, v.Engine.Status = now.Add(time.Hour), managed(swarm.Active)
		}, Stay, "This board is a worker in a swarm"},
		{"as the manager's", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, clock(ClocksApart-time.Second))}
		}, Join, "Joining the swarm"},
		{"not told", func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Manager)} }, Join, "Joining the swarm"},
		{"ahead of the manager's", func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Manager, clock(-24*time.Hour))} },
			Join, "Joining the swarm"},
		{"behind the manager's", func(v *View) { v.Boards.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))} },
			SetClock,
			"The clock of this board is 3 h behind that of " + low.Name() + ", its manager: putting it forward"},
		{"put forward since the manager was met", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, met(4*time.Second), clock(3*time.Hour))}
			v.Clock.Says = now.Add(3 * time.Hour)
		}, Join, "Joining the swarm"},
		{"being put forward", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.Clock.Asked = ago(time.Second)
		}, Wait, "putting it forward"},
		{"not put forward", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.Clock.Asked = ago(patient.ClockSetting)
		}, Wait, "too far for certificates to be valid"},
		{"to be put forward again", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.Clock.Asked = ago(patient.ClockAgain)
		}, SetClock, "putting it forward"},
		{"of a worker", func(v *View) {
			v.Boards.Peers, v.Engine.Status = []Peer{board(low, peer.Manager, clock(3*time.Hour))}, managed(swarm.Active)
			v.Clock.Asked = ago(time.Minute)
		}, Stay, "too far for certificates to be valid"},
		{"of a worker that waits for its manager", func(v *View) {
			v.Boards.Peers, v.Engine.Status = []Peer{board(low, peer.Manager, clock(3*time.Hour))}, managed(swarm.Pending)
		}, SetClock, "putting it forward"},
		{"others agree", func(v *View) { v.Boards.Peers = []Peer{board(high, peer.Blank, clock(time.Minute))} }, Propose, ""},
		{"others are ahead", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank, clock(3*time.Hour))}, ago(time.Minute)
		}, Wait, "Waiting for a time server: the clocks of this board and of " + high.Name() + " are 3 h apart"},
		{"others are behind", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank, clock(-3*time.Hour))}, ago(time.Minute)
		}, Wait, "Waiting for a time server"},
		{"others are behind for long", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank, clock(-3*time.Hour))}, ago(patient.ClockWait)
		}, Propose, ""},
		{"others are behind for long, and one of them is the lowest", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(low, peer.Blank, clock(-3*time.Hour))}, ago(patient.ClockWait)
		}, Wait, "Waiting for " + low.Name() + ", which has the lowest serial, to start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{
				Timing:   patient,
				Now:      now,
				Clock:    Clock{Says: now},
				Serial:   mine,
				Engine:   Engine{Status: swarm.Status{State: swarm.Inactive}},
				Network:  Network{Linked: ago(time.Hour), Listening: ago(time.Hour)},
				Settings: Settings{Settle: 15 * time.Second},
			}
			tt.change(&v)
			if a := Decide(v); a.Kind != tt.want || !strings.Contains(a.Reason.En, tt.reason) {
				t.Errorf("%v: %s; want %v: %s", a.Kind, a.Reason, tt.want, tt.reason)
			}
		})
	}
}
