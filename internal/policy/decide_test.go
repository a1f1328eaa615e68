package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// board is a peer that answered a second ago and has been able to act for an hour.
func board(serial peer.Serial, state peer.State, change ...func(*Peer)) Peer {
	p := Peer{
		Claim: peer.Claim{Serial: serial, Cluster: "pi", State: state},
		Key:   peer.Fingerprint{serial[15]},
		Addr:  netip.MustParseAddrPort("10.77.0.9:2378"),
		Met:   ago(time.Second), Able: ago(time.Hour),
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func met(d time.Duration) func(*Peer)  { return func(p *Peer) { p.Met = ago(d) } }
func able(d time.Duration) func(*Peer) { return func(p *Peer) { p.Able = ago(d) } }
func in(id string) func(*Peer)         { return func(p *Peer) { p.Claim.Swarm = id } }
func manages(id string) func(*Peer)    { return func(p *Peer) { p.Claim.Manages = id } }
func shutOut(p *Peer)                  { p.Claim.Unreached = true }

// heard is a board that has announced itself for a minute and does not answer.
func heard(serial peer.Serial, state peer.State) Unreached {
	return Unreached{Serial: serial, State: state, Addr: netip.MustParseAddr("10.77.0.9"), Since: ago(time.Minute),
		Ends: now.Add(time.Minute), Shut: true}
}

func at(a string) func(*Peer) {
	return func(p *Peer) { p.Addr = netip.MustParseAddrPort(a) }
}

const (
	low  = peer.Serial("1000000000000001")
	mine = peer.Serial("1000000000000005")
	mid  = peer.Serial("1000000000000006")
	high = peer.Serial("1000000000000009")
)

func TestDecide(t *testing.T) {
	// The base view: a blank board that has listened for an hour, with nobody else there.
	tests := []struct {
		name   string
		change func(*View)
		want   Kind
		reason string // a part of it
	}{
		{"settings that cannot be followed", func(v *View) {
			v.Settings.Err = errors.New("/boot/pi-agent.toml:2: there is no setting \"settel\"")
			v.Engine.State, v.Engine.Manager = swarm.Active, true
		}, Wait, "/boot/pi-agent.toml:2: there is no setting"},
		{"engine down", func(v *View) { v.Engine.Err = fmt.Errorf("%w: connection refused", swarm.ErrUnreachable) }, Wait,
			"Docker Engine"},
		{"engine down though a manager is seen", func(v *View) {
			v.Engine.Err = swarm.ErrUnreachable
			v.Boards.Peers = []Peer{board(low, peer.Manager)}
		}, Wait, "Docker Engine"},
		{"engine too old", func(v *View) { v.Engine.Err = errors.New("client version 1.51 is too new") }, Wait, "too new"},
		{"live-restore", func(v *View) { v.Engine.Excluded = swarm.ErrLiveRestore }, Wait, "live-restore"},
		{"firewall-backend", func(v *View) { v.Engine.Excluded = swarm.ErrNftables }, Wait,
			`"firewall-backend" set to "nftables"`},
		{"a setting with which the engine does not start", func(v *View) {
			v.Engine.Err, v.Member = swarm.ErrLiveRestore, peer.Membership{Node: "n1"}
		}, Wait, `cannot take part: docker has "live-restore" on`},
		{"a setting with which it does not enter its swarm", func(v *View) {
			v.Engine.State, v.Engine.Excluded, v.Member = swarm.Failed, swarm.ErrNftables, peer.Membership{Node: "n1"}
		}, Wait, "firewall-backend"},
		{"somebody has a port", func(v *View) { v.Engine.Taken = errors.New("Port 2377/tcp is taken by nc (5)") }, Wait,
			"Port 2377/tcp is taken"},
		{"somebody has a port of a manager", func(v *View) {
			v.Engine.State, v.Engine.Manager, v.Engine.Taken = swarm.Active, true, errors.New("Port 7946/tcp is taken")
		}, Serve, "This board is a manager"},
		{"no address", func(v *View) { v.Network.Link = errors.New("eth0 has no IPv4 address yet") }, Wait,
			"eth0 has no IPv4 address yet"},
		{"the address is on its way, and so are the others", func(v *View) {
			v.Network.Address, v.Network.Listening = errors.New("asking"), ago(14*time.Second)
		}, Wait, "Looking"},
		{"settled before the address is there", func(v *View) { v.Network.Address = errors.New("asking whether it is free") },
			Wait, "asking whether"},
		{"a manager is there before the address", func(v *View) {
			v.Network.Address = errors.New("asking whether it is free")
			v.Boards.Peers = []Peer{board(high, peer.Manager)}
		}, Wait, "asking whether"},
		{"no address without a person", func(v *View) { v.Network.Address = address.Refusal{} }, Wait,
			`address = "interface" on every board`},
		{"locked", func(v *View) { v.Engine.State = swarm.Locked }, Wait, "docker swarm unlock"},
		{"failed", func(v *View) {
			v.Engine.State, v.Engine.NodeID, v.Engine.Error = swarm.Failed, "n1", "certificate expired"
		}, Wait, "certificate expired"},
		{"a first join failed after nobody waited for it", func(v *View) { v.Engine.State = swarm.Failed }, Abandon, "anew"},

		{"manager", func(v *View) { v.Engine.State, v.Engine.Manager = swarm.Active, true }, Serve, "manager"},
		{"manager without network still serves", func(v *View) {
			v.Engine.State, v.Engine.Manager = swarm.Active, true
			v.Network.Link = errors.New("eth0 has no cable")
		}, Serve, "manager"},
		{"manager hears another swarm", func(v *View) {
			v.Engine.Status = swarm.Status{State: swarm.Active, Manager: true, SwarmID: "aaa"}
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("bbb"))}
		}, Serve, "another swarm"},
		{"manager hears its fellow manager", func(v *View) {
			v.Engine.Status = swarm.Status{State: swarm.Active, Manager: true, SwarmID: "aaa"}
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("aaa"))}
		}, Serve, "This board is a manager"},
		{"manager whose address has gone", func(v *View) {
			v.Engine.Status, v.Network.Lost = swarm.Status{State: swarm.Active, Manager: true,
				Addr: netip.MustParseAddr("10.77.0.5")}, ago(patient.Lost)
		}, Serve, "The swarm knows this board as 10.77.0.5, an address that it no longer has"},
		{"manager whose address has gone for a moment", func(v *View) {
			v.Engine.Status, v.Network.Lost = swarm.Status{State: swarm.Active, Manager: true,
				Addr: netip.MustParseAddr("10.77.0.5")}, ago(patient.Lost-1)
		}, Serve, "This board is a manager"},
		{"worker whose address has gone", func(v *View) {
			v.Engine.Status, v.Network.Lost = swarm.Status{State: swarm.Active,
				Addr: netip.MustParseAddr("10.77.0.5")}, ago(patient.Lost)
		}, Stay, "fixed lease"},
		{"manager whose address cannot be kept", func(v *View) {
			v.Engine.Status, v.Network.Lost = swarm.Status{State: swarm.Active, Manager: true,
				Addr: netip.MustParseAddr("169.254.7.8")}, ago(patient.Lost)
			v.Network.Address = errors.New("eth0 has no cable")
		}, Serve, "169.254.7.8, an address that it does not have: eth0 has no cable"},
		{"manager whose address nobody keeps", func(v *View) {
			v.Engine.Status, v.Network.Lost = swarm.Status{State: swarm.Active, Manager: true,
				Addr: netip.MustParseAddr("169.254.7.8")}, ago(patient.Lost)
		}, Serve, `give address = "link-local" again`},
		{"worker", func(v *View) {
			v.Engine.Status = aWorker()
			v.Boards.Peers = []Peer{board(low, peer.Manager, at("10.77.0.1:2378"))}
		}, Stay, "worker in the swarm of pi-000001"},
		{"worker whose manager was met at another address, too", func(v *View) {
			v.Engine.Status = aWorker()
			v.Boards.Peers = []Peer{board(low, peer.Manager,
				func(p *Peer) { p.Addrs = []netip.Addr{netip.MustParseAddr("10.77.0.1")} })}
		}, Stay, "worker in the swarm of pi-000001"},
		{"worker whose manager is silent stays", func(v *View) {
			v.Engine.Status = aWorker()
			v.Boards.Peers = []Peer{board(low, peer.Manager, at("10.77.0.1:2378"), met(2*time.Minute))}
		}, Stay, "does not answer"},
		{"worker stays when another swarm is there", func(v *View) {
			v.Engine.Status = aWorker()
			v.Boards.Peers = []Peer{board(low, peer.Manager, in("other"))}
		}, Stay, "looks for its manager"},

		{"first join under way", func(v *View) { v.Engine.State, v.Engine.Pending = swarm.Pending, ago(time.Second) }, Wait,
			"joining"},
		{"first join hangs", func(v *View) { v.Engine.State, v.Engine.Pending = swarm.Pending, ago(patient.Pending) },
			Abandon, "anew"},
		{"member waits for its manager for ever", func(v *View) {
			v.Engine.State, v.Engine.NodeID, v.Engine.Pending = swarm.Pending, "n1", ago(24*time.Hour)
		}, Wait, "member of a swarm"},

		{"join a manager", func(v *View) { v.Boards.Peers = []Peer{board(high, peer.Manager)} }, Join, "pi-000009"},
		{"join though the own serial is lower and the election is on", func(v *View) {
			v.Election.Proposed = ago(time.Second)
			v.Boards.Peers = []Peer{board(high, peer.Manager)}
		}, Join, "pi-000009"},
		{"join the lowest of several managers", func(v *View) {
			v.Boards.Peers = []Peer{board(low, peer.Manager), board(high, peer.Manager)}
		}, Join, "pi-000001"},
		{"a silent manager is waited for", func(v *View) {
			v.Boards.Peers = []Peer{board(high, peer.Manager, met(time.Minute))}
		}, Wait, "waiting for its manager"},
		{"a worker alone: its swarm is waited for", func(v *View) {
			v.Boards.Peers = []Peer{board(high, peer.Worker)}
		}, Wait, "pi-000009 is in a swarm"},
		{"a swarm silent for long is not waited for", func(v *View) {
			v.Boards.Peers = []Peer{board(high, peer.Manager, met(patient.Remembered))}
		}, Propose, "alone"},

		{"duplicate", func(v *View) { v.Boards.SameSerial = []Peer{board(mine, peer.Blank)} }, Wait,
			"Two boards have the serial 1000000000000005"},

		{"does not hear itself", func(v *View) { v.Network.Listening = time.Time{} }, Wait, "own announcement"},
		{"does not hear itself, and meets a board by address", func(v *View) {
			v.Network.Listening, v.Boards.Peers, v.Boards.Newest = time.Time{}, []Peer{board(high,
				peer.Blank)}, ago(15*time.Second)
		}, Propose, "lowest serial of the 2 seen"},
		{"does not hear itself, and met a board by address just now", func(v *View) {
			v.Network.Listening, v.Boards.Peers, v.Boards.Newest = time.Time{}, []Peer{board(high,
				peer.Blank)}, ago(14*time.Second)
		}, Wait, "Looking"},
		{"does not hear itself, and meets a lower board by address", func(v *View) {
			v.Network.Listening, v.Boards.Peers, v.Boards.Newest = time.Time{}, []Peer{board(low,
				peer.Blank)}, ago(15*time.Second)
		}, Wait, "pi-000001"},
		{"a named board does not answer yet", func(v *View) {
			v.Settings.Unanswered, v.Network.Linked = []netip.Addr{netip.MustParseAddr("192.168.1.20")}, ago(patient.Named-time.Second)
		}, Wait, "Waiting for an answer from 192.168.1.20"},
		{"a named board does not answer", func(v *View) {
			v.Settings.Unanswered, v.Network.Linked = []netip.Addr{netip.MustParseAddr("192.168.1.20")}, ago(patient.Named)
		}, Propose, "alone"},
		{"does not hear itself yet", func(v *View) { v.Network.Listening, v.Network.Linked = time.Time{}, ago(time.Second) },
			Wait, "Looking"},
		{"not settled alone", func(v *View) { v.Network.Listening = ago(14 * time.Second) }, Wait, "Looking"},
		{"settled alone", func(v *View) { v.Network.Listening = ago(15 * time.Second) }, Propose, "alone"},
		{"a new board unsettles", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank)}, ago(14*time.Second)
		}, Wait, "Looking"},
		{"settled", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank)}, ago(15*time.Second)
		}, Propose, "lowest serial of the 2 seen"},
		{"expected boards are all there", func(v *View) {
			v.Settings.Expect = 2
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank)}, ago(0)
		}, Propose, "lowest serial of the 2 seen"},
		{"an expected board is missing", func(v *View) {
			v.Settings.Expect = 3
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank)}, ago(0)
		}, Wait, "2 of 3 seen"},
		{"a missing board is not waited for beyond settle", func(v *View) {
			v.Settings.Expect = 3
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank)}, ago(15*time.Second)
		}, Propose, "lowest serial of the 2 seen"},
		{"a silent board does not count", func(v *View) {
			v.Settings.Expect = 2
			v.Network.Listening = ago(time.Second)
			v.Boards.Peers = []Peer{board(high, peer.Blank, met(patient.Fresh))}
		}, Wait, "1 of 2 seen"},

		{"another is lowest", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(low, peer.Blank)}, ago(20*time.Second)
		}, Wait, "Waiting for pi-000001"},
		{"another is lowest and not ready", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(low, peer.Waiting)}, ago(20*time.Second)
		}, Wait, "to get ready"},
		{"a higher one is not ready, and may be in a swarm", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Waiting, able(20*time.Second))}, ago(20*time.Second)
		}, Wait, "may be in a swarm already"},
		{"a higher one does not get ready", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Waiting, able(time.Minute))}, ago(time.Minute)
		}, Propose, "lowest serial"},
		{"the lowest had its turn", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(low, peer.Blank)}, ago(75*time.Second)
		}, Propose, "pi-000001 did not start"},
		{"the lowest has just become able", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(low, peer.Blank, able(59*time.Second))}, ago(time.Hour)
		}, Wait, "Waiting for pi-000001"},
		{"the second has its turn after the first", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board("1000000000000000", peer.Blank),
				board(low, peer.Blank)}, ago(130*time.Second)
		}, Wait, "Waiting for pi-000001"},

		{"somebody founds", func(v *View) {
			v.Election.Proposed = ago(time.Second)
			v.Boards.Peers = []Peer{board(high, peer.Founding)}
		}, Wait, "pi-000009 is starting"},
		{"a higher one elects first", func(v *View) { v.Boards.Peers = []Peer{board(high, peer.Electing)} }, Wait,
			"is starting"},
		{"a higher one elects at the same time", func(v *View) {
			v.Election.Proposed = ago(time.Second)
			v.Boards.Peers = []Peer{board(high, peer.Electing)}
		}, Init, "lowest"},
		{"a lower one elects at the same time", func(v *View) {
			v.Election.Proposed = ago(time.Second)
			v.Boards.Peers = []Peer{board(low, peer.Electing)}
		}, Wait, "is starting"},
		{"not all are asked yet", func(v *View) { v.Election.Proposed, v.Election.Unasked = ago(time.Second), 1 }, Propose,
			"alone"},
		{"all are asked", func(v *View) { v.Election.Proposed = ago(time.Second) }, Init, "alone"},

		{"a manager whose engine is stopped for hours", func(v *View) {
			v.Engine.Status, v.Member, v.Swarm.Answered = aWorker(), peer.Membership{Swarm: "mine", Node: "n2"}, ago(time.Hour)
			v.Boards.Peers = []Peer{board(low, peer.Waiting, at("10.77.0.1:2378"), manages("mine")),
				board(high, peer.Manager, in("other"))}
		}, Stay, "the Docker Engine of its manager pi-000001 does not answer"},
		{"a board whose engine is stopped managed another swarm", func(v *View) {
			v.Engine.Status, v.Member, v.Swarm.Answered = aWorker(), peer.Membership{Swarm: "mine", Node: "n2"}, ago(time.Hour)
			v.Boards.Peers = []Peer{board(low, peer.Waiting, at("10.77.0.1:2378"), manages("that")),
				board(high, peer.Manager, in("other"))}
		}, Move, "moving to the swarm of pi-000009"},
		{"a manager whose engine is stopped is silent, too", func(v *View) {
			v.Engine.Status, v.Member, v.Swarm.Answered = aWorker(), peer.Membership{Swarm: "mine", Node: "n2"}, ago(time.Hour)
			v.Boards.Peers = []Peer{board(low, peer.Waiting, at("10.77.0.1:2378"), manages("mine"), met(patient.Rival)),
				board(high, peer.Manager, in("other"))}
		}, Move, "moving to the swarm of pi-000009"},
		{"the engine of the manager of a swarm is stopped", func(v *View) {
			v.Boards.Peers = []Peer{board(high, peer.Waiting, manages("mine"))}
		}, Wait, "pi-000009 manages a swarm: waiting for its Docker Engine"},

		{"nobody was asked yet at an address that has just come", func(v *View) { v.Network.Inquiring = true }, Wait,
			"Looking"},
		{"nobody can be asked where multicast is lost", func(v *View) {
			v.Network.Inquiring, v.Network.Listening, v.Boards.Peers, v.Boards.Newest = true, time.Time{}, []Peer{board(high,
				peer.Blank)}, ago(15*time.Second)
		}, Propose, "lowest serial of the 2 seen"},
		{"a board is heard and not reached", func(v *View) { v.Boards.Unreached = []Unreached{heard(high, peer.Blank)} },
			Wait,
			"Heard, and not reached at port 2378/tcp: pi-000009 (10.77.0.9). This board makes no swarm meanwhile, for there " +
				"could be two. " +
				"Open the port there: sudo ufw allow 2378/tcp; or turn off client isolation of the access point; or do without, " +
				"with expect = 1 on this board and no other"},
		{"a board has just been heard", func(v *View) {
			v.Boards.Unreached = []Unreached{heard(high, peer.Blank)}
			v.Boards.Unreached[0].Since = ago(patient.Reach - 1)
		}, Wait, "Looking for other boards"},
		{"a board that was heard has gone, perhaps", func(v *View) {
			v.Boards.Unreached = []Unreached{heard(high, peer.Blank)}
			v.Boards.Unreached[0].Shut = false
		}, Wait, "Waiting for an answer from pi-000009"},
		{"many boards are heard and not reached", func(v *View) {
			for i := range 6 {
				v.Boards.Unreached = append(v.Boards.Unreached,
					heard(peer.Serial(fmt.Sprintf("200000000000000%d", i)), peer.Waiting))
			}
		}, Wait, "pi-000003 (10.77.0.9), +2. This board"},
		{"a manager is heard and not reached", func(v *View) { v.Boards.Unreached = []Unreached{heard(high, peer.Manager)} },
			Wait, "not reached at port 2378/tcp: pi-000009"},
		{"a manager that is not reached asks this board", func(v *View) {
			v.Boards.Peers, v.Boards.Unreached = []Peer{board(high, peer.Manager)}, []Unreached{heard(high, peer.Manager)}
		}, Wait, "not reached at port 2378/tcp: pi-000009"},
		{"one of two managers is reached", func(v *View) {
			v.Boards.Peers, v.Boards.Unreached = []Peer{board(low, peer.Manager),
				board(high, peer.Manager)}, []Unreached{heard(low, peer.Manager)}
		}, Join, "pi-000009"},
		{"a worker is reached, and a blank board is not", func(v *View) {
			v.Boards.Peers, v.Boards.Unreached = []Peer{board(low, peer.Worker)}, []Unreached{heard(high, peer.Blank)}
		}, Wait, "pi-000001 is in a swarm"},
		{"a person does without those that are not reached", func(v *View) {
			v.Settings.Expect, v.Boards.Unreached = 1, []Unreached{heard(high, peer.Blank)}
		}, Propose, "This board starts the swarm alone, as expect = 1 says"},
		{"a person expects more than are reached", func(v *View) {
			v.Settings.Expect, v.Boards.Unreached = 3, []Unreached{heard(high, peer.Blank)}
			v.Boards.Peers = []Peer{board(mid, peer.Blank), board(high, peer.Blank)}
		}, Wait, "with expect = 2 on this board and no other"},
		{"a board that is not reached comes during the election", func(v *View) {
			v.Election.Proposed, v.Boards.Unreached = ago(time.Second), []Unreached{heard(high, peer.Blank)}
		}, Wait, "not reached"},
		{"a board that is heard has not answered since the election began", func(v *View) {
			v.Election.Proposed, v.Election.Unanswered = ago(time.Second), 1
		}, Propose, "alone"},
		{"this board is not reached by another", func(v *View) {
			v.Boards.Peers, v.Boards.Newest = []Peer{board(high, peer.Blank, shutOut)}, ago(time.Minute)
		}, Wait, "Port 2378/tcp of this board is shut to pi-000009: a swarm that it made could not be joined. Open the " +
			"port here: sudo ufw allow 2378/tcp"},
		{"this board is not reached by one more than is expected", func(v *View) {
			v.Settings.Expect, v.Boards.Peers = 2, []Peer{board(mid, peer.Blank), board(high, peer.Blank, shutOut)}
		}, Propose, "lowest serial"},
		{"this board is not reached by one that is expected", func(v *View) {
			v.Settings.Expect, v.Boards.Peers = 3, []Peer{board(mid, peer.Blank), board(high, peer.Blank, shutOut)}
		}, Wait, "is shut to pi-000009"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := View{
				Timing:   patient,
				Now:      now,
				Serial:   mine,
				Engine:   Engine{Status: swarm.Status{State: swarm.Inactive}},
				Network:  Network{Listening: ago(time.Hour)},
				Settings: Settings{Settle: 15 * time.Second},
			}
			tt.change(&v)
			got := Decide(v)
			if got.Kind != tt.want || !strings.Contains(got.Reason.En, tt.reason) {
				t.Errorf("Decide = %v, %q; want %v with %q", got.Kind, got.Reason, tt.want, tt.reason)
			}
			if !got.Until.IsZero() && !got.Until.After(v.Now) {
				t.Errorf("waits until %v, which is past", got.Until)
			}
			if again := Decide(v); again.Kind != got.Kind || again.Reason != got.Reason {
				t.Errorf("the same view gave %v, %q and then %v, %q", got.Kind, got.Reason, again.Kind, again.Reason)
			}
		})
	}
}

func aWorker() swarm.Status {
	return swarm.Status{State: swarm.Active, NodeID: "n2",
		Managers: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.1:2377")}}
}

// Of two boards that know each other, never both may go on to found a swarm, whatever either has proposed.
func TestDecideNeverLetsTwoFound(t *testing.T) {
	states := []peer.State{peer.Waiting, peer.Blank, peer.Electing, peer.Founding}
	decide := func(self, other peer.Serial, own, others peer.State) Kind {
		v := View{
			Timing:   patient,
			Now:      now,
			Serial:   self,
			Engine:   Engine{Status: swarm.Status{State: swarm.Inactive}},
			Network:  Network{Listening: ago(time.Hour)},
			Settings: Settings{Settle: 15 * time.Second},
			Boards:   Boards{Newest: ago(time.Minute), Peers: []Peer{board(other, others)}},
		}
		if own == peer.Electing || own == peer.Founding {
			v.Election.Proposed = ago(time.Second)
		}
		return Decide(v).Kind
	}
	for _, a := range states {
		for _, b := range states {
			if decide(low, high, a, b) == Init && decide(high, low, b, a) == Init {
				t.Errorf("both found when the lower is %s and the higher is %s", a, b)
			}
		}
	}
}
