// Package swarm is the part of the Docker Engine that pi-agent needs: the few Swarm calls behind one interface, with
// errors sorted by what to do about them.
package swarm

import (
	"context"
	"errors"
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/secret"
)

// Port is the TCP port on which Swarm managers listen.
const Port = 2377

// Engine is one board's Docker Engine. Every call may take as long as its context allows; Join takes up to 20 s by itself.
type Engine interface {
	// Status tells where the engine stands. An engine that does not answer is ErrUnreachable.
	Status(ctx context.Context) (Status, error)
	// Init makes a new swarm with this board as its only manager.
	Init(ctx context.Context, r InitRequest) error
	// Join makes this board a node of an existing swarm, trying the managers in turn.
	Join(ctx context.Context, r JoinRequest) error
	// Leave takes this board out of its swarm, or ends a join that is still pending. Without force a
	// manager refuses.
	Leave(ctx context.Context, force bool) error
	// WorkerToken returns the join token for workers. Managers only.
	WorkerToken(ctx context.Context) (secret.Secret, error)
	// Nodes lists the nodes of the swarm. Managers only.
	Nodes(ctx context.Context) ([]Node, error)
	// Label sets these labels of a node and keeps its others. Managers only.
	Label(ctx context.Context, nodeID string, labels map[string]string) error
	// Remove takes a node off the list; force also removes one that is not down. Managers only.
	Remove(ctx context.Context, nodeID string, force bool) error
}

// The errors an Engine returns, sorted by what to do about them. Everything else is an engine's own refusal, in its words.
var (
	// ErrUnreachable: no engine answers. Wait for it.
	ErrUnreachable = errors.New("docker engine does not answer")
	// ErrAlready: the engine is in a swarm, or still on its way into one. Look at Status again.
	ErrAlready = errors.New("already part of a swarm")
	// ErrNotManager: the call needs a manager and this engine is none. Look at Status again.
	ErrNotManager = errors.New("not a swarm manager")
	// ErrNotMember: the call needs a swarm and this engine is in none. Look at Status again.
	ErrNotMember = errors.New("not part of a swarm")
	// ErrNoLeader: the managers have no majority, or none is elected yet. Wait.
	ErrNoLeader = errors.New("swarm has no leader")
	// ErrPending: the join did not finish in time and goes on in the engine. Leave ends it.
	ErrPending = errors.New("join still pending")
	// ErrRefused: the manager does not take this token, or does not answer. Ask for a new token or another manager.
	ErrRefused = errors.New("join refused")
	// ErrLocked: the swarm is encrypted and waits for its unlock key from a human.
	ErrLocked = errors.New("swarm is locked")
	// ErrLiveRestore: the daemon runs with live-restore, which swarm mode does not support. A human must turn it off.
	ErrLiveRestore = errors.New(`docker has "live-restore" on, which swarm mode does not support: remove it from /etc/docker/daemon.json and restart docker`)
	// ErrLastManager: leaving would end the swarm.
	ErrLastManager = errors.New("last manager of its swarm")
)

// State is the engine's own word for where it stands with regard to swarms.
type State string

// The states of an engine (LocalNodeState in Docker's API).
const (
	Inactive State = "inactive" // in no swarm
	Pending  State = "pending"  // a join is on its way
	Active   State = "active"   // in a swarm; a worker says so even when its manager is gone
	Failed   State = "error"    // in a swarm that cannot be entered, as with expired certificates
	Locked   State = "locked"   // waits for the unlock key
)

// Status is where an engine stands.
type Status struct {
	State       State
	NodeID      string           // own node id, empty when in no swarm
	Addr        netip.Addr       // advertise address, invalid when in no swarm
	Manager     bool             // whether this engine is a manager that can serve
	Managers    []netip.AddrPort // managers this engine knows of
	SwarmID     string           // id of the swarm; known to managers only
	Error       string           // the engine's own words when something is wrong
	LiveRestore bool             // live-restore is on, so swarm mode will be refused
	Hostname    string
	Version     string // of the engine, such as "26.1.5"
}

// Node is one line of the list of nodes.
type Node struct {
	ID       string
	Hostname string
	Addr     netip.Addr
	Manager  bool
	Leader   bool
	Ready    bool // the manager has heard of it lately
	Active   bool // tasks may be placed on it
	Labels   map[string]string
}

// InitRequest says how a new swarm is made.
type InitRequest struct {
	Advertise netip.Addr   // address that the other nodes use; must be one of this board's
	Pool      netip.Prefix // overlay networks take their subnets from here; must be clear of every local route
}

// JoinRequest says which swarm to join.
type JoinRequest struct {
	Advertise netip.Addr
	Managers  []netip.AddrPort // tried in turn until one takes us
	Token     secret.Secret
}
