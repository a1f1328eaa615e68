package swarmtest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Net is a LAN of boards. Time passes by the time package alone, so that it runs in virtual time inside a
// testing/synctest bubble; it must be made inside that bubble then. It starts no goroutine.
type Net struct {
	mu      sync.Mutex
	engines []*Engine
	reaches func(from, to netip.Addr) bool
	ids     int
}

// cluster is what the managers of a swarm agree on.
type cluster struct {
	net    *Net
	id     string
	token  string // for workers
	nodes  []*node
	leader *node     // nil without a majority
	auto   bool      // managers start locked
	born   time.Time // by the clock of the engine that made it

	contents peer.Contents // without Nodes
	services []swarm.Service
	pools    []netip.Prefix
}

// node is one node of a swarm. It stays on the list when its engine is gone.
type node struct {
	swarm   *cluster
	engine  *Engine
	id      string
	addr    netip.Addr
	role    bool      // it is to be a manager
	turned  time.Time // when role changed
	manager bool      // it has a vote
	labels  map[string]string

	availability swarm.Availability
	seen         bool      // a manager can talk to it
	since        time.Time // when seen changed
	ready        bool      // follows seen after a while
}

// attempt is a join on its way. It goes on when nobody waits for it.
type attempt struct {
	manager   netip.AddrPort
	advertise netip.Addr
	token     secret.Secret
	began     time.Time
	err       error // how it ended, once it is no longer pending
	failed    bool  // it ended in failure after the engine had stopped waiting for it; only Leave or a restart clears it
}

// NewNet returns a LAN without boards, on which everybody reaches everybody.
func NewNet() *Net { return &Net{} }

// NewEngine adds a board that is on, with an engine that is up and in no swarm.
func (n *Net) NewEngine(hostname string, addr netip.Addr) *Engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := &Engine{net: n, host: hostname, id: addr.String(), addr: addr, control: make(chan struct{}, 1), on: true,
		up: true}
	n.engines = append(n.engines, e)
	return e
}

// SetReach sets who reaches whom; nil means everybody. Two boards talk when each reaches the other. reaches is called
// at every call of an engine, with the lock of the net held, so it must not call back. What it answers may change.
func (n *Net) SetReach(reaches func(from, to netip.Addr) bool) {
	n.change(func() { n.reaches = reaches })
}

// change looks at the net right before and after something happens in it.
func (n *Net) change(e func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observe()
	e()
	n.observe()
}

// PowerOff pulls the plug of the board. What it is a member of stays on its card.
func (e *Engine) PowerOff() { e.net.change(func() { e.on, e.up = false, false }) }

// PowerOn turns the board on, and with it the engine.
func (e *Engine) PowerOn() {
	e.net.change(func() {
		e.on = true
		e.start()
	})
}

// StopEngine ends the engine while the board stays on. The others get an answer from the board then: its port is
// closed.
func (e *Engine) StopEngine() { e.net.change(func() { e.up = false }) }

// StartEngine starts the engine of a board that is on.
func (e *Engine) StartEngine() { e.net.change(e.start) }

func (e *Engine) start() {
	if !e.on || e.up {
		return
	}
	e.up = true
	e.boot++
	e.via, e.stumbles = netip.Addr{}, false
	e.locked = e.member != nil && e.member.manager && e.member.swarm.auto
	e.alone = e.member != nil && !e.member.manager
	if e.pending != nil && e.pending.failed {
		e.pending = nil
	}
}

// Reflash turns the board off and puts a blank card in.
func (e *Engine) Reflash() {
	e.net.change(func() {
		e.on, e.up = false, false
		e.member, e.forgotten, e.pending, e.locked, e.expired, e.liveRestore = nil, nil, nil, false, false, false
		e.id += " anew"
	})
}

// Clone puts a copy of another board's card into this one, which is off. A manager's copy has a copy of its swarm, in
// which no other node takes part.
func (e *Engine) Clone(of *Engine) {
	e.net.change(func() {
		e.member = of.member
		if of.member == nil || !of.member.manager {
			return
		}
		s := *of.member.swarm
		s.nodes, s.leader = nil, nil
		for _, n := range of.member.swarm.nodes {
			c := *n
			c.swarm, c.labels = &s, maps.Clone(n.labels)
			if n == of.member {
				c.engine, e.member = e, &c
			}
			s.nodes = append(s.nodes, &c)
		}
	})
}

// Take puts the card of another board into this one. Both are off.
func (e *Engine) Take(from *Engine) {
	e.net.change(func() {
		e.member, from.member = from.member, nil
	})
}

