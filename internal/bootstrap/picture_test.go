package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// formedWorld is n boards in one swarm, in virtual time.
func formedWorld(t *testing.T, n int, run func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		rnd := rand.New(rand.NewPCG(1, 0))
		w.addMany(rnd, n)
		w.run(t, w.startAll(t, rnd), 5*time.Minute, w.formed)
		w.run(t, nil, time.Minute, nil)
		run(t, w)
	})
}

// entryOf is the one entry of a board in a picture.
func entryOf(t *testing.T, p picture.Picture, b *simBoard) (found picture.Board) {
	t.Helper()
	n := 0
	for _, e := range p.Boards {
		if e.Serial == b.serial {
			found, n = e, n+1
		}
	}
	if n != 1 {
		t.Errorf("%s is in the picture %d times: %+v", b.serial.Name(), n, p.Boards)
	}
	return found
}

func TestPictureOfASwarm(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		leader := w.leader()
		leader.engine.AddService("web", 4)
		w.run(t, nil, 10*time.Second, nil)
		for _, b := range w.boards {
			p := b.running().Picture(t.Context())
			if p.Self != b.serial || p.Source != leader.hostname || p.Cluster != "pi" || p.Keyed || p.Swarm == nil ||
				p.Trouble() {
				t.Fatalf("%s shows %+v", b.hostname, p)
			}
			if s := p.Swarm; s.ID != leader.swarm || s.Node != b.node || s.Managers != 1 || s.Reachable != 1 || !s.Majority ||
				s.CertDays != 5*365 || s.RootEnds.IsZero() {
				t.Errorf("%s shows the swarm %+v", b.hostname, s)
			}
			if len(p.Boards) != 3 || p.Boards[0].Serial != leader.serial {
				t.Errorf("%s shows %d boards, want 3, the leader first: %+v", b.hostname, len(p.Boards), p.Boards)
			}
			for _, other := range w.boards {
				role := picture.Worker
				if other == leader {
					role = picture.Leader
				}
				e := entryOf(t, p, other)
				if e.Name != other.hostname || e.Model != "Simulated Pi" || e.Role != role || e.State != picture.Ready ||
					e.Engine != "20.10.24" ||
					e.Node != other.node || len(e.Addrs) != 1 || e.Addrs[0] != other.addr || e.Why.En != "" ||
					time.Since(e.Heard) > time.Minute {
					t.Errorf("%s shows %+v", b.hostname, e)
				}
			}
			if len(p.Services) != 1 || p.Services[0].Running != 4 || p.Services[0].Wanted != 4 ||
				p.Services[0].Tasks[0].Board == "" {
				t.Errorf("%s shows the services %+v", b.hostname, p.Services)
			}
			if len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0].Text.En, "1 manager: if "+leader.hostname+" fails") {
				t.Errorf("%s warns %+v", b.hostname, p.Warnings)
			}
		}

		// A plug is pulled.
		gone := w.boards[0]
		if gone == leader {
			gone = w.boards[1]
		}
		for _, b := range w.boards { // an agent that is started anew hears the other worker, and does not ask it
			if b != leader && b != gone {
				b.kill()
				b.start(t.Context())
			}
		}
		w.run(t, nil, time.Minute, nil)
		gone.powerOff()
		w.run(t, nil, 20*time.Second, nil)
		for _, b := range w.boards {
			if b == gone {
				continue
			}
			p := b.running().Picture(t.Context())
			if e := entryOf(t, p, gone); e.State != picture.Down || !strings.Contains(e.Why.En, "if it is on") || !p.Trouble() {
				t.Errorf("%s shows a board without power as %+v", b.hostname, e)
			}
			for _, task := range p.Services[0].Tasks {
				if task.Board == gone.hostname || task.State != "running" {
					t.Errorf("%s shows task %+v", b.hostname, task)
				}
			}
		}
		w.run(t, nil, 3*time.Minute, nil)
		if e := entryOf(t, leader.running().Picture(t.Context()), gone); !strings.Contains(e.Why.En,
			"not been heard from for 4 min") {
			t.Errorf("after a while it is %+v", e)
		}

		// It comes back with a new card: another node, which takes the seat of the old one, so that the board is there once.
		gone.engine.Reflash()
		gone.kept, gone.node = peer.Membership{}, ""
		gone.powerOn(t.Context(), 0)
		w.run(t, nil, time.Minute, nil)
		var there []picture.Board
		for _, e := range leader.running().Picture(t.Context()).Boards {
			if e.Serial == gone.serial {
				there = append(there, e)
			}
		}
		if len(there) != 1 || there[0].State != picture.Ready || there[0].Why.En != "" {
			t.Errorf("a board with a new card is there as %+v, want it once, ready", there)
		}
	})
}

