package swarm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
)

// Fake is one engine of a FakeNet, on a board of its own. Its calls answer as those of Docker do, and after the same
// time: the conformance test holds both to that.
type Fake struct {
	net     *FakeNet
	host    string
	id      string // of the engine
	addr    netip.Addr
	control chan struct{} // holds one element while Init, Join or Leave is under way, which an engine does one by one

	// What follows is guarded by net.mu.
	on          bool // the board has power
	up          bool // the engine runs
	boot        int  // counts starts of the engine
	liveRestore bool
	clock       time.Duration // how far the clock of the board is off
	expired     bool          // its certificate has expired
	locked      bool          // waits for the unlock key
	lost        time.Time     // when this manager lost the majority; zero while it has it
	member      *fakeNode     // nil when in no swarm; survives power cuts
	forgotten   *fakeNode     // what member was before Forget; the next swarm that the engine enters deletes it
	alone       bool          // a worker that has not found a manager since its engine started
	via         netip.Addr    // the manager through which it joined since its engine started; it asks no other for its vote
	stumbles    bool          // it was made a manager, and asks one that is gone
	pending     *fakeJoin     // nil when no join is under way
	calls       Calls
}

var _ Engine = (*Fake)(nil)

// Calls counts the calls that have reached an engine and ask for a change, and the costly ones. Label, Role and Availability
// count only when they changed something.
type Calls struct{ Init, Revive, Join, Leave, Label, Role, Availability, Remove, Overview int }

// Delays of a real engine, measured with Docker 20.10 and 26.1.
const (
	fakeInit      = 600 * time.Millisecond
	fakeJoining   = 200 * time.Millisecond
	fakeRefusal   = 10 * time.Second // until a manager that answers "no", or a closed port, ends a join
	fakePatience  = 20 * time.Second // until an engine gives up waiting: for a silent manager, for a leader
	fakeStep      = 100 * time.Millisecond
	fakeLapse     = 14 * time.Second // until a node that is gone is not ready
	fakeReconnect = 3 * time.Second  // until a node that is back is ready
	fakePromotion = 2 * time.Second  // until a worker that is there is a manager
)

// How long before their making the certificates of Docker begin: that of a swarm's authority, and those of its nodes.
const (
	fakeAuthority   = 5 * time.Minute
	fakeCertificate = time.Hour
)

const fakeVersion = "20.10.24"

