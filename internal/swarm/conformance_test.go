package swarm_test

// The conformance test: what the rest of the project relies on, asked of the engines of package swarmtest in virtual
// time, and of real ones.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// world is three boards on a LAN, with engines that are up and in no swarm. A hook returns when it has taken effect.
type world interface {
	engine(i int) swarm.Engine // of the board's present boot
	addr(i int) netip.Addr
	silent() netip.Addr // nobody has it
	powerOff(i int)
	powerOn(i int)
	stopEngine(i int)
	startEngine(i int)
	liveRestore(i int) // restarts the engine with live-restore on
	autolock(i int)
	exchanged() // waits until the swarm that board 0 has founded has its lasting join token
	promote(manager, i int)
	forget(i int) // restarts the engine, which has forgotten that it is in a swarm
	deploy(i int) // a service, a secret and a config
	service(manager int, name string, replicas int)
	cut(i int)
	mend(i int)
}

// cases are the tests. None of them sleeps a while for something: they wait for it.
var cases = []struct {
	name string
	run  func(*testing.T, world)
}{
	{"Quorum", testQuorum}, // first, for it takes longest
	{"Roles", testRoles},
	{"Stumble", testStumble},
	{"Blank", testBlank},
	{"Life", testLife},
	{"NoManager", testNoManager},
	{"LateFailure", testLateFailure},
	{"WrongToken", testWrongToken},
	{"Power", testPower},
	{"LiveRestore", testLiveRestore},
	{"Locked", testLocked},
	{"Revive", testRevive},
	{"Contents", testContents},
	{"Overview", testOverview},
}

func TestFakeConforms(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t, newFakeWorld()) })
		})
	}
}

func TestDockerConforms(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, newLabWorld(t))
		})
	}
}

func testBlank(t *testing.T, w world) {
	ctx, e := t.Context(), w.engine(0)
	s := status(t, e)
	if s.State != swarm.Inactive || s.NodeID != "" || s.SwarmID != "" || s.Addr.IsValid() || s.Manager ||
		s.Excluded != nil ||
		s.Hostname == "" || s.Version == "" || s.EngineID == "" || s.EngineID == status(t, w.engine(1)).EngineID ||
		len(s.Managers) > 0 || s.Error != "" {
		t.Errorf("blank engine says %+v", s)
	}
	_, err := e.Nodes(ctx)
	wantErr(t, "Nodes", err, swarm.ErrNotManager)
	_, err = e.WorkerToken(ctx)
	wantErr(t, "WorkerToken", err, swarm.ErrNotManager)
	wantErr(t, "Label", e.Label(ctx, "x", map[string]string{"a": "b"}), swarm.ErrNotManager)
	wantErr(t, "Remove", e.Remove(ctx, "x", true), swarm.ErrNotManager)
	wantErr(t, "Leave", e.Leave(ctx, false), swarm.ErrNotMember)
	wantErr(t, "Leave with force", e.Leave(ctx, true), swarm.ErrNotMember)
	wantErr(t, "Join without a manager", e.Join(ctx, swarm.JoinRequest{Advertise: w.addr(0), Token: someToken}),
		swarm.ErrRefused)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.Status(ended)
	wantErr(t, "Status without time", err, context.Canceled)
}

