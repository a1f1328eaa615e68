package swarm

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
)

// FakeNet is a LAN of Fake engines in memory, for tests of many boards. Time passes by the time package alone, so that it
// runs in virtual time inside a testing/synctest bubble; it must be made inside that bubble then. It starts no goroutine.
type FakeNet struct {
	mu      sync.Mutex
	engines []*Fake
	reaches func(from, to netip.Addr) bool
	ids     int
}

// fakeSwarm is what the managers of a swarm agree on.
type fakeSwarm struct {
	net    *FakeNet
	id     string
	token  string // for workers
	nodes  []*fakeNode
	leader *fakeNode // nil without a majority
	auto   bool      // managers start locked
	born   time.Time // by the clock of the engine that made it

	contents peer.Contents // without Nodes
	services []Service
	pools    []netip.Prefix
}

// fakeNode is one node of a swarm. It stays on the list when its engine is gone.
type fakeNode struct {
	swarm   *fakeSwarm
	engine  *Fake
	id      string
	addr    netip.Addr
	role    bool      // it is to be a manager
	turned  time.Time // when role changed
	manager bool      // it has a vote
	labels  map[string]string

	availability Availability
	seen         bool      // a manager can talk to it
	since        time.Time // when seen changed
	ready        bool      // follows seen after a while
}

// fakeJoin is a join on its way. It goes on when nobody waits for it.
type fakeJoin struct {
	manager   netip.AddrPort
	advertise netip.Addr
	token     secret.Secret
	began     time.Time
	err       error // how it ended, once it is no longer pending
	failed    bool  // it ended in failure after the engine had stopped waiting for it; only Leave or a restart clears it
}

// NewFakeNet returns a LAN without boards, on which everybody reaches everybody.
func NewFakeNet() *FakeNet { return &FakeNet{} }

// NewEngine adds a board that is on, with an engine that is up and in no swarm.
func (n *FakeNet) NewEngine(hostname string, addr netip.Addr) *Fake {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := &Fake{net: n, host: hostname, id: addr.String(), addr: addr, control: make(chan struct{}, 1), on: true, up: true}
	n.engines = append(n.engines, f)
	return f
}

// SetReach sets who reaches whom; nil means everybody. Two boards talk when each reaches the other. reaches is called
// at every call of an engine, with the lock of the net held, so it must not call back. What it answers may change.
func (n *FakeNet) SetReach(reaches func(from, to netip.Addr) bool) {
	n.change(func() { n.reaches = reaches })
}

// change looks at the net right before and after something happens in it.
func (n *FakeNet) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observe()
	f()
	n.observe()
}

// PowerOff pulls the plug of the board. What it is a member of stays on its card.
func (f *Fake) PowerOff() { f.net.change(func() { f.on, f.up = false, false }) }

// PowerOn turns the board on, and with it the engine.
func (f *Fake) PowerOn() {
	f.net.change(func() {
		f.on = true
		f.start()
	})
}

// StopEngine ends the engine while the board stays on. The others get an answer from the board then: its port is closed.
func (f *Fake) StopEngine() { f.net.change(func() { f.up = false }) }

// StartEngine starts the engine of a board that is on.
func (f *Fake) StartEngine() { f.net.change(f.start) }

func (f *Fake) start() {
	if !f.on || f.up {
		return
	}
	f.up = true
	f.boot++
	f.via, f.stumbles = netip.Addr{}, false
	f.locked = f.member != nil && f.member.manager && f.member.swarm.auto
	f.alone = f.member != nil && !f.member.manager
	if f.pending != nil && f.pending.failed {
		f.pending = nil
	}
}

// Reflash turns the board off and puts a blank card in.
func (f *Fake) Reflash() {
	f.net.change(func() {
		f.on, f.up = false, false
		f.member, f.forgotten, f.pending, f.locked, f.expired, f.liveRestore = nil, nil, nil, false, false, false
		f.id += " anew"
	})
}

// Clone puts a copy of another board's card into this one, which is off. A manager's copy has a copy of its swarm, which no
// other node takes part in.
func (f *Fake) Clone(of *Fake) {
	f.net.change(func() {
		f.member = of.member
		if of.member == nil || !of.member.manager {
			return
		}
		s := *of.member.swarm
		s.nodes, s.leader = nil, nil
		for _, n := range of.member.swarm.nodes {
			c := *n
			c.swarm, c.labels = &s, maps.Clone(n.labels)
			if n == of.member {
				c.engine, f.member = f, &c
			}
			s.nodes = append(s.nodes, &c)
		}
	})
}

// Take puts the card of another board into this one. Both are off.
func (f *Fake) Take(from *Fake) {
	f.net.change(func() {
		f.member, from.member = from.member, nil
	})
}

