package swarm_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/swarm/swarmtest"
)

// fakeWorld is the world of the conformance test made of engines in memory.
type fakeWorld struct {
	net    *swarmtest.Net
	boards []*swarmtest.Engine
	cuts   map[netip.Addr]bool
}

func (*fakeWorld) exchanged() {}

func newFakeWorld() *fakeWorld {
	w := &fakeWorld{net: swarmtest.NewNet(), cuts: map[netip.Addr]bool{}}
	for i, name := range []string{"pi1", "pi2", "pi3"} {
		w.boards = append(w.boards, w.net.NewEngine(name, w.addr(i)))
	}
	return w
}

func (*fakeWorld) addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}) }
func (*fakeWorld) silent() netip.Addr    { return netip.MustParseAddr("10.77.0.99") }

func (w *fakeWorld) engine(i int) swarm.Engine { return w.boards[i] }
func (w *fakeWorld) powerOff(i int)            { w.boards[i].PowerOff() }
func (w *fakeWorld) powerOn(i int)             { w.boards[i].PowerOn() }
func (w *fakeWorld) stopEngine(i int)          { w.boards[i].StopEngine() }
func (w *fakeWorld) startEngine(i int)         { w.boards[i].StartEngine() }
func (w *fakeWorld) liveRestore(i int)         { w.boards[i].SetLiveRestore(true) }
func (w *fakeWorld) autolock(i int)            { w.boards[i].Autolock() }
func (w *fakeWorld) promote(_, i int)          { w.boards[i].Promote() }
func (w *fakeWorld) forget(i int) {
	w.stopEngine(i)
	w.boards[i].Forget()
	w.startEngine(i)
}
func (w *fakeWorld) deploy(i int) { w.boards[i].Deploy() }
func (w *fakeWorld) service(manager int, name string, replicas int) {
	w.boards[manager].AddService(name, replicas)
}
func (w *fakeWorld) cut(i int)  { w.setCut(i, true) }
func (w *fakeWorld) mend(i int) { w.setCut(i, false) }
func (w *fakeWorld) setCut(i int, cut bool) {
	cuts := map[netip.Addr]bool{w.addr(i): cut}
	for a, c := range w.cuts {
		if a != w.addr(i) {
			cuts[a] = c
		}
	}
	w.cuts = cuts
	w.net.SetReach(func(from, to netip.Addr) bool { return !cuts[from] && !cuts[to] })
}

func TestFakeCountsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		found(t, w)
		must(t, join(t, w, 1, 0))
		id := status(t, w.engine(1)).NodeID
		for range 2 {
			must(t, w.engine(0).Label(t.Context(), id, map[string]string{"a": "b"}))
		}
		wantErr(t, "second Join", join(t, w, 1, 0), swarm.ErrAlready)
		if got, want := w.boards[0].Calls(), (swarmtest.Calls{Init: 1, Label: 1}); got != want {
			t.Errorf("manager counts %+v, want %+v", got, want)
		}
		if got, want := w.boards[1].Calls(), (swarmtest.Calls{Join: 2}); got != want {
			t.Errorf("worker counts %+v, want %+v", got, want)
		}
	})
}

// A join that nobody waits for is finished by the engine when the manager is there at last.
func TestFakeJoinGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		found(t, w)
		token, err := w.engine(0).WorkerToken(t.Context())
		must(t, err)
		w.powerOff(0)
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		r := swarm.JoinRequest{Advertise: w.addr(1), Managers: []netip.AddrPort{netip.AddrPortFrom(w.addr(0), swarm.Port)},
			Token: token}
		wantErr(t, "Join", w.engine(1).Join(ctx, r), swarm.ErrPending)
		w.powerOn(0)
		await(t, time.Minute, func() error { return wantState(w.engine(1), swarm.Active) })
		awaitReady(t, w.engine(0), w.addr(0), w.addr(1))
	})
}

func TestFakeReflash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		found(t, w)
		must(t, join(t, w, 1, 0))
		w.boards[1].Reflash()
		awaitReady(t, w.engine(0), w.addr(0))
		w.powerOn(1)
		check(t, wantState(w.engine(1), swarm.Inactive))
		must(t, join(t, w, 1, 0))
		awaitReady(t, w.engine(0), w.addr(0), w.addr(1))
		if nodes, err := w.engine(0).Nodes(t.Context()); err != nil || len(nodes) != 3 {
			t.Errorf("%d nodes, %v; want the ghost of the old card beside two", len(nodes), err)
		}
	})
}

// Power goes while the engine is busy: the call ends, and a swarm that was not there yet never comes.
func TestFakePowerCutDuringInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		cut := time.AfterFunc(300*time.Millisecond, func() { w.powerOff(0) })
		defer cut.Stop()
		wantErr(t, "Init", initSwarm(t, w, 0), swarm.ErrUnreachable)
		w.powerOn(0)
		check(t, wantState(w.engine(0), swarm.Inactive))
	})
}