func testLife(t *testing.T, w world) {
	ctx, m, worker := t.Context(), w.engine(0), w.engine(1)
	if took := found(t, w); took > 30*time.Second {
		t.Errorf("Init took %v", took)
	}
	wantErr(t, "second Init", initSwarm(t, w, 0), swarm.ErrAlready)
	wantErr(t, "Join of a manager", join(t, w, 0, 0), swarm.ErrAlready)
	wantErr(t, "Leave of the last manager", m.Leave(ctx, false), swarm.ErrLastManager)
	must(t, join(t, w, 1, 0))
	must(t, join(t, w, 2, 0))
	wantErr(t, "second Join", join(t, w, 1, 0), swarm.ErrAlready)
	wantErr(t, "Init of a worker", initSwarm(t, w, 1), swarm.ErrAlready)
	awaitReady(t, m, w.addr(0), w.addr(1), w.addr(2))

	sm, sw := status(t, m), status(t, worker)
	if sm.State != swarm.Active || !sm.Manager || sm.SwarmID == "" || sm.NodeID == "" || sm.Addr != w.addr(0) {
		t.Errorf("manager says %+v", sm)
	}
	at := []netip.AddrPort{netip.AddrPortFrom(w.addr(0), swarm.Port)}
	if sw.State != swarm.Active || sw.Manager || sw.SwarmID != "" || sw.NodeID == "" || sw.Addr != w.addr(1) ||
		!slices.Equal(sw.Managers, at) {
		t.Errorf("worker says %+v", sw)
	}
	nodes, err := m.Nodes(ctx)
	must(t, err)
	for _, n := range nodes {
		first := n.ID == sm.NodeID
		if n.Manager != first || n.Leader != first || n.Availability != swarm.Available || n.Hostname == "" ||
			len(n.Labels) > 0 {
			t.Errorf("node %+v", n)
		}
	}
	_, err = worker.Nodes(ctx)
	wantErr(t, "Nodes of a worker", err, swarm.ErrNotManager)

	must(t, m.Label(ctx, sw.NodeID, map[string]string{"pi.serial": "1", "pi.model": "Zero"}))
	must(t, m.Label(ctx, sw.NodeID, map[string]string{"pi.model": "5"}))
	must(t, m.Label(ctx, sw.NodeID, map[string]string{"pi.model": "5"}))
	if l := fmt.Sprint(node(t, m, sw.NodeID).Labels); l != "map[pi.model:5 pi.serial:1]" {
		t.Errorf("labels are %s", l)
	}
	for _, a := range []swarm.Availability{swarm.Drained, swarm.Drained, swarm.Paused, swarm.Available} {
		must(t, m.SetAvailability(ctx, sw.NodeID, a))
		if is := node(t, m, sw.NodeID).Availability; is != a {
			t.Errorf("availability is %q, want %q", is, a)
		}
	}
	wantErr(t, "SetAvailability of nobody", m.SetAvailability(ctx, "nobody", swarm.Drained), swarm.ErrNoNode)
	wantErr(t, "SetAvailability by a worker", worker.SetAvailability(ctx, sw.NodeID, swarm.Drained), swarm.ErrNotManager)
	wantErr(t, "Label of nobody", m.Label(ctx, "nobody", map[string]string{"a": "b"}), swarm.ErrNoNode)
	wantErr(t, "Remove of nobody", m.Remove(ctx, "nobody", true), swarm.ErrNoNode)
	if m.Remove(ctx, sw.NodeID, false) == nil || m.Remove(ctx, sm.NodeID, true) == nil {
		t.Error("a node that is ready, or a manager, could be removed")
	}

	must(t, m.Remove(ctx, status(t, w.engine(2)).NodeID, true))
	if s := status(t, w.engine(2)); s.State != swarm.Active {
		t.Errorf("a worker that was removed says %+v", s)
	}
	must(t, w.engine(2).Leave(ctx, false))
	must(t, worker.Leave(ctx, false))
	if s := status(t, worker); s.State != swarm.Inactive || s.NodeID != "" {
		t.Errorf("a worker that left says %+v", s)
	}
	awaitReady(t, m, w.addr(0))
	must(t, m.Remove(ctx, sw.NodeID, false))
	must(t, join(t, w, 1, 0))
	if s := status(t, worker); s.NodeID == sw.NodeID {
		t.Error("a node that comes again has its old id")
	}
	awaitReady(t, m, w.addr(0), w.addr(1))
	must(t, m.Leave(ctx, true))
	if s := status(t, m); s.State != swarm.Inactive || s.SwarmID != "" {
		t.Errorf("a manager that left says %+v", s)
	}
	if s := status(t, worker); s.State != swarm.Active {
		t.Errorf("a worker without manager says %+v", s)
	}
	found(t, w)
	if s := status(t, m); s.SwarmID == sm.SwarmID {
		t.Error("a new swarm has the id of the old one")
	}
}