// CopyID gives the engine the id of another one, as a copy of its card has.
func (f *Fake) CopyID(from *Fake) { f.net.change(func() { f.id = from.id }) }

// SetLiveRestore changes what the engine's daemon.json says about live-restore.
func (f *Fake) SetLiveRestore(on bool) { f.net.change(func() { f.liveRestore = on }) }

// Promote makes this worker a manager, as docker node promote does.
func (f *Fake) Promote() { f.net.change(func() { f.member.role, f.member.manager = true, true }) }

// SetClock makes the clock of this board that far off.
func (f *Fake) SetClock(off time.Duration) { f.net.change(func() { f.clock = off }) }

// In is the id of the swarm that this engine is in, empty outside one. Its Status tells it on managers only.
func (f *Fake) In() string {
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	if f.member == nil {
		return ""
	}
	return f.member.swarm.id
}

// Deploy puts a service with a secret and a config into the swarm of this engine.
func (f *Fake) Deploy() {
	f.net.change(func() {
		c := &f.member.swarm.contents
		c.Services, c.Secrets, c.Configs = c.Services+1, c.Secrets+1, c.Configs+1
	})
}

// Expire lets the certificate of this node be out of date.
func (f *Fake) Expire() { f.net.change(func() { f.expired = true }) }

// Forget moves the note aside by which the engine, which is down, knows that it is in a swarm. All else stays on its card.
func (f *Fake) Forget() {
	f.net.change(func() {
		if f.member != nil {
			f.member, f.forgotten = nil, f.member
		}
	})
}

// Forgotten reports whether the card holds a swarm that the engine has forgotten.
func (f *Fake) Forgotten() bool {
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	return f.forgotten != nil
}

// Autolock makes the managers of this engine's swarm wait for a key at their next start, as docker swarm update does.
func (f *Fake) Autolock() { f.net.change(func() { f.member.swarm.auto = true }) }

// Calls returns the calls so far that asked the engine for a change.
func (f *Fake) Calls() Calls {
	f.net.mu.Lock()
	defer f.net.mu.Unlock()
	return f.calls
}

// talk reports whether two boards reach each other.
func (n *FakeNet) talk(a, b *Fake) bool {
	return a == b || a.on && b.on && (n.reaches == nil || n.reaches(a.addr, b.addr) && n.reaches(b.addr, a.addr))
}

// observe brings the net to the present: joins come to their end, managers find or lose a leader, nodes become ready or
// not. Whatever looks at the net or changes it comes here first. The caller holds n.mu.
func (n *FakeNet) observe() {
	for _, f := range n.engines {
		f.keepMajority()
	}
	for _, f := range n.engines {
		f.progress()
	}
	var seen *fakeSwarm // mostly there is but one
	for _, f := range n.engines {
		if f.member == nil {
			continue
		}
		if f.up && !f.member.runs() { // it is on the card of f, too
			f.member.engine = f
		}
		if f.member.swarm != seen {
			seen = f.member.swarm
			seen.observe()
		}
	}
}

func (f *Fake) manages() bool {
	return f.up && !f.locked && !f.expired && f.member != nil && f.member.manager
}

// keepMajority finds out whether this engine is one of a majority of managers that talk.
func (f *Fake) keepMajority() {
	if !f.manages() {
		f.lost = time.Time{}
		return
	}
	all, here := f.member.swarm.managers(), 0
	for _, m := range all {
		if m.here() && m.engine.manages() && f.net.talk(f, m.engine) {
			here++
		}
	}
	switch {
	case 2*here > len(all):
		f.lost = time.Time{}
	case f.lost.IsZero():
		f.lost = time.Now()
	}
}

// progress goes on with a join that is under way.
func (f *Fake) progress() {
	j := f.pending
	if j == nil || j.failed || !f.up || time.Since(j.began) < fakeJoining {
		return
	}
	i := slices.IndexFunc(f.net.engines, func(m *Fake) bool { return m.addr == j.manager.Addr() && f.net.talk(f, m) })
	if i < 0 {
		return // silence
	}
	m := f.net.engines[i]
	switch {
	case !m.manages() || j.manager.Port() != Port:
		j.err = fmt.Errorf("%w: connection refused", ErrRefused)
	case m.leaderless() > 0:
		return // as silent as to its own callers
	case !m.lost.IsZero():
		j.err = ErrNoLeader
	case f.behind(m):
		j.err = fmt.Errorf("%w: x509: certificate has expired or is not yet valid", ErrRefused)
	case j.token.Reveal() != m.member.swarm.token:
		j.err = fmt.Errorf("%w: A valid join token is necessary to join this cluster", ErrRefused)
	default:
		j.err = nil
		f.pending, f.member, f.via = nil, m.member.swarm.add(f, j.advertise, false), j.manager.Addr()
		return
	}
	switch age := time.Since(j.began); {
	case age >= fakePatience:
		j.failed = true
	case age >= fakeRefusal:
		f.pending = nil
	}
}