// Status implements Engine.
func (f *Fake) Status(ctx context.Context) (Status, error) {
	boot, err := f.reach(ctx)
	if err != nil {
		return Status{}, err
	}
	f.net.mu.Lock()
	stuck := f.leaderless()
	f.net.mu.Unlock()
	if err := f.take(ctx, boot, min(stuck, statusMax)); err != nil {
		return Status{}, err
	}
	if stuck > statusMax {
		return Status{}, sorted(context.DeadlineExceeded)
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	return f.status(), nil
}

func (f *Fake) status() Status {
	s := Status{State: Inactive, Hostname: f.host, Version: fakeVersion, EngineID: f.id, Root: dockerd.DefaultRoot}
	if f.liveRestore {
		s.Excluded = ErrLiveRestore
	}
	switch {
	case f.locked:
		s.State = Locked
	case f.expired && f.member != nil:
		s.State, s.Addr, s.Error = Failed, f.member.addr, "certificate has expired"
	case f.pending != nil && f.pending.failed:
		s.State, s.Addr, s.Error = Failed, f.pending.advertise, f.pending.err.Error()
	case f.pending != nil:
		s.State, s.Addr = Pending, f.pending.advertise
		s.Managers = []netip.AddrPort{f.pending.manager}
	case f.stumbles:
		s.State, s.Error = Failed, "manager stopped: can't initialize raft node: rpc error: code = Unavailable desc = connection error"
	case f.member != nil:
		s.State, s.NodeID, s.Addr, s.Manager = Active, f.member.id, f.member.addr, f.member.manager
		if f.alone {
			s.State = Pending
		}
		for _, m := range f.member.swarm.managers() {
			s.Managers = append(s.Managers, netip.AddrPortFrom(m.addr, Port))
		}
		if s.Manager && f.lost.IsZero() {
			s.SwarmID = f.member.swarm.id
		} else if s.Manager {
			s.Error = ErrNoLeader.Error()
		}
	}
	return s
}

// Init implements Engine.
func (f *Fake) Init(ctx context.Context, r InitRequest) error {
	return f.found(ctx, &f.calls.Init, func(was *fakeNode, over bool) error {
		switch {
		case was == nil:
			f.member = f.net.newSwarm(time.Now().Add(f.clock)).add(f, r.Advertise, true)
			f.member.swarm.pools = []netip.Prefix{r.Pool}
		case over:
			return errors.New("certificate has expired")
		default:
			f.member = was
		}
		return nil
	})
}

// Revive implements Engine.
func (f *Fake) Revive(ctx context.Context, advertise netip.Addr) error {
	return f.found(ctx, &f.calls.Revive, func(was *fakeNode, _ bool) error {
		if was == nil {
			was = f.net.newSwarm(time.Now().Add(f.clock)).add(f, advertise, true)
		}
		f.member, was.addr = was, advertise
		return nil
	})
}

// found calls do, with the lock held, once the engine may have a swarm of its own. It passes the node of the swarm that the engine has
// forgotten, if any, and whether its certificate has expired; the engine knows of neither after that.
func (f *Fake) found(ctx context.Context, count *int, do func(was *fakeNode, over bool) error) error {
	boot, err := f.acquire(ctx, count)
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.mayEnter(); err != nil {
		return err
	}
	ended := f.take(ctx, boot, fakeInit)
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	if !f.up || f.boot != boot {
		return ended
	}
	was, over := f.forgotten, f.expired
	f.forgotten, f.expired = nil, false
	if err := do(was, over); err != nil {
		return err
	}
	return ended // when nobody waits any more, the engine has done it all the same
}

// mayEnter tells why the engine cannot enter a swarm.
func (f *Fake) mayEnter() error {
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	switch {
	case f.member != nil, f.pending != nil:
		return ErrAlready
	case f.liveRestore:
		return ErrLiveRestore
	}
	return nil
}

// Join implements Engine.
func (f *Fake) Join(ctx context.Context, r JoinRequest) error { return joinInTurn(ctx, r, f.joinOne) }

func (f *Fake) joinOne(ctx context.Context, manager netip.AddrPort, r JoinRequest) error {
	boot, err := f.acquire(ctx, &f.calls.Join)
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.mayEnter(); err != nil {
		return err
	}
	if !wellFormed(r.Token) {
		return fmt.Errorf("%w: invalid join token", ErrRefused)
	}
	j := &fakeJoin{manager: manager, advertise: r.Advertise, token: r.Token, began: time.Now()}
	f.net.mu.Lock()
	f.pending, f.forgotten, f.expired = j, nil, false
	f.net.mu.Unlock()
	for {
		err := f.take(ctx, boot, fakeStep)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrPending, ctx.Err())
		}
		if err != nil {
			return err
		}
		f.net.mu.Lock()
		over := f.pending != j
		if !over && time.Since(j.began) >= fakePatience {
			f.pending, over = nil, true
			j.err = fmt.Errorf("%w: it does not answer", ErrRefused)
		}
		f.net.mu.Unlock()
		if over {
			return j.err
		}
	}
}