// testNoManager joins where no manager is: a silent address, a closed port, and without waiting for the end.
func testNoManager(t *testing.T, w world) {
	request := func(i int, manager netip.Addr) swarm.JoinRequest {
		return swarm.JoinRequest{Advertise: w.addr(i), Managers: []netip.AddrPort{netip.AddrPortFrom(manager, swarm.Port)},
			Token: someToken}
	}
	together(
		func() {
			done := make(chan error, 1)
			began := time.Now()
			go func() { done <- w.engine(0).Join(t.Context(), request(0, w.silent())) }()
			await(t, 5*time.Second, func() error { return wantState(w.engine(0), swarm.Pending) })
			wantErr(t, "Join of a silent host", <-done, swarm.ErrRefused)
			if took := time.Since(began); took < 15*time.Second || took > 60*time.Second {
				t.Errorf("Join of a silent host took %v, want about 20 s", took)
			}
			check(t, wantState(w.engine(0), swarm.Inactive))
		},
		func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := w.engine(1).Join(ctx, request(1, w.silent()))
			wantErr(t, "Join that nobody waits for", err, swarm.ErrPending)
			wantErr(t, "Join that nobody waits for", err, context.DeadlineExceeded)
			check(t, wantState(w.engine(1), swarm.Pending))
			wantErr(t, "Leave", w.engine(1).Leave(t.Context(), false), nil)
			check(t, wantState(w.engine(1), swarm.Inactive))
		},
		func() {
			began := time.Now()
			wantErr(t, "Join of a closed port", w.engine(2).Join(t.Context(), request(2, w.addr(0))), swarm.ErrRefused)
			if took := time.Since(began); took > 60*time.Second {
				t.Errorf("Join of a closed port took %v, want about 10 s", took)
			}
			check(t, wantState(w.engine(2), swarm.Inactive))
		},
	)
}

// testLateFailure lets a join fail that nobody waits for: the engine takes no other until it is told to leave.
func testLateFailure(t *testing.T, w world) {
	found(t, w)
	token, err := w.engine(0).WorkerToken(t.Context())
	must(t, err)
	manager := []netip.AddrPort{netip.AddrPortFrom(w.addr(0), swarm.Port)}
	w.cut(0)
	began := time.Now()
	together(
		func() { // the board's own patience
			err := w.engine(2).Join(t.Context(),
				swarm.JoinRequest{Advertise: w.addr(2), Managers: manager, Token: wrong(token, 2)})
			wantErr(t, "Join", err, swarm.ErrRefused)
			check(t, wantState(w.engine(2), swarm.Inactive))
		},
		func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r := swarm.JoinRequest{Advertise: w.addr(1), Managers: manager, Token: wrong(token, 3)}
			wantErr(t, "Join that nobody waits for", w.engine(1).Join(ctx, r), swarm.ErrPending)
		},
	)
	if rest := time.Until(began.Add(21 * time.Second)); rest > 0 { // the engine's own patience
		<-time.After(rest)
	}
	w.mend(0)
	await(t, 30*time.Second, func() error {
		s, err := w.engine(1).Status(t.Context())
		if err != nil || s.State != swarm.Failed || s.NodeID != "" || s.Error == "" {
			return fmt.Errorf("after a join that failed late the engine says %+v, %w", s, err)
		}
		return nil
	})
	wantErr(t, "Join after that", join(t, w, 1, 0), swarm.ErrAlready)
	wantErr(t, "Leave", w.engine(1).Leave(t.Context(), false), nil)
	wantErr(t, "Join after Leave", join(t, w, 1, 0), nil)
}

func testWrongToken(t *testing.T, w world) {
	found(t, w)
	w.exchanged()
	token, err := w.engine(0).WorkerToken(t.Context())
	must(t, err)
	manager := netip.AddrPortFrom(w.addr(0), swarm.Port)
	try := func(i int, token secret.Secret, managers ...netip.AddrPort) error {
		err := w.engine(i).Join(t.Context(), swarm.JoinRequest{Advertise: w.addr(i), Managers: managers, Token: token})
		if err != nil && strings.Contains(err.Error(), token.Reveal()) {
			t.Errorf("the token is in the error %q", err)
		}
		return err
	}
	together(
		func() {
			wantErr(t, "Join with a wrong secret", try(1, wrong(token, 3), manager), swarm.ErrRefused)
			check(t, wantState(w.engine(1), swarm.Inactive))
		},
		func() {
			wantErr(t, "Join with a malformed token", try(2, secret.New("nonsense"), manager), swarm.ErrRefused)
			wantErr(t, "Join with a wrong CA", try(2, wrong(token, 2), manager), swarm.ErrRefused)
			check(t, wantState(w.engine(2), swarm.Inactive))
		},
	)
	wantErr(t, "Join of the second manager", try(1, token, netip.AddrPortFrom(w.addr(2), swarm.Port), manager), nil)
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1))
}