// CopyID gives the engine the id of another one, as a copy of its card has.
func (e *Engine) CopyID(from *Engine) { e.net.change(func() { e.id = from.id }) }

// SetLiveRestore changes what the engine's daemon.json says about live-restore.
func (e *Engine) SetLiveRestore(on bool) { e.net.change(func() { e.liveRestore = on }) }

// Promote makes this worker a manager, as docker node promote does.
func (e *Engine) Promote() { e.net.change(func() { e.member.role, e.member.manager = true, true }) }

// SetClock makes the clock of this board that far off.
func (e *Engine) SetClock(off time.Duration) { e.net.change(func() { e.clock = off }) }

// In is the id of the swarm that this engine is in, empty outside one. Its Status tells it on managers only.
func (e *Engine) In() string {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.member == nil {
		return ""
	}
	return e.member.swarm.id
}

// Deploy puts a service with a secret and a config into the swarm of this engine.
func (e *Engine) Deploy() {
	e.net.change(func() {
		c := &e.member.swarm.contents
		c.Services, c.Secrets, c.Configs = c.Services+1, c.Secrets+1, c.Configs+1
	})
}

// Expire lets the certificate of this node be out of date.
func (e *Engine) Expire() { e.net.change(func() { e.expired = true }) }

// Forget moves the note aside by which the engine, which is down, knows that it is in a swarm. All else stays on its
// card.
func (e *Engine) Forget() {
	e.net.change(func() {
		if e.member != nil {
			e.member, e.forgotten = nil, e.member
		}
	})
}

// Forgotten reports whether the card holds a swarm that the engine has forgotten.
func (e *Engine) Forgotten() bool {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.forgotten != nil
}

// Autolock makes the managers of this engine's swarm wait for a key at their next start, as docker swarm update does.
func (e *Engine) Autolock() { e.net.change(func() { e.member.swarm.auto = true }) }

// Calls returns the calls so far that asked the engine for a change.
func (e *Engine) Calls() Calls {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.calls
}

// talk reports whether two boards reach each other.
func (n *Net) talk(a, b *Engine) bool {
	return a == b || a.on && b.on && (n.reaches == nil || n.reaches(a.addr, b.addr) && n.reaches(b.addr, a.addr))
}

// observe brings the net to the present: joins come to their end, managers find or lose a leader, nodes become ready or
// not. Whatever looks at the net or changes it comes here first. The caller holds n.mu.
func (n *Net) observe() {
	for _, e := range n.engines {
		e.keepMajority()
	}
	for _, e := range n.engines {
		e.progress()
	}
	var seen *cluster // mostly there is but one
	for _, e := range n.engines {
		if e.member == nil {
			continue
		}
		if e.up && !e.member.runs() { // it is on the card of e, too
			e.member.engine = e
		}
		if e.member.swarm != seen {
			seen = e.member.swarm
			seen.observe()
		}
	}
}

func (e *Engine) manages() bool {
	return e.up && !e.locked && !e.expired && e.member != nil && e.member.manager
}

// keepMajority finds out whether this engine is one of a majority of managers that talk.
func (e *Engine) keepMajority() {
	if !e.manages() {
		e.lost = time.Time{}
		return
	}
	all, here := e.member.swarm.managers(), 0
	for _, m := range all {
		if m.here() && m.engine.manages() && e.net.talk(e, m.engine) {
			here++
		}
	}
	switch {
	case 2*here > len(all):
		e.lost = time.Time{}
	case e.lost.IsZero():
		e.lost = time.Now()
	}
}

// progress goes on with a join that is under way.
func (e *Engine) progress() {
	j := e.pending
	if j == nil || j.failed || !e.up || time.Since(j.began) < joinTakes {
		return
	}
	i := slices.IndexFunc(e.net.engines, func(m *Engine) bool { return m.addr == j.manager.Addr() && e.net.talk(e, m) })
	if i < 0 {
		return // silence
	}
	m := e.net.engines[i]
	switch {
	case !m.manages() || j.manager.Port() != swarm.Port:
		j.err = fmt.Errorf("%w: connection refused", swarm.ErrRefused)
	case m.leaderless() > 0:
		return // as silent as to its own callers
	case !m.lost.IsZero():
		j.err = swarm.ErrNoLeader
	case e.behind(m):
		j.err = fmt.Errorf("%w: x509: certificate has expired or is not yet valid", swarm.ErrRefused)
	case j.token.Reveal() != m.member.swarm.token:
		j.err = fmt.Errorf("%w: A valid join token is necessary to join this cluster", swarm.ErrRefused)
	default:
		j.err = nil
		e.pending, e.member, e.via = nil, m.member.swarm.add(e, j.advertise, false), j.manager.Addr()
		return
	}
	switch age := time.Since(j.began); {
	case age >= patience:
		j.failed = true
	case age >= refusalTakes:
		e.pending = nil
	}
}