// Leave implements Engine.
func (f *Fake) Leave(ctx context.Context, force bool) error {
	boot, err := f.acquire(ctx, &f.calls.Leave)
	if err != nil {
		return err
	}
	defer f.release()
	f.net.mu.Lock()
	var wait time.Duration
	if f.pending != nil {
		wait = time.Until(f.pending.began.Add(fakePatience))
	}
	f.net.mu.Unlock()
	if err := f.take(ctx, boot, wait); err != nil {
		return err
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	switch {
	case f.member == nil && f.pending == nil:
		return ErrNotMember
	case f.locked && !force:
		return ErrLocked
	case f.member != nil && f.member.manager && !force:
		if len(f.member.swarm.managers()) == 1 {
			return ErrLastManager
		}
		return ErrIsManager
	}
	f.member, f.pending, f.locked, f.expired, f.stumbles, f.via = nil, nil, false, false, false, netip.Addr{}
	f.net.observe()
	return nil
}

// WorkerToken implements Engine.
func (f *Fake) WorkerToken(ctx context.Context) (token secret.Secret, err error) {
	err = f.manage(ctx, func(s *fakeSwarm) error {
		token = secret.New(s.token)
		return nil
	})
	return token, err
}

// Nodes implements Engine.
func (f *Fake) Nodes(ctx context.Context) (nodes []Node, err error) {
	err = f.manage(ctx, func(s *fakeSwarm) error {
		for _, n := range s.nodes {
			nodes = append(nodes, Node{
				ID: n.id, Hostname: n.engine.host, Addr: n.addr, Manager: n.role, Leader: n == s.leader, Version: fakeVersion,
				Votes: n.manager, Reachable: n.votes() && (n.engine == f || f.net.talk(f, n.engine)), Ready: n.ready, Availability: n.availability, Labels: maps.Clone(n.labels),
			})
		}
		return nil
	})
	return nodes, err
}

// Contents implements Engine.
func (f *Fake) Contents(ctx context.Context) (have peer.Contents, err error) {
	err = f.manage(ctx, func(s *fakeSwarm) error {
		have = s.contents
		have.Nodes = len(s.nodes)
		return nil
	})
	return have, err
}

// Label implements Engine.
func (f *Fake) Label(ctx context.Context, nodeID string, labels map[string]string) error {
	return f.manage(ctx, func(s *fakeSwarm) error {
		n, err := s.node(nodeID)
		if err != nil {
			return err
		}
		old := maps.Clone(n.labels)
		maps.Copy(n.labels, labels)
		if !maps.Equal(n.labels, old) {
			f.calls.Label++
		}
		return nil
	})
}

// SetRole implements Engine.
func (f *Fake) SetRole(ctx context.Context, nodeID string, manager bool) error {
	return f.manage(ctx, func(s *fakeSwarm) error {
		n, err := s.node(nodeID)
		switch {
		case err != nil:
			return err
		case n.role == manager:
			return nil
		case !manager && !n.manager:
			return fmt.Errorf("%w: can't find manager in raft memberlist", ErrNoNode)
		case !manager && len(s.managers()) == 1:
			return ErrLastManager
		case !manager && !s.spares(n):
			return ErrMajority
		}
		f.calls.Role++
		n.role, n.turned = manager, time.Now()
		f.net.observe()
		return nil
	})
}

// SetAvailability implements Engine.
func (f *Fake) SetAvailability(ctx context.Context, nodeID string, a Availability) error {
	return f.manage(ctx, func(s *fakeSwarm) error {
		n, err := s.node(nodeID)
		if err != nil {
			return err
		}
		if n.availability != a {
			f.calls.Availability++
		}
		n.availability = a
		return nil
	})
}

// Remove implements Engine.
func (f *Fake) Remove(ctx context.Context, nodeID string, force bool) error {
	return f.manage(ctx, func(s *fakeSwarm) error {
		f.calls.Remove++
		n, err := s.node(nodeID)
		switch {
		case err != nil:
			return err
		case n.manager:
			return fmt.Errorf("node %s is a cluster manager. It must be demoted to worker before removal", nodeID)
		case n.ready && !force:
			return fmt.Errorf("node %s is not down and can't be removed", nodeID)
		}
		s.remove(n)
		return nil
	})
}

// manage calls do, with the lock held, where a manager would do what it is asked for.
func (f *Fake) manage(ctx context.Context, do func(*fakeSwarm) error) error {
	boot, err := f.reach(ctx)
	if err != nil {
		return err
	}
	f.net.mu.Lock()
	stuck := f.leaderless()
	f.net.mu.Unlock()
	if err := f.take(ctx, boot, stuck); err != nil {
		return err
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	switch {
	case f.locked:
		return ErrLocked
	case f.member == nil, !f.member.manager:
		return ErrNotManager
	case !f.lost.IsZero():
		return ErrNoLeader
	}
	return do(f.member.swarm)
}

// leaderless is how long a manager that has lost the majority leaves a call hanging from now on.
func (f *Fake) leaderless() time.Duration {
	if f.lost.IsZero() {
		return 0
	}
	return max(0, time.Until(f.lost.Add(fakePatience)))
}

// reach is the way of every call to the engine. It returns which boot of the engine takes the call.
func (f *Fake) reach(ctx context.Context) (boot int, err error) {
	if ctx.Err() != nil {
		return 0, sorted(ctx.Err())
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	f.net.observe()
	if !f.up {
		return 0, fmt.Errorf("%w: it is not running", ErrUnreachable)
	}
	return f.boot, nil
}

// acquire is reach for a call that the engine does one by one, and counts it. The caller must release.
func (f *Fake) acquire(ctx context.Context, count *int) (boot int, err error) {
	if _, err := f.reach(ctx); err != nil {
		return 0, err
	}
	f.net.mu.Lock()
	*count++
	f.net.mu.Unlock()
	select {
	case f.control <- struct{}{}:
	case <-ctx.Done():
		return 0, sorted(ctx.Err())
	}
	if boot, err = f.reach(ctx); err != nil {
		f.release()
	}
	return boot, err
}

func (f *Fake) release() { <-f.control }

// take lets the time pass that a call takes. It fails when the context ends, or the engine did in the meantime.
func (f *Fake) take(ctx context.Context, boot int, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return sorted(ctx.Err())
	}
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	f.net.observe()
	if !f.up || f.boot != boot {
		return fmt.Errorf("%w: it went down", ErrUnreachable)
	}
	return nil
}