func testPower(t *testing.T, w world) {
	found(t, w)
	must(t, join(t, w, 1, 0))
	must(t, join(t, w, 2, 0))
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1), w.addr(2))
	before := []swarm.Status{status(t, w.engine(0)), status(t, w.engine(1)), status(t, w.engine(2))}

	off := w.engine(1)
	w.powerOff(1)
	_, err := off.Status(t.Context())
	wantErr(t, "Status of a board without power", err, swarm.ErrUnreachable)
	w.cut(2)
	awaitReady(t, w.engine(0), w.addr(0))
	check(t, wantState(w.engine(2), swarm.Active))
	w.powerOn(1)
	w.mend(2)
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1), w.addr(2))

	down := w.engine(0)
	w.stopEngine(0)
	_, err = down.Status(t.Context())
	wantErr(t, "Status", err, swarm.ErrUnreachable)
	_, err = down.Nodes(t.Context())
	wantErr(t, "Nodes", err, swarm.ErrUnreachable)
	wantErr(t, "Init", initSwarm(t, w, 0), swarm.ErrUnreachable)
	wantErr(t, "Join", down.Join(t.Context(), swarm.JoinRequest{
		Advertise: w.addr(0), Managers: []netip.AddrPort{netip.AddrPortFrom(w.addr(1), swarm.Port)}, Token: someToken,
	}), swarm.ErrUnreachable)
	wantErr(t, "Leave", down.Leave(t.Context(), true), swarm.ErrUnreachable)
	for i := 1; i < 3; i++ {
		check(t, wantState(w.engine(i), swarm.Active))
	}
	w.stopEngine(1)
	w.startEngine(1)
	if s := status(t, w.engine(1)); s.State != swarm.Pending || s.NodeID != before[1].NodeID || s.Addr != before[1].Addr {
		t.Errorf("a worker that starts without its manager says %+v", s)
	}
	w.startEngine(0)
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1), w.addr(2))
	for i, was := range before {
		if is := status(t, w.engine(i)); is.NodeID != was.NodeID || is.SwarmID != was.SwarmID || is.Addr != was.Addr ||
			is.EngineID != was.EngineID {
			t.Errorf("after power cuts board %d says %+v, before it said %+v", i, is, was)
		}
	}
}

func testLiveRestore(t *testing.T, w world) {
	w.liveRestore(0)
	if s := status(t, w.engine(0)); s.Excluded != swarm.ErrLiveRestore || s.State != swarm.Inactive {
		t.Errorf("with live-restore the engine says %+v", s)
	}
	err := initSwarm(t, w, 0)
	wantErr(t, "Init with live-restore", err, swarm.ErrLiveRestore)
	if err == nil || !strings.Contains(err.Error(), "/etc/docker/daemon.json") {
		t.Errorf("%q does not say what to do", err)
	}
	wantErr(t, "Join with live-restore", w.engine(0).Join(t.Context(), swarm.JoinRequest{
		Advertise: w.addr(0), Managers: []netip.AddrPort{netip.AddrPortFrom(w.addr(1), swarm.Port)}, Token: someToken,
	}), swarm.ErrLiveRestore)
	check(t, wantState(w.engine(0), swarm.Inactive))
}

