// Package swarmtest is a Docker Engine in memory, and a LAN of such engines, for tests of many boards. Only tests may
// import it. The conformance test of package swarm holds it to what real engines do.
package swarmtest

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
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Engine is the engine of one board of a Net. Its calls answer as those of Docker do, and take as long. It is safe for
// concurrent use.
type Engine struct {
	net     *Net
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
	member      *node         // nil when in no swarm; survives power cuts
	forgotten   *node         // what member was before Forget; the next swarm that the engine enters deletes it
	alone       bool          // a worker that has not found a manager since its engine started
	// the manager through which it joined since its engine started; it asks no other for its vote
	via      netip.Addr
	stumbles bool     // it was made a manager, and asks one that is gone
	pending  *attempt // nil when no join is under way
	calls    Calls
}

var _ swarm.Engine = (*Engine)(nil)

// Calls counts the calls that have reached an engine and ask for a change, and the costly ones. Label, Role and
// Availability count only when they changed something.
type Calls struct{ Init, Revive, Join, Leave, Label, Role, Availability, Remove, Overview int }

// Delays of a real engine, measured with Docker 20.10 and 26.1.
const (
	initTakes    = 600 * time.Millisecond
	joinTakes    = 200 * time.Millisecond
	refusalTakes = 10 * time.Second // until a manager that answers "no", or a closed port, ends a join
	patience     = 20 * time.Second // until an engine gives up waiting: for a silent manager, for a leader
	step         = 100 * time.Millisecond
	lapse        = 14 * time.Second // until a node that is gone is not ready
	reconnect    = 3 * time.Second  // until a node that is back is ready
	promotion    = 2 * time.Second  // until a worker that is there is a manager
)

// statusMax is the bound of Status that swarm.Engine promises.
const statusMax = 5 * time.Second

// Docker dates a certificate back by this much: that of a swarm's authority, and those of its nodes.
const (
	authorityAge   = 5 * time.Minute
	certificateAge = time.Hour
)

const version = "20.10.24"