// A worker shows what it knows when no manager answers.
func TestPictureWithoutManager(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		leader := w.leader()
		leader.powerOff()
		w.run(t, nil, 2*time.Minute, nil)
		for _, b := range w.boards {
			if b == leader {
				continue
			}
			p := b.running().Picture(t.Context())
			if p.Source != "" || p.Swarm == nil || !p.Trouble() || !p.Needs || !strings.Contains(p.Doing.En, "does not answer") {
				t.Errorf("%s shows %+v", b.hostname, p)
			}
			if e := entryOf(t, p, b); e.State != picture.In || e.Role != picture.Worker {
				t.Errorf("%s shows itself as %+v", b.hostname, e)
			}
		}
	})
}

// A big swarm, and what is in it.
const (
	bigBoards   = 30
	bigServices = 20
)

// bigSwarm is the manager of a swarm of many boards, all of which it has met.
func bigSwarm(t testing.TB) (leader *simBoard) {
	t.Helper()
	w := newWorld(t, 1)
	for i := range bigBoards {
		w.add(peer.Serial(fmt.Sprintf("10000000aabbcc%02x", i))).engine.PowerOn()
	}
	leader = w.boards[0]
	if err := leader.engine.Init(t.Context(), swarm.InitRequest{Advertise: leader.addr}); err != nil {
		t.Fatal(err)
	}
	token, err := leader.engine.WorkerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for _, b := range w.boards[1:] {
		g.Go(func() error {
			managers := []netip.AddrPort{netip.AddrPortFrom(leader.addr, swarm.Port)}
			return b.engine.Join(t.Context(), swarm.JoinRequest{Advertise: b.addr, Managers: managers, Token: token})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range bigServices {
		leader.engine.AddService(fmt.Sprintf("service-%d", i), 5)
	}
	leader.start(t.Context())
	l := leader.running()
	for _, b := range w.boards[1:] {
		s, err := b.engine.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		claim := peer.Claim{Serial: b.serial, Cluster: "pi", State: peer.Worker, Node: s.NodeID, Hostname: b.hostname,
			Clock: time.Now()}
		l.Met(enrollPeer(b, claim, netip.AddrPortFrom(b.addr, peer.Port)))
	}
	for l.Load().ticket == nil { // until its first turns
		runtime.Gosched()
	}
	return leader
}

// One look at a big swarm is one look of the engine, and however many look cost it one a second.
func TestPictureIsCheap(t *testing.T) {
	leader := bigSwarm(t)
	l := leader.running()
	before := leader.engine.Calls().Overview
	p := l.draw(t.Context())
	if len(p.Boards) != bigBoards || len(p.Services) != bigServices {
		t.Fatalf("%d boards, %d services", len(p.Boards), len(p.Services))
	}
	if n := leader.engine.Calls().Overview - before; n != 1 {
		t.Errorf("one look costs %d looks of the engine", n)
	}
	if encoded, err := p.Encode(); err != nil || len(encoded) > 128<<10 {
		t.Errorf("the picture has %d bytes, %v", len(encoded), err)
	}

	before = leader.engine.Calls().Overview
	began := time.Now()
	var all sync.WaitGroup
	for range bigBoards {
		all.Go(func() {
			for range 100 {
				l.Picture(t.Context())
			}
		})
	}
	all.Wait()
	if calls := leader.engine.Calls().Overview - before; float64(calls) > time.Since(began).Seconds()+1 {
		t.Errorf("%d looks cost %d looks of the engine in %v", 100*bigBoards, calls, time.Since(began))
	}
}

// statusMax is how long one status of a big swarm may take, without the engine.
const statusMax = 50 * time.Millisecond

// BenchmarkStatus is one status of 30 boards with 100 tasks: drawn, sent, read and shown.
func BenchmarkStatus(b *testing.B) {
	l := bigSwarm(b).running()
	size := 0
	for b.Loop() {
		encoded, err := l.draw(b.Context()).Encode()
		if err != nil {
			b.Fatal(err)
		}
		p, err := picture.Decode(encoded)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Text(io.Discard, time.Now()); err != nil || len(p.Boards) != bigBoards {
			b.Fatal(err)
		}
		size = len(encoded)
	}
	b.ReportMetric(float64(size), "bytes")
	if each := b.Elapsed() / time.Duration(b.N); each > statusMax {
		b.Errorf("one status takes %v, want at most %v", each, statusMax)
	}
}

// A manager shows the picture to nodes of its swarm.
func TestPictureIsForMembers(t *testing.T) {
	formedWorld(t, 2, func(t *testing.T, w *world) {
		leader := w.leader()
		worker := w.boards[0]
		if worker == leader {
			worker = w.boards[1]
		}
		stranger := w.add("f000000000000000")
		at := netip.AddrPortFrom(stranger.addr, peer.Port)
		asks := func(claim peer.Claim) error {
			_, err := leader.running().Look(t.Context(), enrollPeer(stranger, claim, at))
			return err
		}
		if asks(peer.Claim{Serial: stranger.serial, State: peer.Blank}) == nil {
			t.Error("a board outside the swarm is shown the picture")
		}
		if asks(peer.Claim{Serial: worker.serial, State: peer.Worker, Node: worker.node}) == nil {
			t.Error("a board that takes the name of another node is shown the picture")
		}
		if _, err := worker.running().Look(t.Context(), enrollPeer(leader, leader.running().Claim(), at)); err == nil {
			t.Error("a worker shows a picture to others")
		}
	})
}

// whys are all reasons that a picture gives for boards that are not in, or are hindered.
func whys(p picture.Picture) []string { return say.English(reasons(p)) }

func reasons(p picture.Picture) (all []say.Text) {
	for _, b := range p.Boards {
		all = append(all, b.Why)
	}
	for _, n := range p.Nearby {
		all = append(all, n.Why)
	}
	return all
}

// scene is the world of a TestWhy: a swarm of a leader and a worker, and a board that comes late.
type scene struct {
	*world
	t                    *testing.T
	leader, worker, late *simBoard
}

// apart turns the late board on where it reaches nobody, for as long as it needs to found a swarm of its own.
func (s scene) apart() {
	s.links.Store(&links{part: map[netip.Addr]bool{s.late.addr: true}})
	s.late.powerOn(s.t.Context(), 0)
	s.run(s.t, nil, 2*time.Minute, func() bool { return s.late.swarm != "" })
	s.mend()
}

// again starts the agent of a board anew, after a change of what it is started with.
func (s scene) again(b *simBoard, change func()) {
	b.kill()
	change()
	b.start(s.t.Context())
	s.run(s.t, nil, 10*time.Second, nil)
}

// foreign turns the late board on as a worker in a swarm whose manager has no agent.
func (s scene) foreign() {
	other := s.add("f000000000000002")
	other.engine.PowerOn()
	s.late.engine.PowerOn()
	if err := other.engine.Init(s.t.Context(), swarm.InitRequest{Advertise: other.addr}); err != nil {
		s.t.Fatal(err)
	}
	token, err := other.engine.WorkerToken(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	join := swarm.JoinRequest{Advertise: s.late.addr,
		Managers: []netip.AddrPort{netip.AddrPortFrom(other.addr, swarm.Port)}, Token: token}
	if err := s.late.engine.Join(s.t.Context(), join); err != nil {
		s.t.Fatal(err)
	}
	s.late.start(s.t.Context())
}

// mute lets a firewall on the late board keep all hellos from it. It would found a swarm of its own if its settings let
// it.
func (s scene) mute() {
	s.late.settings = errors.New("no such setting")
	s.late.shut.Store(true)
	s.late.powerOn(s.t.Context(), 0)
}

// TestWhy causes each reason for a board not to be in, and sees it said by the manager, and in its words by a worker.
func TestWhy(t *testing.T) {
	unreached := func(s scene) {
		s.net.SetReach(func(from, to netip.Addr) bool { return from != s.late.addr && to != s.late.addr })
		s.late.powerOn(s.t.Context(), 0)
	}
	tests := []struct {
		name  string
		cause func(s scene)
		want  string
		by    func(s scene) *simBoard // who says it, when it is another board than the leader
		alone bool                    // nobody else says it, or not for as long as it takes to ask
	}{
		{name: "waiting for its engine", want: "Waiting for the Docker Engine",
			cause: func(s scene) { s.late.powerOn(s.t.Context(), time.Hour) }},
		{name: "its own word", want: "Waiting for the Docker Engine",
			cause: func(s scene) { s.late.powerOn(s.t.Context(), time.Hour) },
			by:    func(s scene) *simBoard { return s.late }},
		{name: "live-restore", want: "live-restore", cause: func(s scene) {
			s.late.engine.SetLiveRestore(true)
			s.late.powerOn(s.t.Context(), 0)
		}},
		{name: "wrong settings", want: "settings are put right", cause: func(s scene) {
			s.late.settings = errors.New("no such setting")
			s.late.powerOn(s.t.Context(), 0)
		}},
		{name: "clock", want: "Its clock is 3 h behind", cause: func(s scene) {
			s.late.stuck = true
			s.late.turnClock(-3 * time.Hour)
			s.late.powerOn(s.t.Context(), 0)
		}},
		{name: "port 2377 closed", want: "Its last attempt failed: join the swarm of ", cause: unreached},
		{name: "refused outside the window", want: "Its last attempt failed: .* new boards are let in for 15 minutes",
			cause: func(s scene) {
				s.keyless = true
				s.again(s.leader, func() { s.leader.switched = time.Now().Add(-patient.Pair) })
				s.again(s.worker, func() {})
				s.late.powerOn(s.t.Context(), 0)
			}},
		{name: "gone again", want: "^It has not been heard from for [0-9]+ ", cause: func(s scene) {
			unreached(s)
			time.AfterFunc(10*time.Second, s.late.kill)
		}},
		{name: "the serial of this board", want: "It has the serial of this board", alone: true, cause: func(s scene) {
			duplicate := s.add(s.leader.serial)
			duplicate.powerOn(s.t.Context(), 0)
		}},
		{name: "removed from the swarm", want: "It says that it is in this swarm", alone: true, cause: func(s scene) {
			s.worker.doomed = true
			if err := s.leader.engine.Remove(s.t.Context(), s.worker.node, true); err != nil {
				s.t.Fatal(err)
			}
		}},
		{name: "another swarm", want: "It manages another swarm fake[0-9]+[.]$", cause: func(s scene) {
			s.leader.engine.Deploy()
			s.apart()
			s.late.engine.Deploy()
		}},
		{name: "a swarm that nobody knows", cause: scene.foreign,
			want: "It is in another swarm. It moves to this one when that one is lost, or when no manager of that one has " +
				"answered for 15 minutes"},
		{name: "the same without a key",
			want: `It is in another swarm. If that one is lost, "sudo pi-agent pair" on it and on the manager of this one lets it move`,
			cause: func(s scene) {
				s.keyless = true
				s.again(s.leader, func() {})
				s.again(s.worker, func() {})
				s.foreign()
			}},
		{name: "not ready", want: "It is not ready yet", alone: true,
			cause: func(s scene) { s.late.powerOn(s.t.Context(), time.Hour) }},
		{name: "starting a swarm", want: "It is starting a swarm", alone: true, by: func(s scene) *simBoard { return s.late },
			cause: func(s scene) {
				for _, b := range s.boards { // on another LAN
					b.powerOff()
				}
				first := s.add("e000000000000000")
				first.powerOn(s.t.Context(), 0)
				s.late.powerOn(s.t.Context(), 0)
			}},
		{name: "about to join", want: "It is ready and about to join", alone: true,
			cause: func(s scene) { s.late.powerOn(s.t.Context(), 0) }},
		{name: "about to join, and nobody lets it", want: "It is ready and waits for a manager to answer", alone: true,
			by: func(s scene) *simBoard { return s.worker }, cause: func(s scene) {
				s.leader.powerOff()
				s.late.powerOn(s.t.Context(), 0)
			}},
		{name: "just announced", want: "It has just announced itself", cause: scene.mute},
		{name: "a firewall", want: "It announces itself, and its port 2378 does not answer: .*no answer in time",
			cause: scene.mute},
		{name: "a firewall and a swarm of its own", want: "It announces itself, and its port 2378 does not answer",
			cause: func(s scene) {
				s.apart()
				s.late.shut.Store(true)
				s.again(s.leader, func() {})
			}},
		{name: "a firewall later", want: "It announces itself, and its port 2378 does not answer", cause: func(s scene) {
			unreached(s)
			s.run(s.t, nil, time.Minute, nil)
			s.late.shut.Store(true)
		}},
		{name: "denied here", want: "It is not trusted, or does not trust this board: not a peer: its serial is in .deny",
			cause: func(s scene) {
				s.again(s.leader, func() { s.leader.deny = []peer.Serial{s.late.serial} })
				s.late.powerOn(s.t.Context(), 0)
			}},
		{name: "a manager that is deaf", want: "It announces itself and says nothing more", alone: true,
			by: func(s scene) *simBoard { return s.worker }, cause: func(s scene) {
				s.deaf = s.leader
				s.mute()
			}},
		{name: "its manager is off", want: "It is a worker, and its manager does not answer", alone: true,
			by: func(s scene) *simBoard { return s.worker }, cause: func(s scene) { s.leader.powerOff() }},
		{name: "unicast", want: "It is reached by address only", cause: func(s scene) { s.deaf = s.leader }},
		{name: "a plug", want: "Its agent was heard of less than a minute ago: if it is on", alone: true,
			cause: func(s scene) { s.worker.powerOff() }},
		{name: "a plug, later", want: "Its agent has not been heard from for 3 min either", alone: true,
			cause: func(s scene) { s.worker.powerOff() }},
		{name: "a plug that nobody saw", want: "Nobody has heard of it", alone: true, cause: func(s scene) {
			s.leader.kill()
			s.worker.powerOff()
			s.run(s.t, nil, time.Minute, nil)
			s.leader.start(s.t.Context())
		}},
		{name: "a new card",
			want: "It is what .* was before its card was flashed anew: docker node rm fake[0-9]+ on a manager", alone: true, cause: func(s scene) {
				s.worker.powerOff()
				s.worker.engine.Reflash()
				s.worker.kept, s.worker.node = peer.Membership{}, ""
				s.run(s.t, nil, 20*time.Second, nil)
				s.worker.powerOn(s.t.Context(), 0)
			}},
		{name: "another cluster", want: `It belongs to cluster "class-b"`, alone: true, cause: func(s scene) {
			s.leader.near = []discovery.Neighbour{{Serial: "1", Cluster: "class-b", Tag: "f00"}}
		}},
		{name: "a key, and we have none", want: "It has a cluster key, and this cluster has none", alone: true,
			cause: func(s scene) {
				s.leader.near = []discovery.Neighbour{{Serial: "2", Cluster: "pi", Tag: "f00"}}
			}},
		{name: "no key", want: "It has no cluster key, and this cluster has one", alone: true, cause: func(s scene) {
			s.again(s.leader, func() {
				s.leader.tag, s.leader.near = "f00",
					[]discovery.Neighbour{{Serial: "3", Cluster: "pi"}}
			})
		}},
		{name: "another key", want: "It has another cluster key", alone: true, cause: func(s scene) {
			s.again(s.leader, func() {
				s.leader.tag, s.leader.near = "f00", []discovery.Neighbour{{Serial: "4", Cluster: "pi", Tag: "ba5"}}
			})
		}},
	}
	said, played := map[string]bool{}, 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			played++
			formedWorld(t, 2, func(t *testing.T, w *world) {
				s := scene{world: w, t: t, leader: w.leader(), worker: w.boards[0], late: w.add("f000000000000001")}
				if s.worker == s.leader {
					s.worker = w.boards[1]
				}
				tt.cause(s)
				by := s.leader
				if tt.by != nil {
					by = tt.by(s)
				}
				w.step = 20 * time.Millisecond
				want := regexp.MustCompile(tt.want)
				var shown picture.Picture
				w.missing = "nobody says " + tt.want
				w.run(t, nil, 5*time.Minute, func() bool {
					if by.running() == nil {
						return false
					}
					shown = by.running().draw(t.Context())
					return slices.ContainsFunc(whys(shown), want.MatchString)
				})
				for _, why := range reasons(shown) {
					said[why.Code] = true
					if why != why.Dot() {
						t.Errorf("%q is no sentence", why)
					}
					if want.MatchString(why.En) {
						t.Log(why)
					}
				}
				if shown.Swarm != nil && len(shown.Nearby) == 0 && slices.ContainsFunc(shown.Boards, func(b picture.Board) bool {
					return want.MatchString(b.Why.En) && (b.State == picture.Ready) != (tt.name == "unicast")
				}) {
					t.Errorf("boards are %+v", shown.Boards)
				}
				if tt.alone || tt.by != nil {
					return
				}
				w.run(t, nil, pictureAge, nil)
				if all := whys(s.worker.running().draw(t.Context())); !slices.ContainsFunc(all, want.MatchString) {
					t.Errorf("the worker says %q", all)
				}
			})
		})
	}
	if played == len(tests) && !t.Failed() { // otherwise only some were asked for
		for _, code := range say.Codes("why-") { // those that no case has caused may be impossible, or wrong
			if !said[code] {
				t.Errorf("no case says %s", code)
			}
		}
	}
}

// warns runs the world until a board shows a warning that begins so, and returns it.
func warns(t *testing.T, w *world, b *simBoard, text string) (found picture.Warning) {
	t.Helper()
	w.missing = "no warning " + text
	w.run(t, nil, time.Minute, func() bool {
		all := b.running().draw(t.Context()).Warnings
		i := slices.IndexFunc(all, func(x picture.Warning) bool { return strings.HasPrefix(x.Text.En, text) })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// Warnings that a swarm with one manager, and then with two of which one goes, gives cause for.
func TestWarningsOfFewManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		rnd := rand.New(rand.NewPCG(1, 0))
		w.addMany(rnd, 3)
		slow := w.boards[2]
		slow.turnClock(-2 * time.Minute)
		w.run(t, w.startAll(t, rnd), 5*time.Minute, w.formed)
		leader := w.leader()
		var workers []*simBoard
		for _, b := range w.boards {
			if b != leader {
				workers = append(workers, b)
			}
		}
		const remedy = "Set managers = 3 in pi-agent.toml on every board."
		for _, b := range w.boards {
			if one := warns(t, w, b,
				"1 manager: if "+leader.hostname+" fails, the swarm cannot be changed."); one.Remedy.En != remedy || one.Trouble {
				t.Errorf("%s warns %+v", b.hostname, one)
			}
			if b != slow {
				warns(t, w, b, "The clock of "+slow.hostname+" is 2 min behind.")
			}
		}
		leader.engine.AddService("web", 4)
		for _, b := range w.boards {
			if err := leader.engine.SetAvailability(t.Context(), b.node, swarm.Drained); err != nil {
				t.Fatal(err)
			}
		}
		if lacks := warns(t, w, workers[0], "web runs 0 of 4 tasks: no suitable node."); !lacks.Trouble {
			t.Errorf("a service that lacks tasks is no trouble: %+v", lacks)
		}
		second := workers[0]
		second.engine.Promote()
		if two := warns(t, w, workers[1], "2 managers: if "); two.Remedy.En != remedy ||
			!strings.Contains(two.Text.En, leader.hostname) || !strings.Contains(two.Text.En, second.hostname) {
			t.Errorf("2 managers: %+v", two)
		}
		second.powerOff()
		for _, b := range []*simBoard{leader, workers[1]} { // it answers, and only lacks the others
			if lost := warns(t, w, b, "The managers of the swarm have no majority: it cannot be changed"); !lost.Trouble {
				t.Errorf("%s: no majority is no trouble: %+v", b.hostname, lost)
			}
		}
		leader.kill()
		alone := status.Alone(t.Context(), picture.Board{Serial: leader.serial, Name: leader.hostname}, "pi",
			say.Words("The agent does not run."), leader.engine)
		if !strings.HasPrefix(alone.Warnings[1].Text.En, "The managers of the swarm have no majority") {
			t.Errorf("without its agent it warns %+v", alone.Warnings)
		}
		leader.powerOff()
		warns(t, w, workers[1], "No manager of the swarm answers")
	})
}

// Of three managers one may go.
func TestWarningsOfThreeManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		rnd := rand.New(rand.NewPCG(1, 0))
		w.wanted = 3
		w.addMany(rnd, 3)
		w.run(t, w.startAll(t, rnd), 5*time.Minute, w.managed(3))
		w.run(t, nil, time.Minute, nil)
		for _, b := range w.boards {
			if all := b.running().draw(t.Context()).Warnings; len(all) > 0 {
				t.Errorf("%s warns %+v", b.hostname, all)
			}
		}
		w.boards[0].powerOff()
		for _, b := range w.boards[1:] {
			warns(t, w, b, w.boards[0].hostname+" is down.")
			warns(t, w, b, "2 of 3 managers are reachable.")
		}
	})
}