func testContents(t *testing.T, w world) {
	ctx, m := t.Context(), w.engine(0)
	_, err := m.Contents(ctx)
	wantErr(t, "Contents in no swarm", err, swarm.ErrNotManager)
	found(t, w)
	want := func(want peer.Contents) {
		t.Helper()
		got, err := m.Contents(ctx)
		must(t, err)
		if got != want {
			t.Errorf("contents are %+v, want %+v", got, want)
		}
	}
	want(peer.Contents{Nodes: 1})
	must(t, join(t, w, 1, 0))
	w.deploy(0)
	want(peer.Contents{Nodes: 2, Services: 1, Secrets: 1, Configs: 1})
	_, err = w.engine(1).Contents(ctx)
	wantErr(t, "Contents of a worker", err, swarm.ErrNotManager)
}

// The only manager of a swarm whose engine has forgotten it is the same node of the same swarm afterwards, with what
// that holds and whom it has.
func testRevive(t *testing.T, w world) {
	ctx, m := t.Context(), w.engine(0)
	found(t, w)
	w.exchanged()
	must(t, join(t, w, 1, 0))
	w.deploy(0)
	token, err := m.WorkerToken(ctx)
	must(t, err)
	await(t, 10*time.Second, func() error {
		if s := status(t, m); len(s.Managers) != 1 {
			return fmt.Errorf("a single manager knows of %v", s.Managers)
		}
		return nil
	})
	was := status(t, m)
	w.forget(0)
	if s := status(t, m); s.State != swarm.Inactive || s.NodeID != "" || s.Addr.IsValid() {
		t.Errorf("an engine that has forgotten its swarm says %+v", s)
	}
	must(t, m.ForceNewCluster(ctx, w.addr(0)))
	awaitReady(t, m, w.addr(0), w.addr(1))
	is := status(t, m)
	if is.NodeID != was.NodeID || is.SwarmID != was.SwarmID || is.Addr != was.Addr || !is.Manager ||
		len(is.Managers) != 1 {
		t.Errorf("it says %+v, before it said %+v", is, was)
	}
	have, err := m.Contents(ctx)
	must(t, err)
	if want := (peer.Contents{Nodes: 2, Services: 1, Secrets: 1, Configs: 1}); have != want {
		t.Errorf("contents are %+v, want %+v", have, want)
	}
	again, err := m.WorkerToken(ctx)
	must(t, err)
	if again.Reveal() != token.Reveal() {
		t.Error("the join token is another one")
	}
	w.stopEngine(0)
	w.startEngine(0)
	awaitReady(t, m, w.addr(0), w.addr(1))
	must(t, join(t, w, 2, 0))
	awaitReady(t, m, w.addr(0), w.addr(1), w.addr(2))
}

func testLocked(t *testing.T, w world) {
	found(t, w)
	w.autolock(0)
	w.stopEngine(0)
	w.startEngine(0)
	e := w.engine(0)
	await(t, 10*time.Second, func() error { return wantState(e, swarm.Locked) })
	_, err := e.Nodes(t.Context())
	wantErr(t, "Nodes", err, swarm.ErrLocked)
	wantErr(t, "Init", initSwarm(t, w, 0), swarm.ErrAlready)
	wantErr(t, "Leave", e.Leave(t.Context(), false), swarm.ErrLocked)
	wantErr(t, "Leave with force", e.Leave(t.Context(), true), nil)
	check(t, wantState(e, swarm.Inactive))
}

