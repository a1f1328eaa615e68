package bootstrap

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
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
			if p.Self != b.serial || p.Source != leader.hostname || p.Cluster != "pi" || p.Keyed || p.Swarm == nil || p.Trouble() {
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
				if e.Name != other.hostname || e.Model != "Simulated Pi" || e.Role != role || e.State != picture.Ready || e.Engine != "20.10.24" ||
					e.Node != other.node || len(e.Addrs) != 1 || e.Addrs[0] != other.addr || e.Why != "" || time.Since(e.Heard) > time.Minute {
					t.Errorf("%s shows %+v", b.hostname, e)
				}
			}
			if len(p.Services) != 1 || p.Services[0].Running != 4 || p.Services[0].Wanted != 4 || p.Services[0].Tasks[0].Board == "" {
				t.Errorf("%s shows the services %+v", b.hostname, p.Services)
			}
			if len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0].Text, "1 manager: if "+leader.hostname+" fails") {
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
			if e := entryOf(t, p, gone); e.State != picture.Down || !strings.Contains(e.Why, "if it is on") || !p.Trouble() {
				t.Errorf("%s shows a board without power as %+v", b.hostname, e)
			}
			for _, task := range p.Services[0].Tasks {
				if task.Board == gone.hostname || task.State != "running" {
					t.Errorf("%s shows task %+v", b.hostname, task)
				}
			}
		}
		w.run(t, nil, 3*time.Minute, nil)
		if e := entryOf(t, leader.running().Picture(t.Context()), gone); !strings.Contains(e.Why, "not been heard of for 4 min") {
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
		if len(there) != 1 || there[0].State != picture.Ready || there[0].Why != "" {
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
			if p.Source != "" || p.Swarm == nil || !p.Trouble() || !p.Needs || !strings.Contains(p.Doing, "does not answer") {
				t.Errorf("%s shows %+v", b.hostname, p)
			}
			if e := entryOf(t, p, b); e.State != picture.In || e.Role != picture.Worker {
				t.Errorf("%s shows itself as %+v", b.hostname, e)
			}
		}
	})
}