// Status implements swarm.Engine.
func (e *Engine) Status(ctx context.Context) (swarm.Status, error) {
	boot, err := e.reach(ctx)
	if err != nil {
		return swarm.Status{}, err
	}
	e.net.mu.Lock()
	stuck := e.leaderless()
	e.net.mu.Unlock()
	if err := e.spend(ctx, boot, min(stuck, statusMax)); err != nil {
		return swarm.Status{}, err
	}
	if stuck > statusMax {
		return swarm.Status{}, ended(context.DeadlineExceeded)
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.describe(), nil
}

// describe is the status of the engine now. The caller must hold net.mu.
func (e *Engine) describe() swarm.Status {
	s := swarm.Status{State: swarm.Inactive, Hostname: e.host, Version: version, EngineID: e.id, Root: dockerd.DefaultRoot}
	if e.liveRestore {
		s.Excluded = swarm.ErrLiveRestore
	}
	switch {
	case e.locked:
		s.State = swarm.Locked
	case e.expired && e.member != nil:
		s.State, s.Addr, s.Error = swarm.Failed, e.member.addr, "certificate has expired"
	case e.pending != nil && e.pending.failed:
		s.State, s.Addr, s.Error = swarm.Failed, e.pending.advertise, e.pending.err.Error()
	case e.pending != nil:
		s.State, s.Addr = swarm.Pending, e.pending.advertise
		s.Managers = []netip.AddrPort{e.pending.manager}
	case e.stumbles:
		s.State = swarm.Failed
		s.Error = "manager stopped: can't initialize raft node: rpc error: code = Unavailable desc = connection error"
	case e.member != nil:
		s.State, s.NodeID, s.Addr, s.Manager = swarm.Active, e.member.id, e.member.addr, e.member.manager
		if e.alone {
			s.State = swarm.Pending
		}
		for _, m := range e.member.swarm.managers() {
			s.Managers = append(s.Managers, netip.AddrPortFrom(m.addr, swarm.Port))
		}
		if s.Manager && e.lost.IsZero() {
			s.SwarmID = e.member.swarm.id
		} else if s.Manager {
			s.Error = swarm.ErrNoLeader.Error()
		}
	}
	return s
}

// Init implements swarm.Engine.
func (e *Engine) Init(ctx context.Context, r swarm.InitRequest) error {
	return e.found(ctx, &e.calls.Init, func(was *node, over bool) error {
		switch {
		case was == nil:
			e.member = e.net.newSwarm(time.Now().Add(e.clock)).add(e, r.Advertise, true)
			e.member.swarm.pools = []netip.Prefix{r.Pool}
		case over:
			return errors.New("certificate has expired")
		default:
			e.member = was
		}
		return nil
	})
}

// ForceNewCluster implements swarm.Engine.
func (e *Engine) ForceNewCluster(ctx context.Context, advertise netip.Addr) error {
	return e.found(ctx, &e.calls.Revive, func(was *node, _ bool) error {
		if was == nil {
			was = e.net.newSwarm(time.Now().Add(e.clock)).add(e, advertise, true)
		}
		e.member, was.addr = was, advertise
		return nil
	})
}

// found calls do, with the lock held, once the engine may have a swarm of its own. It passes the node of the swarm that
// the engine has forgotten, if any, and whether its certificate has expired; the engine knows of neither after that.
func (e *Engine) found(ctx context.Context, count *int, do func(was *node, over bool) error) error {
	boot, err := e.acquire(ctx, count)
	if err != nil {
		return err
	}
	defer e.release()
	if err := e.mayEnter(); err != nil {
		return err
	}
	late := e.spend(ctx, boot, initTakes)
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if !e.up || e.boot != boot {
		return late
	}
	was, over := e.forgotten, e.expired
	e.forgotten, e.expired = nil, false
	if err := do(was, over); err != nil {
		return err
	}
	return late // when nobody waits any more, the engine has done it all the same
}

// mayEnter tells why the engine cannot enter a swarm.
func (e *Engine) mayEnter() error {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	switch {
	case e.member != nil, e.pending != nil:
		return swarm.ErrAlready
	case e.liveRestore:
		return swarm.ErrLiveRestore
	}
	return nil
}

// Join implements swarm.Engine.
func (e *Engine) Join(ctx context.Context, r swarm.JoinRequest) error {
	return swarm.JoinInTurn(ctx, r, e.joinOne)
}

func (e *Engine) joinOne(ctx context.Context, manager netip.AddrPort, r swarm.JoinRequest) error {
	boot, err := e.acquire(ctx, &e.calls.Join)
	if err != nil {
		return err
	}
	defer e.release()
	if err := e.mayEnter(); err != nil {
		return err
	}
	if !wellFormed(r.Token) {
		return fmt.Errorf("%w: invalid join token", swarm.ErrRefused)
	}
	j := &attempt{manager: manager, advertise: r.Advertise, token: r.Token, began: time.Now()}
	e.net.mu.Lock()
	e.pending, e.forgotten, e.expired = j, nil, false
	e.net.mu.Unlock()
	for {
		err := e.spend(ctx, boot, step)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", swarm.ErrPending, ctx.Err())
		}
		if err != nil {
			return err
		}
		e.net.mu.Lock()
		over := e.pending != j
		if !over && time.Since(j.began) >= patience {
			e.pending, over = nil, true
			j.err = fmt.Errorf("%w: it does not answer", swarm.ErrRefused)
		}
		e.net.mu.Unlock()
		if over {
			return j.err
		}
	}
}