func testQuorum(t *testing.T, w world) {
	found(t, w)
	must(t, join(t, w, 1, 0))
	token, err := w.engine(0).WorkerToken(t.Context())
	must(t, err)
	before := status(t, w.engine(0))
	w.promote(0, 1)
	await(t, 20*time.Second, func() error {
		if s := status(t, w.engine(1)); !s.Manager || s.SwarmID != before.SwarmID || len(s.Managers) != 2 {
			return fmt.Errorf("promoted worker says %+v", s)
		}
		return nil
	})
	wantErr(t, "Leave of one of two managers", w.engine(1).Leave(t.Context(), false), swarm.ErrIsManager)

	w.powerOff(0)
	e := w.engine(1)
	together(
		func() {
			_, err := e.Nodes(t.Context())
			wantErr(t, "Nodes without majority", err, swarm.ErrNoLeader)
			err = w.engine(2).Join(t.Context(), swarm.JoinRequest{
				Advertise: w.addr(2), Managers: []netip.AddrPort{netip.AddrPortFrom(w.addr(1), swarm.Port)}, Token: token,
			})
			if !errors.Is(err, swarm.ErrNoLeader) && !errors.Is(err, swarm.ErrRefused) { // the manager says so, or nothing
				t.Errorf("Join through a manager without majority: %v", err)
			}
			check(t, wantState(w.engine(2), swarm.Inactive))
		},
		func() {
			await(t, 90*time.Second, func() error { // the engine is silent for 20 s, and longer on a busy machine
				s, err := e.Status(t.Context())
				if err != nil || s.State != swarm.Active || !s.Manager || s.Fault() != swarm.NoMajority || s.Error == "" {
					return fmt.Errorf("manager without majority says %+v, %w", s, err)
				}
				return nil
			})
			_, err := e.WorkerToken(t.Context())
			wantErr(t, "WorkerToken without majority", err, swarm.ErrNoLeader)
			wantErr(t, "Leave without majority", e.Leave(t.Context(), false), swarm.ErrIsManager)
		},
	)
	w.powerOn(0)
	awaitReady(t, w.engine(1), w.addr(0), w.addr(1))
	if s := status(t, w.engine(1)); s.SwarmID != before.SwarmID || s.Error != "" {
		t.Errorf("with the majority back the manager says %+v", s)
	}
}

// testRoles makes workers managers and managers workers, those that are gone and the leader included.
func testRoles(t *testing.T, w world) {
	ctx, first := t.Context(), w.engine(0)
	found(t, w)
	must(t, join(t, w, 1, 0))
	must(t, join(t, w, 2, 0))
	awaitReady(t, first, w.addr(0), w.addr(1), w.addr(2))
	w.exchanged()
	var id [3]string
	for i := range id {
		id[i] = status(t, w.engine(i)).NodeID
	}
	is := func(asked swarm.Engine, i int, manager, votes, reachable bool) {
		t.Helper()
		await(t, 60*time.Second, func() error {
			nodes, err := asked.Nodes(ctx)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if n.ID == id[i] && n.Manager == manager && n.Votes == votes && n.Reachable == reachable {
					return nil
				}
			}
			return fmt.Errorf("board %d: want manager %v, votes %v, reachable %v: %+v", i, manager, votes, reachable, nodes)
		})
	}
	says := func(i int, manager bool) { // after a while, in which it may not answer
		t.Helper()
		await(t, 60*time.Second, func() error {
			s, err := w.engine(i).Status(ctx)
			if err == nil && (s.State != swarm.Active || s.Manager != manager || s.NodeID != id[i]) {
				err = fmt.Errorf("board %d, which is to be a manager: %v, says %+v", i, manager, s)
			}
			return err
		})
	}
	wantErr(t, "SetRole of nobody", first.SetRole(ctx, "nobody", true), swarm.ErrNoNode)
	wantErr(t, "SetRole by a worker", w.engine(1).SetRole(ctx, id[1], true), swarm.ErrNotManager)
	wantErr(t, "SetRole of the last manager", first.SetRole(ctx, id[0], false), swarm.ErrLastManager)
	is(first, 0, true, true, true)

	w.powerOff(2)
	awaitReady(t, first, w.addr(0), w.addr(1))
	must(t, first.SetRole(ctx, id[2], true))
	is(first, 2, true, false, false) // it has no vote before it is there, and its absence costs nothing
	wantErr(t, "SetRole of one that is not there yet", first.SetRole(ctx, id[2], false), swarm.ErrNoNode)
	w.powerOn(2)
	is(first, 2, true, true, true)
	must(t, first.SetRole(ctx, id[2], false))
	is(first, 2, false, false, false)
	awaitReady(t, first, w.addr(0), w.addr(1), w.addr(2))

	for i := 1; i < 3; i++ {
		must(t, first.SetRole(ctx, id[i], true))
		must(t, first.SetRole(ctx, id[i], true))
		is(first, i, true, true, true)
		says(i, true)
	}
	w.powerOff(0)
	second := w.engine(1)
	is(second, 0, true, true, false)
	wantErr(t, "SetRole of one whose vote is needed", second.SetRole(ctx, id[2], false), swarm.ErrMajority)
	must(t, second.SetRole(ctx, id[0], false))
	is(second, 0, false, false, false)
	w.powerOn(0)
	awaitReady(t, second, w.addr(0), w.addr(1), w.addr(2))
	says(0, false) // it was made a worker while it was off

	must(t, second.SetRole(ctx, id[1], false)) // be it the leader or not
	says(1, false)
	must(t, second.Leave(ctx, false))
	awaitReady(t, w.engine(2), w.addr(0), w.addr(2))
	is(w.engine(2), 2, true, true, true)
}