// What a picture says of boards that are not in changes once a minute at most: the page sends whatever has changed.
func TestPictureIsStill(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		leader := w.leader()
		gone := w.boards[0]
		if gone == leader {
			gone = w.boards[1]
		}
		late := w.add("f000000000000001")
		late.powerOn(t.Context(), time.Hour)
		out := w.add("f000000000000002")
		out.powerOn(t.Context(), time.Hour)
		w.run(t, nil, 20*time.Second, nil)
		out.powerOff()
		gone.powerOff()
		w.run(t, nil, 20*time.Second, nil)
		const minutes = 6
		said, before := 0, ""
		for range minutes * 30 {
			w.run(t, nil, 2*time.Second, nil)
			p := leader.running().Picture(t.Context())
			if now := fmt.Sprint(whys(p), p.Warnings); now != before {
				before = now
				said++
			}
		}
		if most := 3 * minutes; said > most || said < 2 {
			t.Errorf("in %d minutes it says %d different things of 3 boards, want at most %d; the last is %s", minutes, said,
				most, before)
		}
	})
}

// A board whose agent has just started has seen nothing yet.
func TestPictureBeforeTheFirstTurn(t *testing.T) {
	w := newWorld(t, 1)
	b := w.add("10000000aabbcc01")
	l := NewLoop(Options{Serial: b.serial, Cluster: "pi", Hostname: func() string { return b.hostname }})
	if p := l.Picture(t.Context()); p.Doing.En != "The agent has just started." || p.Self != b.serial || p.Swarm != nil {
		t.Errorf("%+v", p)
	}
}