// behind reports whether the certificates of the swarm of m are not valid yet by the clock of this board.
func (f *Fake) behind(m *Fake) bool {
	now := time.Now().Add(f.clock)
	return now.Before(m.member.swarm.born.Add(-fakeAuthority)) || now.Before(time.Now().Add(m.clock-fakeCertificate))
}

func (n *FakeNet) newSwarm(born time.Time) *fakeSwarm {
	id := n.newID()
	return &fakeSwarm{net: n, id: id, token: "SWMTKN-1-" + id + "-worker", born: born}
}

// wellFormed reports whether a token has the form of one.
func wellFormed(token secret.Secret) bool {
	return strings.HasPrefix(token.Reveal(), "SWMTKN-1-") && strings.Count(token.Reveal(), "-") == 3
}

// newID returns an id as long as Docker's. The order of ids is that of their making.
func (n *FakeNet) newID() string {
	n.ids++
	return fmt.Sprintf("fake%021d", n.ids)
}

// add puts a new node on the list, ready at once.
func (s *fakeSwarm) add(f *Fake, addr netip.Addr, manager bool) *fakeNode {
	n := &fakeNode{
		swarm: s, engine: f, id: s.net.newID(), addr: addr, role: manager, manager: manager, labels: map[string]string{},
		seen: true, since: time.Now(), ready: true, availability: Available,
	}
	s.nodes = append(s.nodes, n)
	return n
}

func (s *fakeSwarm) remove(n *fakeNode) {
	s.nodes = slices.DeleteFunc(s.nodes, func(other *fakeNode) bool { return other == n })
}

func (s *fakeSwarm) node(id string) (*fakeNode, error) {
	for _, n := range s.nodes {
		if n.id == id {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: node %s not found", ErrNoNode, id)
}

func (s *fakeSwarm) managers() (all []*fakeNode) {
	for _, n := range s.nodes {
		if n.manager {
			all = append(all, n)
		}
	}
	return all
}

// takes reports whether the manager that the engine asks for its vote is there.
func (s *fakeSwarm) takes(f *Fake) bool {
	return !f.via.IsValid() || slices.ContainsFunc(s.managers(), func(m *fakeNode) bool {
		return m.addr == f.via && m.votes() && s.net.talk(f, m.engine)
	})
}

// runs reports whether the engine still is this node, and up.
func (n *fakeNode) runs() bool { return n.engine.up && n.engine.member == n }

// here reports whether the engine takes part as this node.
func (n *fakeNode) here() bool { return n.runs() && !n.engine.stumbles && !n.engine.expired }

// votes reports whether the node is a manager that takes part.
func (n *fakeNode) votes() bool { return n.here() && n.engine.manages() }

// spares reports whether the managers other than n have a majority among themselves.
func (s *fakeSwarm) spares(n *fakeNode) bool {
	here := 0
	for _, m := range s.managers() {
		if m != n && m.votes() && s.leader != nil && s.net.talk(s.leader.engine, m.engine) {
			here++
		}
	}
	return 2*here > len(s.managers())-1
}

// turn gives votes to the nodes that are to be managers and takes them from those that are not, one at a time. Who gets one
// must be there; who loses one need not.
func (s *fakeSwarm) turn() {
	for _, n := range s.nodes {
		switch {
		case n.role == n.manager || s.leader == nil:
		case n.role && n.runs() && s.net.talk(n.engine, s.leader.engine) && time.Since(n.turned) >= fakePromotion:
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
func (s *fakeSwarm) observe() {
	leads := func(n *fakeNode) bool { return n.votes() && n.engine.lost.IsZero() }
	if s.leader == nil || !leads(s.leader) {
		s.leader = nil
		if i := slices.IndexFunc(s.managers(), leads); i >= 0 {
			s.leader = s.managers()[i]
		}
	}
	s.turn()
	managers := s.managers()
	for _, n := range s.nodes {
		seen := n.here() && slices.ContainsFunc(managers, func(m *fakeNode) bool {
			return leads(m) && s.net.talk(n.engine, m.engine)
		})
		if seen {
			n.engine.alone = false
		}
		if seen != n.seen {
			n.seen, n.since = seen, time.Now()
		}
		after := fakeLapse
		if seen {
			after = fakeReconnect
		}
		if n.ready != seen && time.Since(n.since) >= after {
			n.ready = seen
		}
	}
	s.schedule()
}
