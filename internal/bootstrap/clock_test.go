package bootstrap

import (
	"errors"
	"math/rand/v2"
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
		{"before this program was made", func(v *View) { v.Built = now.Add(time.Hour) }, Wait, "The clock of this board says 2026-11-23, when"},
		{"before this program was made, a member", func(v *View) {
			v.Built, v.Engine = now.Add(time.Hour), managed(swarm.Active)
		}, Stay, "This board is a worker in a swarm"},
		{"as the manager's", func(v *View) {
			v.Peers = []Peer{board(low, peer.Manager, clock(clockApart-time.Second))}
		}, Join, "Joining the swarm"},
		{"not told", func(v *View) { v.Peers = []Peer{board(low, peer.Manager)} }, Join, "Joining the swarm"},
		{"ahead of the manager's", func(v *View) { v.Peers = []Peer{board(low, peer.Manager, clock(-24*time.Hour))} }, Join, "Joining the swarm"},
		{"behind the manager's", func(v *View) { v.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))} }, SetClock,
			"The clock of this board is 3 h behind that of " + low.Name() + ", its manager: putting it forward"},
		{"put forward since the manager was met", func(v *View) {
			v.Peers = []Peer{board(low, peer.Manager, met(4*time.Second), clock(3*time.Hour))}
			v.Clock = now.Add(3 * time.Hour)
		}, Join, "Joining the swarm"},
		{"being put forward", func(v *View) {
			v.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.ClockAsked = ago(time.Second)
		}, Wait, "putting it forward"},
		{"not put forward", func(v *View) {
			v.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.ClockAsked = ago(patient.ClockSetting)
		}, Wait, "certificates do not bear that"},
		{"to be put forward again", func(v *View) {
			v.Peers = []Peer{board(low, peer.Manager, clock(3*time.Hour))}
			v.ClockAsked = ago(patient.ClockAgain)
		}, SetClock, "putting it forward"},
		{"of a worker", func(v *View) {
			v.Peers, v.Engine = []Peer{board(low, peer.Manager, clock(3*time.Hour))}, managed(swarm.Active)
			v.ClockAsked = ago(time.Minute)
		}, Stay, "certificates do not bear that"},
		{"of a worker that waits for its manager", func(v *View) {
			v.Peers, v.Engine = []Peer{board(low, peer.Manager, clock(3*time.Hour))}, managed(swarm.Pending)
		}, SetClock, "putting it forward"},
		{"others agree", func(v *View) { v.Peers = []Peer{board(high, peer.Blank, clock(time.Minute))} }, Propose, ""},
		{"others are ahead", func(v *View) {
			v.Peers, v.NewBoard = []Peer{board(high, peer.Blank, clock(3*time.Hour))}, ago(time.Minute)
		}, Wait, "Waiting for a time server: the clocks of this board and of " + high.Name() + " are 3 h apart"},
		{"others are behind", func(v *View) {
			v.Peers, v.NewBoard = []Peer{board(high, peer.Blank, clock(-3*time.Hour))}, ago(time.Minute)
		}, Wait, "Waiting for a time server"},
		{"others are behind for long", func(v *View) {
			v.Peers, v.NewBoard = []Peer{board(high, peer.Blank, clock(-3*time.Hour))}, ago(patient.ClockWait)
		}, Propose, ""},
		{"others are behind for long, and one of them is the lowest", func(v *View) {
			v.Peers, v.NewBoard = []Peer{board(low, peer.Blank, clock(-3*time.Hour))}, ago(patient.ClockWait)
		}, Wait, "Waiting for " + low.Name() + ", which has the lowest serial, to start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{
				Timing: patient,
				Now:    now, Clock: now, Serial: mine, Engine: swarm.Status{State: swarm.Inactive},
				Linked: ago(time.Hour), Listening: ago(time.Hour), Settle: 15 * time.Second,
			}
			tt.change(&v)
			if a := Decide(v); a.Kind != tt.want || !strings.Contains(a.Reason, tt.reason) {
				t.Errorf("%v: %s; want %v: %s", a.Kind, a.Reason, tt.want, tt.reason)
			}
		})
	}
}

// Boards without a time server wake up in the past, each in its own: they become one swarm all the same, and none asks for a
// join that certificates do not bear. Where a time server comes in time nobody's clock is touched.
func simClocks(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(5))
	w.built = w.began.Add(-60 * 24 * time.Hour)
	for _, b := range w.boards {
		if rnd.IntN(3) > 0 {
			b.turnClock(-upTo(rnd, 40*24*time.Hour))
		}
	}
	plan := w.startAll(t, rnd)
	server := false
	switch old := w.boards[0]; rnd.IntN(3) {
	case 0: // nobody has set it to when the program was made, as is done at boot
		old.turnClock(-61 * 24 * time.Hour)
		plan = append(plan, event{upTo(rnd, 3*time.Minute), old, "a person sets the clock", func() {
			if old.node != "" {
				t.Errorf("%s is in a swarm before its program was made", old.serial.Name())
			}
			old.turnClock(-time.Hour)
		}})
	case 1:
		server = true
		plan = append(plan, event{20 * time.Second, nil, "a time server", func() {
			for _, b := range w.boards {
				b.turnClock(0)
			}
		}})
	}
	w.run(t, plan, 6*time.Minute, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
	for _, b := range w.boards {
		if server && b.asked > 0 {
			t.Errorf("%s wanted its clock put forward, and a time server was about to", b.serial.Name())
		}
		if b.said("x509") {
			t.Errorf("%s asked for a join that its clock does not bear", b.serial.Name())
		}
	}
}

func TestSetClockThatFails(t *testing.T) {
	l := NewLoop(Options{Hostname: func() string { return "" }, SetClock: func(time.Time) error { return errors.New("no such file") }})
	if err := l.setClock(Peer{}); err == nil || !strings.Contains(err.Error(), "put the clock forward: no such file") || l.clockAsked.IsZero() {
		t.Errorf("%v, asked at %v", err, l.clockAsked)
	}
}