// When multicast works again, nothing is said of it any more.
func TestUnicastEnds(t *testing.T) {
	formedWorld(t, 2, func(t *testing.T, w *world) {
		leader := w.leader()
		worker := w.boards[0]
		if worker == leader {
			worker = w.boards[1]
		}
		w.deaf = leader
		for range 8 { // until it must have been heard
			if e := entryOf(t, leader.running().Picture(t.Context()), worker); e.State != picture.Ready {
				t.Errorf("%+v", e)
			}
			w.run(t, nil, 30*time.Second, nil)
		}
		if e := entryOf(t, leader.running().Picture(t.Context()), worker); e.Announced ||
			e.Why.En != "It is reached by address only: its announcements do not arrive, for multicast does not work between the two." {
			t.Errorf("without multicast it is %+v", e)
		}
		w.deaf = nil
		w.run(t, nil, 2*time.Minute, nil)
		if e := entryOf(t, leader.running().Picture(t.Context()), worker); !e.Announced || e.Why.En != "" {
			t.Errorf("with multicast it is %+v", e)
		}
	})
}

// That a board has heard itself is worth three minutes.
func TestOwnAnnouncementsExpire(t *testing.T) {
	formedWorld(t, 1, func(t *testing.T, w *world) {
		leader := w.leader()
		if e := entryOf(t, leader.running().Picture(t.Context()), leader); !e.Announced {
			t.Errorf("with multicast it is %+v", e)
		}
		w.run(t, nil, 2*time.Second, nil)
		w.mu.Lock()
		leader.heard = time.Now().Add(-patient.UnheardMax)
		w.mu.Unlock()
		if e := entryOf(t, leader.running().Picture(t.Context()), leader); e.Announced {
			t.Errorf("three minutes later it is %+v", e)
		}
	})
}