// However many look at a big swarm cost the engine one look a second.
func TestPictureIsCheap(t *testing.T) {
	const boards, services = 30, 20
	w := newWorld(t, 1)
	for i := range boards {
		w.add(peer.Serial(fmt.Sprintf("10000000aabbcc%02x", i))).engine.PowerOn()
	}
	leader := w.boards[0]
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
	for i := range services {
		leader.engine.AddService(fmt.Sprintf("service-%d", i), 5)
	}
	leader.start(t.Context())
	l := leader.running()
	for _, b := range w.boards[1:] {
		s, err := b.engine.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		claim := peer.Claim{Serial: b.serial, Cluster: "pi", State: peer.Worker, Node: s.NodeID, Hostname: b.hostname, Clock: time.Now()}
		l.Met(enrollPeer(b, claim, netip.AddrPortFrom(b.addr, peer.Port)))
	}
	for l.ticket.Load() == nil || l.posed.Load() == nil { // until its first turns
		runtime.Gosched()
	}

	began := time.Now()
	const rounds = 20
	for range rounds {
		if p := l.draw(t.Context()); len(p.Boards) != boards || len(p.Services) != services {
			t.Fatalf("%d boards, %d services", len(p.Boards), len(p.Services))
		}
	}
	each := time.Since(began) / rounds
	encoded, err := l.Picture(t.Context()).Encode()
	if err != nil || len(encoded) > 128<<10 {
		t.Errorf("the picture has %d bytes, %v", len(encoded), err)
	}
	t.Logf("%d boards, %d services: drawn in %v, %d bytes", boards, services, each, len(encoded))
	if each > time.Second {
		t.Errorf("drawing takes %v", each)
	}

	before, began := leader.engine.Calls().Overview, time.Now()
	var all sync.WaitGroup
	for range boards {
		all.Go(func() {
			for range 100 {
				l.Picture(t.Context())
			}
		})
	}
	all.Wait()
	if calls := leader.engine.Calls().Overview - before; float64(calls) > time.Since(began).Seconds()+1 {
		t.Errorf("%d looks cost %d looks of the engine in %v", 100*boards, calls, time.Since(began))
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

// TestWhy causes each reason for a board not to be in.
func TestWhy(t *testing.T) {
	tests := []struct {
		name  string
		cause func(w *world, late *simBoard)
		wait  time.Duration
		want  string
	}{
		{"waiting for its engine", func(_ *world, late *simBoard) { late.engine.StopEngine() }, 10 * time.Second,
			"Waiting for the Docker Engine"},
		{"live-restore", func(_ *world, late *simBoard) { late.engine.SetLiveRestore(true) }, 10 * time.Second, "live-restore"},
		{"wrong settings", nil, 10 * time.Second, "settings are put right"},
		{"clock", func(_ *world, late *simBoard) {
			late.stuck = true
			late.turnClock(-3 * time.Hour)
		}, time.Minute, "Its clock is 3 h behind"},
		{"port 2377 closed", func(w *world, late *simBoard) {
			w.net.SetReach(func(from, to netip.Addr) bool { return from != late.addr && to != late.addr })
		}, 2 * time.Minute, "Its last attempt failed: join the swarm of "},
		{"gone again", func(w *world, late *simBoard) {
			w.net.SetReach(func(from, to netip.Addr) bool { return from != late.addr && to != late.addr })
			time.AfterFunc(10*time.Second, late.kill)
		}, time.Minute, "not been heard of for "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			formedWorld(t, 2, func(t *testing.T, w *world) {
				leader := w.leader()
				late := w.add("f000000000000001")
				late.engine.PowerOn()
				if tt.cause == nil {
					late.settings = fmt.Errorf("no such setting")
				} else {
					tt.cause(w, late)
				}
				late.start(t.Context())
				w.run(t, nil, tt.wait, nil)
				e := entryOf(t, leader.running().Picture(t.Context()), late)
				if e.State != picture.Out || !strings.Contains(e.Why, tt.want) || !strings.HasSuffix(e.Why, ".") && !strings.HasSuffix(e.Why, "?") {
					t.Errorf("it is %+v, want why to have %q", e, tt.want)
				}
				t.Log(e.Why)
				if own := late.running(); own != nil && tt.name != "clock" {
					if e := entryOf(t, own.Picture(t.Context()), late); !strings.Contains(e.Why, tt.want) {
						t.Errorf("the board itself says %q", e.Why)
					}
				}
			})
		})
	}
}

// A board whose announcements do not arrive, and that is asked by address.
func TestWhyUnicast(t *testing.T) {
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
		if e := entryOf(t, leader.running().Picture(t.Context()), worker); e.Announced || e.Why != whyUnicast {
			t.Errorf("without multicast it is %+v", e)
		}
		w.deaf = nil
		w.run(t, nil, 2*time.Minute, nil)
		if e := entryOf(t, leader.running().Picture(t.Context()), worker); !e.Announced || e.Why != "" {
			t.Errorf("with multicast it is %+v", e)
		}
	})
}

func TestWhyNotOurs(t *testing.T) {
	formedWorld(t, 2, func(t *testing.T, w *world) {
		leader := w.leader()
		leader.near = []discovery.Neighbour{{Serial: "1", Cluster: "class-b"}, {Serial: "2", Cluster: "pi", Tag: "f00"}}
		p := leader.running().Picture(t.Context())
		if len(p.Nearby) != 2 || !strings.Contains(p.Nearby[0].Why, `cluster "class-b"`) || !strings.Contains(p.Nearby[1].Why, "this cluster has none") {
			t.Errorf("nearby are %+v", p.Nearby)
		}
		if p.Trouble() {
			t.Error("another cluster nearby is trouble")
		}
	})
	if why := whyNotOurs(discovery.Neighbour{Cluster: "pi"}, "pi", "f00"); !strings.Contains(why, "no cluster key") {
		t.Error(why)
	}
	if why := whyNotOurs(discovery.Neighbour{Cluster: "pi", Tag: "bar"}, "pi", "f00"); !strings.Contains(why, "another cluster key") {
		t.Error(why)
	}
}

func enrollPeer(b *simBoard, claim peer.Claim, at netip.AddrPort) enroll.Peer {
	return enroll.Peer{Claim: claim, Key: b.key, Addr: at}
}