// behind reports whether the certificates of the swarm of m are not valid yet by the clock of this board.
func (e *Engine) behind(m *Engine) bool {
	now := time.Now().Add(e.clock)
	return now.Before(m.member.swarm.born.Add(-authorityAge)) || now.Before(time.Now().Add(m.clock-certificateAge))
}

func (n *Net) newSwarm(born time.Time) *cluster {
	id := n.newID()
	return &cluster{net: n, id: id, token: "SWMTKN-1-" + id + "-worker", born: born}
}

// wellFormed reports whether a token has the form of one.
func wellFormed(token secret.Secret) bool {
	return strings.HasPrefix(token.Reveal(), "SWMTKN-1-") && strings.Count(token.Reveal(), "-") == 3
}

// newID returns an id as long as Docker's. The order of ids is that of their making.
func (n *Net) newID() string {
	n.ids++
	return fmt.Sprintf("fake%021d", n.ids)
}

// add puts a new node on the list, ready at once.
func (s *cluster) add(e *Engine, addr netip.Addr, manager bool) *node {
	n := &node{
		swarm: s, engine: e, id: s.net.newID(), addr: addr, role: manager, manager: manager, labels: map[string]string{},
		seen: true, since: time.Now(), ready: true, availability: swarm.Available,
	}
	s.nodes = append(s.nodes, n)
	return n
}

func (s *cluster) remove(n *node) {
	s.nodes = slices.DeleteFunc(s.nodes, func(other *node) bool { return other == n })
}

func (s *cluster) node(id string) (*node, error) {
	for _, n := range s.nodes {
		if n.id == id {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: node %s not found", swarm.ErrNoNode, id)
}

func (s *cluster) managers() (all []*node) {
	for _, n := range s.nodes {
		if n.manager {
			all = append(all, n)
		}
	}
	return all
}

// takes reports whether the manager that the engine asks for its vote is there.
func (s *cluster) takes(e *Engine) bool {
	return !e.via.IsValid() || slices.ContainsFunc(s.managers(), func(m *node) bool {
		return m.addr == e.via && m.votes() && s.net.talk(e, m.engine)
	})
}

// runs reports whether the engine still is this node, and up.
func (n *node) runs() bool { return n.engine.up && n.engine.member == n }

// here reports whether the engine takes part as this node.
func (n *node) here() bool { return n.runs() && !n.engine.stumbles && !n.engine.expired }

// votes reports whether the node is a manager that takes part.
func (n *node) votes() bool { return n.here() && n.engine.manages() }

// spares reports whether the managers other than n have a majority among themselves.
func (s *cluster) spares(n *node) bool {
	here := 0
	for _, m := range s.managers() {
		if m != n && m.votes() && s.leader != nil && s.net.talk(s.leader.engine, m.engine) {
			here++
		}
	}
	return 2*here > len(s.managers())-1
}

// turn gives votes to the nodes that are to be managers and takes them from those that are not, one at a time. A node
// must be there to get one, but not to lose one.
func (s *cluster) turn() {
	for _, n := range s.nodes {
		switch {
		case n.role == n.manager || s.leader == nil:
		case n.role && n.runs() && s.net.talk(n.engine, s.leader.engine) && time.Since(n.turned) >= promotion:
			if n.engine.stumbles = !s.takes(n.engine); n.engine.stumbles {
				continue
			}
			n.manager, n.engine.lost = true, time.Time{}
			return
		case !n.role && s.spares(n):
			n.manager = false
			return
		}
	}
}

// observe elects a leader, and lets it see the nodes.
func (s *cluster) observe() {
	leads := func(n *node) bool { return n.votes() && n.engine.lost.IsZero() }
	if s.leader == nil || !leads(s.leader) {
		s.leader = nil
		if i := slices.IndexFunc(s.managers(), leads); i >= 0 {
			s.leader = s.managers()[i]
		}
	}
	s.turn()
	managers := s.managers()
	for _, n := range s.nodes {
		seen := n.here() && slices.ContainsFunc(managers, func(m *node) bool {
			return leads(m) && s.net.talk(n.engine, m.engine)
		})
		if seen {
			n.engine.alone = false
		}
		if seen != n.seen {
			n.seen, n.since = seen, time.Now()
		}
		after := lapse
		if seen {
			after = reconnect
		}
		if n.ready != seen && time.Since(n.since) >= after {
			n.ready = seen
		}
	}
	s.schedule()
}