// Another cluster nearby is worth a line, and no trouble.
func TestNearby(t *testing.T) {
	formedWorld(t, 1, func(t *testing.T, w *world) {
		leader := w.leader()
		leader.near = []discovery.Neighbour{{Serial: "1", Cluster: "class-b"}, {Serial: "2", Cluster: "pi", Tag: "f00"}}
		if p := leader.running().Picture(t.Context()); len(p.Nearby) != 2 || p.Trouble() {
			t.Errorf("nearby are %+v, trouble %v", p.Nearby, p.Trouble())
		}
	})
}

func enrollPeer(b *simBoard, claim peer.Claim, at netip.AddrPort) trust.Peer {
	return trust.Peer{Claim: claim, Key: b.key, Addr: at}
}

// The only manager is off: the workers are what they were, and each shows the others so.
func TestPictureWithoutAManager(t *testing.T) {
	formedWorld(t, 4, func(t *testing.T, w *world) {
		leader := w.leader()
		leader.powerOff()
		for _, after := range []time.Duration{2 * time.Minute, 4 * time.Minute, 20 * time.Minute} {
			w.run(t, nil, after, nil)
			for _, b := range w.boards {
				if b == leader {
					continue
				}
				p := b.running().Picture(t.Context())
				if p.Swarm == nil || p.Source != "" || !p.Needs || !p.Trouble() {
					t.Errorf("%s shows %+v", b.hostname, p)
				}
				for _, other := range w.boards {
					e := entryOf(t, p, other)
					if other == leader {
						if e.State != picture.Out && e.State != picture.Down || e.Why.En == "" {
							t.Errorf("after %v %s shows the manager as %+v", after, b.hostname, e)
						}
					} else if e.State != picture.In || e.Role != picture.Worker ||
						e.Why.En != "It is a worker, and its manager does not answer." {
						t.Errorf("after %v %s shows %s as %+v", after, b.hostname, other.hostname, e)
					}
				}
			}
		}
	})
}