// Leave implements swarm.Engine.
func (e *Engine) Leave(ctx context.Context, force bool) error {
	boot, err := e.acquire(ctx, &e.calls.Leave)
	if err != nil {
		return err
	}
	defer e.release()
	e.net.mu.Lock()
	var wait time.Duration
	if e.pending != nil {
		wait = time.Until(e.pending.began.Add(patience))
	}
	e.net.mu.Unlock()
	if err := e.spend(ctx, boot, wait); err != nil {
		return err
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	switch {
	case e.member == nil && e.pending == nil:
		return swarm.ErrNotMember
	case e.locked && !force:
		return swarm.ErrLocked
	case e.member != nil && e.member.manager && !force:
		if len(e.member.swarm.managers()) == 1 {
			return swarm.ErrLastManager
		}
		return swarm.ErrIsManager
	}
	e.member, e.pending, e.locked, e.expired, e.stumbles, e.via = nil, nil, false, false, false, netip.Addr{}
	e.net.observe()
	return nil
}

// WorkerToken implements swarm.Engine.
func (e *Engine) WorkerToken(ctx context.Context) (token secret.Secret, err error) {
	err = e.manage(ctx, func(s *cluster) error {
		token = secret.New(s.token)
		return nil
	})
	return token, err
}

// Nodes implements swarm.Engine.
func (e *Engine) Nodes(ctx context.Context) (nodes []swarm.Node, err error) {
	err = e.manage(ctx, func(s *cluster) error {
		for _, n := range s.nodes {
			nodes = append(nodes, swarm.Node{
				ID: n.id, Hostname: n.engine.host, Addr: n.addr, Manager: n.role, Leader: n == s.leader, Version: version,
				Votes: n.manager, Reachable: n.votes() && (n.engine == e || e.net.talk(e, n.engine)), Ready: n.ready,
				Availability: n.availability, Labels: maps.Clone(n.labels),
			})
		}
		return nil
	})
	return nodes, err
}

// Contents implements swarm.Engine.
func (e *Engine) Contents(ctx context.Context) (have peer.Contents, err error) {
	err = e.manage(ctx, func(s *cluster) error {
		have = s.contents
		have.Nodes = len(s.nodes)
		return nil
	})
	return have, err
}

// Label implements swarm.Engine.
func (e *Engine) Label(ctx context.Context, nodeID string, labels map[string]string) error {
	return e.manage(ctx, func(s *cluster) error {
		n, err := s.node(nodeID)
		if err != nil {
			return err
		}
		old := maps.Clone(n.labels)
		maps.Copy(n.labels, labels)
		if !maps.Equal(n.labels, old) {
			e.calls.Label++
		}
		return nil
	})
}

// SetRole implements swarm.Engine.
func (e *Engine) SetRole(ctx context.Context, nodeID string, manager bool) error {
	return e.manage(ctx, func(s *cluster) error {
		n, err := s.node(nodeID)
		switch {
		case err != nil:
			return err
		case n.role == manager:
			return nil
		case !manager && !n.manager:
			return fmt.Errorf("%w: can't find manager in raft memberlist", swarm.ErrNoNode)
		case !manager && len(s.managers()) == 1:
			return swarm.ErrLastManager
		case !manager && !s.spares(n):
			return swarm.ErrMajority
		}
		e.calls.Role++
		n.role, n.turned = manager, time.Now()
		e.net.observe()
		return nil
	})
}

// SetAvailability implements swarm.Engine.
func (e *Engine) SetAvailability(ctx context.Context, nodeID string, a swarm.Availability) error {
	return e.manage(ctx, func(s *cluster) error {
		n, err := s.node(nodeID)
		if err != nil {
			return err
		}
		if n.availability != a {
			e.calls.Availability++
		}
		n.availability = a
		return nil
	})
}

// Remove implements swarm.Engine.
func (e *Engine) Remove(ctx context.Context, nodeID string, force bool) error {
	return e.manage(ctx, func(s *cluster) error {
		e.calls.Remove++
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
func (e *Engine) manage(ctx context.Context, do func(*cluster) error) error {
	boot, err := e.reach(ctx)
	if err != nil {
		return err
	}
	e.net.mu.Lock()
	stuck := e.leaderless()
	e.net.mu.Unlock()
	if err := e.spend(ctx, boot, stuck); err != nil {
		return err
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	switch {
	case e.locked:
		return swarm.ErrLocked
	case e.member == nil, !e.member.manager:
		return swarm.ErrNotManager
	case !e.lost.IsZero():
		return swarm.ErrNoLeader
	}
	return do(e.member.swarm)
}

// leaderless is how long a manager that has lost the majority leaves a call hanging from now on.
func (e *Engine) leaderless() time.Duration {
	if e.lost.IsZero() {
		return 0
	}
	return max(0, time.Until(e.lost.Add(patience)))
}

// reach is the way of every call to the engine. It returns which boot of the engine takes the call.
func (e *Engine) reach(ctx context.Context) (boot int, err error) {
	if ctx.Err() != nil {
		return 0, ended(ctx.Err())
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.net.observe()
	if !e.up {
		return 0, fmt.Errorf("%w: it is not running", swarm.ErrUnreachable)
	}
	return e.boot, nil
}

// acquire is reach for a call that the engine does one by one, and counts it. The caller must release.
func (e *Engine) acquire(ctx context.Context, count *int) (boot int, err error) {
	if _, err := e.reach(ctx); err != nil {
		return 0, err
	}
	e.net.mu.Lock()
	*count++
	e.net.mu.Unlock()
	select {
	case e.control <- struct{}{}:
	case <-ctx.Done():
		return 0, ended(ctx.Err())
	}
	if boot, err = e.reach(ctx); err != nil {
		e.release()
	}
	return boot, err
}

func (e *Engine) release() { <-e.control }

// spend lets the time pass that a call takes. It fails when the context ends, or the engine did in the meantime.
func (e *Engine) spend(ctx context.Context, boot int, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ended(ctx.Err())
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.net.observe()
	if !e.up || e.boot != boot {
		return fmt.Errorf("%w: it went down", swarm.ErrUnreachable)
	}
	return nil
}

// ended sorts the error of a context as the client of a real engine does.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w in time: %w", swarm.ErrUnreachable, context.DeadlineExceeded)
	}
	return err
}