// testStumble makes a worker a manager that has joined through one that is gone, and asks no other: not before it has
// joined anew. Then the list has its former node, which is to be a manager for ever, and can be removed.
func testStumble(t *testing.T, w world) {
	ctx, second := t.Context(), w.engine(1)
	found(t, w)
	must(t, join(t, w, 1, 0))
	must(t, join(t, w, 2, 0))
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1), w.addr(2))
	w.exchanged()
	first, id := status(t, w.engine(0)).NodeID, status(t, w.engine(2)).NodeID
	must(t, w.engine(0).SetRole(ctx, status(t, second).NodeID, true))
	await(t, 60*time.Second, func() error { return second.SetRole(ctx, first, false) })
	await(t, 60*time.Second, func() error {
		if n := node(t, second, first); n.Votes {
			return fmt.Errorf("the first manager still is one: %+v", n)
		}
		return nil
	})
	w.powerOff(0)
	awaitReady(t, second, w.addr(1), w.addr(2))
	must(t, second.SetRole(ctx, id, true))
	await(t, 60*time.Second, func() error {
		s, err := w.engine(2).Status(ctx)
		if err != nil || s.State != swarm.Failed || s.NodeID != "" || s.Fault() != swarm.Stranded {
			return fmt.Errorf("a worker that asks a manager that is gone says %+v, %w", s, err)
		}
		return nil
	})
	await(t, 60*time.Second, func() error { return w.engine(2).Leave(ctx, false) })
	must(t, join(t, w, 2, 1))
	awaitReady(t, second, w.addr(1), w.addr(2))
	wantErr(t, "Remove of its former node", second.Remove(ctx, id, false), nil)
	again := status(t, w.engine(2)).NodeID
	must(t, second.SetRole(ctx, again, true))
	await(t, 60*time.Second, func() error {
		if n := node(t, second, again); !n.Reachable {
			return fmt.Errorf("after it joined anew: %+v", n)
		}
		return nil
	})
}

// testOverview looks at a swarm with a service while a board goes: its tasks move.
func testOverview(t *testing.T, w world) {
	ctx, m := t.Context(), w.engine(0)
	_, err := m.Overview(ctx)
	wantErr(t, "Overview in no swarm", err, swarm.ErrNotManager)
	found(t, w)
	must(t, join(t, w, 1, 0))
	awaitReady(t, m, w.addr(0), w.addr(1))
	_, err = w.engine(1).Overview(ctx)
	wantErr(t, "Overview of a worker", err, swarm.ErrNotManager)
	o, err := m.Overview(ctx)
	must(t, err)
	if o.CertValid != swarm.CertExpiry || time.Until(o.RootEnds) < swarm.CertExpiry || len(o.Services) != 0 ||
		len(o.Nodes) != 2 ||
		!slices.Equal(o.Pools, []netip.Prefix{pool}) {
		t.Errorf("a swarm without services is %+v", o)
	}
	for _, n := range o.Nodes {
		if n.Version != status(t, m).Version {
			t.Errorf("node %+v has another version than its engine", n)
		}
	}

	w.service(0, "web", 4)
	runsOn := func(limit time.Duration, boards ...int) {
		t.Helper()
		await(t, limit, func() error {
			o, err := m.Overview(ctx)
			if err != nil || len(o.Services) != 1 {
				return fmt.Errorf("%d services, %w", len(o.Services), err)
			}
			s := o.Services[0]
			if s.Name != "web" || s.ID == "" || s.Image == "" || strings.Contains(s.Image, "@") || s.Global || s.Job ||
				s.Wanted != 4 || len(s.Tasks) != 4 {
				return fmt.Errorf("service is %+v", s)
			}
			on := map[string]bool{}
			for i, task := range s.Tasks {
				if !task.Running() || task.Error != "" || task.Slot != i+1 || task.ID == "" || task.Since.IsZero() {
					return fmt.Errorf("task %+v", task)
				}
				on[task.Node] = true
			}
			for _, i := range boards {
				if !on[status(t, w.engine(i)).NodeID] {
					return fmt.Errorf("no task runs on board %d of %v: %v", i, boards, s.Tasks)
				}
			}
			if len(on) != len(boards) {
				return fmt.Errorf("tasks run on %d boards, want %v", len(on), boards)
			}
			return nil
		})
	}
	runsOn(time.Minute, 0, 1)
	w.powerOff(1)
	runsOn(2*time.Minute, 0)
}

