// Package manager does what a manager owes its swarm: it labels nodes by their boards, tells their comings and goings,
// lets a board with a new card take the place of its old node, removes the nodes of boards that a person denies, and
// keeps as many managers as are wanted. What to do is chosen by pure functions of the list of nodes; Reconcile carries
// it out, at every turn anew, so that a power cut between two steps loses nothing.
package manager

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Engine changes nodes. swarm.Engine is the real one.
type Engine interface {
	Label(ctx context.Context, node string, labels map[string]string) error
	SetRole(ctx context.Context, node string, manager bool) error
	SetAvailability(ctx context.Context, node string, a swarm.Availability) error
	Remove(ctx context.Context, node string, force bool) error
}

// Pins are whom a board without a cluster key has learned to trust. trust.FirstUse is the real one.
type Pins interface {
	// Admitted reports whether this board has let in the board p with its key.
	Admitted(p policy.Peer) bool
	// Managed notes what this board, a manager, knows from its swarm: the keys of the other managers and of the boards.
	Managed(others []peer.Fingerprint, boards map[peer.Serial]peer.Fingerprint)
}

// Options are the parts and settings of a Manager.
type Options struct {
	Serial peer.Serial
	Model  string
	Key    peer.Fingerprint // of this board's node key
	Wanted int              // managers: 1, 3, 5 or 7; 0 leaves them as they are, negative follows the number of boards
	Deny   []peer.Serial    // whose nodes are removed
	Pins   Pins             // nil with a cluster key
	Engine Engine
	Show   func(status string) // to the service manager
	Log    *zap.Logger
	Timing timing.Timing
}

// Manager is a board that manages a swarm, and what it has noticed from one list of nodes to the next. One that starts
// anew is patient anew. It is not safe for concurrent use.
type Manager struct {
	Options
	nodes       nodes
	roles       rolesMemory
	phantoms    map[string]timing.Since // by node id: since when it has been one
	unremoved   []string                // ids of nodes that are denied, and of which it was said that they stay
	keys        []peer.Fingerprint      // of all managers, this board included; none with a cluster key
	unreachable []netip.Addr            // managers
}

// New returns a manager that has not seen a list of nodes.
func New(o Options) *Manager { return &Manager{Options: o} }

// Snapshot is what a manager sees in one turn.
type Snapshot struct {
	Now   time.Time
	Self  string        // id of this board's node
	Nodes []swarm.Node  // of the swarm
	Peers []policy.Peer // the boards that were met
}

// Leads reports whether this board is the one manager that leads the others.
func (s Snapshot) Leads() bool {
	return slices.ContainsFunc(s.Nodes, func(n swarm.Node) bool { return n.Leader && n.ID == s.Self })
}

// Reconcile brings the swarm a step closer to what it should be. What fails is tried again at the next call.
func (m *Manager) Reconcile(ctx context.Context, s Snapshot) {
	m.tell(s)
	m.expel(ctx, s)
	m.share(s)
	m.label(ctx, s)
	if s.Leads() {
		m.replaceStale(ctx, s.Nodes)
		m.removePhantoms(ctx, s)
	}
	m.keepRoles(ctx, s)
}

// Calm is when a node last came or went.
func (m *Manager) Calm() time.Time { return m.nodes.calm }

// Keys are those of all managers, this board included, as the newest list has them; none with a cluster key.
func (m *Manager) Keys() []peer.Fingerprint { return m.keys }

// InOrder puts the managers that are not reachable last.
func (m *Manager) InOrder(managers []netip.AddrPort) []netip.AddrPort {
	last := func(a netip.AddrPort) bool { return slices.Contains(m.unreachable, a.Addr()) }
	var first, rest []netip.AddrPort
	for _, a := range managers {
		if last(a) {
			rest = append(rest, a)
		} else {
			first = append(first, a)
		}
	}
	return append(first, rest...)
}