// someToken has the form of one and opens nothing.
var someToken = secret.New("SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-7p73s1dx5in4tatdymyhg9hu2")

var pool = netip.MustParsePrefix("10.201.0.0/16")

// wrong returns the token with another character in one of its parts: 2 is about the CA, 3 is the secret.
func wrong(token secret.Secret, part int) secret.Secret {
	parts := strings.Split(token.Reveal(), "-")
	other := "0"
	if strings.HasPrefix(parts[part], other) {
		other = "1"
	}
	parts[part] = other + parts[part][1:]
	return secret.New(strings.Join(parts, "-"))
}

func initSwarm(t *testing.T, w world, i int) error {
	return w.engine(i).Init(t.Context(), swarm.InitRequest{Advertise: w.addr(i), Pool: pool})
}

// found makes board 0 the manager of a new swarm, and returns how long that took.
func found(t *testing.T, w world) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, initSwarm(t, w, 0))
	return time.Since(began)
}

// join makes board i a worker in the swarm of the manager.
func join(t *testing.T, w world, i, manager int) error {
	t.Helper()
	token, err := w.engine(manager).WorkerToken(t.Context())
	must(t, err)
	return w.engine(i).Join(t.Context(), swarm.JoinRequest{
		Advertise: w.addr(i), Managers: []netip.AddrPort{netip.AddrPortFrom(w.addr(manager), swarm.Port)}, Token: token,
	})
}

func status(t *testing.T, e swarm.Engine) swarm.Status {
	t.Helper()
	s, err := e.Status(t.Context())
	must(t, err)
	return s
}

func node(t *testing.T, manager swarm.Engine, id string) swarm.Node {
	t.Helper()
	nodes, err := manager.Nodes(t.Context())
	must(t, err)
	i := slices.IndexFunc(nodes, func(n swarm.Node) bool { return n.ID == id })
	if i < 0 {
		t.Fatalf("no node %s among %+v", id, nodes)
	}
	return nodes[i]
}

// awaitReady waits until the nodes at these addresses are ready, and no other. It asks in vain when the manager has
// just lost or found its majority.
func awaitReady(t *testing.T, manager swarm.Engine, addrs ...netip.Addr) {
	t.Helper()
	slices.SortFunc(addrs, netip.Addr.Compare)
	await(t, 60*time.Second, func() error {
		nodes, err := manager.Nodes(t.Context())
		if err != nil {
			return err
		}
		var ready []netip.Addr
		for _, n := range nodes {
			if n.Ready {
				ready = append(ready, n.Addr)
			}
		}
		slices.SortFunc(ready, netip.Addr.Compare)
		if !slices.Equal(ready, addrs) {
			return fmt.Errorf("ready are %v, want %v", ready, addrs)
		}
		return nil
	})
}

func wantState(e swarm.Engine, want swarm.State) error {
	s, err := e.Status(context.Background())
	if err == nil && s.State != want {
		err = fmt.Errorf("state is %s, want %s", s.State, want)
	}
	return err
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// await calls f until it returns nil, and gives up after limit.
func await(t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for over := time.After(limit); ; {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-over:
			t.Errorf("after %v: %v", limit, err)
			return
		}
	}
}

// together runs functions at the same time. They must not call t.Fatal.
func together(functions ...func()) {
	var wg sync.WaitGroup
	for _, f := range functions {
		wg.Go(f)
	}
	wg.Wait()
}
