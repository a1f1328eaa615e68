// Package swarm is the part of the Docker Engine that pi-agent needs: the few Swarm calls behind one interface, with
// errors sorted by what to do about them.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/secret"
)

// Port is the TCP port on which Swarm managers listen.
const Port = 2377

// Engine is one board's Docker Engine. Every call ends with its context, and by itself within the time that is said, or
// 40 s. An engine goes on with what it was asked for when the context of the call ends.
type Engine interface {
	// Status tells where the engine stands, within 5 s. An engine that does not answer is ErrUnreachable; so is, for 20 s,
	// a manager that has just lost the majority.
	Status(ctx context.Context) (Status, error)
	// Init makes a new swarm with this board as its only manager. It takes about a second.
	Init(ctx context.Context, r InitRequest) error
	// Revive makes an engine that was made to forget its swarm the only manager of it again, as the node that it was,
	// with all that the swarm holds, and gives it a certificate that is valid. It takes about a second. Join deletes
	// what Revive needs, and so does Init where the certificate has expired.
	ForceNewCluster(ctx context.Context, advertise netip.Addr) error
	// Join makes this board a node of an existing swarm, trying the managers in turn. One that refuses takes 10 s, one
	// that is silent 20 s. A Join that fails leaves the engine as it was, unless it returns ErrPending or
	// ErrUnreachable.
	Join(ctx context.Context, r JoinRequest) error
	// Leave takes this board out of its swarm, or ends a join that is still pending, for which it waits up to 20 s.
	// Without force a manager refuses.
	Leave(ctx context.Context, force bool) error
	// WorkerToken returns the join token for workers. Managers only. One that is asked for in the first 3 s of a swarm is
	// good for those seconds only.
	WorkerToken(ctx context.Context) (secret.Secret, error)
	// Nodes lists the nodes of the swarm. Managers only.
	Nodes(ctx context.Context) ([]Node, error)
	// Contents counts what would be lost with the swarm. Managers only.
	Contents(ctx context.Context) (peer.Contents, error)
	// Label sets these labels of a node and keeps its others. A node that has them is not touched. Managers only.
	Label(ctx context.Context, nodeID string, labels map[string]string) error
	// SetRole makes a node a manager or a worker, and returns before it is one: see Node.Votes. A manager that is gone
	// is made a worker, too, and learns of it when it is back; one that has not got its vote yet cannot be (ErrNoNode).
	// Managers only.
	SetRole(ctx context.Context, nodeID string, manager bool) error
	// SetAvailability says whether tasks may be placed on a node. Managers only.
	SetAvailability(ctx context.Context, nodeID string, a Availability) error
	// Remove takes a node off the list; force also removes one that is ready. The node itself does not learn of it, and
	// goes on saying that it is active. Managers only.
	Remove(ctx context.Context, nodeID string, force bool) error
	// Overview lists the nodes with their services. Managers only.
	Overview(ctx context.Context) (Overview, error)
}

// The errors an Engine returns, sorted by what to do about them. Everything else is an engine's own refusal, in its
// words.
var (
	// ErrUnreachable: no engine answers. Wait for it.
	ErrUnreachable = say.Error(say.EngineSilent.With())
	// ErrNoPermission: whoever asks may not use the engine's socket. It is one of ErrUnreachable.
	ErrNoPermission = fmt.Errorf("%w: no permission for its socket; the agent must run as root or in group docker",
		ErrUnreachable)
	// ErrAlready: the engine is in a swarm, or still on its way into one. Look at Status again.
	ErrAlready = errors.New("already part of a swarm")
	// ErrNotManager: the call needs a manager and this engine is none. Look at Status again.
	ErrNotManager = errors.New("not a swarm manager")
	// ErrNotMember: the call needs a swarm and this engine is in none. Look at Status again.
	ErrNotMember = errors.New("not part of a swarm")
	// ErrNoLeader: the managers have no majority, or none is elected yet. Wait.
	ErrNoLeader = errors.New("swarm has no leader")
	// ErrPending: the join goes on in the engine because nobody waited for its end. Leave ends it.
	ErrPending = errors.New("join still pending")
	// ErrRefused: the manager does not take this token, or does not answer. Ask for a new token or another manager.
	ErrRefused = errors.New("join refused")
	// ErrLocked: the swarm is encrypted and waits for its unlock key from a human.
	ErrLocked = errors.New("swarm is locked")
	// ErrExcluded: a setting of the engine excludes swarm mode. It is the class of errors that are a Setting.
	ErrExcluded = errors.New("swarm mode is excluded by a setting of docker")
	// ErrLastManager: leaving would end the swarm.
	ErrLastManager = errors.New("last manager of its swarm")
	// ErrIsManager: leaving would cost the swarm one of its managers, and maybe the majority. Demote it first.
	ErrIsManager = errors.New("one of the managers of its swarm")
	// ErrMajority: without this manager too few of the others would be reachable. Wait for them.
	ErrMajority = errors.New("too few managers of its swarm are reachable")
	// ErrNoNode: the swarm has no such node, or has it no longer.
	ErrNoNode = errors.New("no such node")
)

// State is the engine's own word for its part in a swarm.
type State string

// The states of an engine (LocalNodeState in Docker's API).
const (
	Inactive State = "inactive" // in no swarm
	Pending  State = "pending"  // a join is on its way
	Active   State = "active"   // in a swarm; a worker says so even when its manager is gone
	// Failed: in a swarm that cannot be entered, as with expired certificates. Without a NodeID it is only a join that
	// nobody waited for and that has failed: Leave ends it, or the engine's next start, and until then no other is taken.
	Failed State = "error"
	Locked State = "locked" // waits for the unlock key
)

// Status is where an engine stands.
type Status struct {
	State    State
	NodeID   string           // own node id, empty when in no swarm
	Addr     netip.Addr       // advertise address, invalid when in no swarm
	Manager  bool             // whether this engine is a running manager; without a majority it can do nothing
	Managers []netip.AddrPort // managers this engine knows of
	SwarmID  string           // id of the swarm; known to managers that have a majority only
	Error    string           // the engine's own words when something is wrong; see Fault
	Excluded *Setting         // why swarm mode will be refused; nil when it will not
	Hostname string
	Version  string // of the engine, such as "26.1.5"
	// EngineID is made by the engine at its first start. A copied card has that of the original until its file is removed.
	EngineID string
	Root     string // directory in which the engine keeps its data
}

// Node is one line of the list of nodes.
type Node struct {
	ID        string
	Hostname  string
	Addr      netip.Addr
	Manager   bool // it is to be a manager
	Votes     bool // it is one: seconds after SetRole, and once it is there, and until it is none any more
	Reachable bool // it votes, and has been heard of lately
	Leader    bool
	Ready     bool // the manager has heard of it lately
	// Availability is what a person, or nobody, has said about tasks on it.
	Availability Availability
	Labels       map[string]string
	Version      string // of its engine; empty while the node is new
}

// Availability is whether tasks may be placed on a node, in Docker's words.
type Availability string

// The availabilities.
const (
	Available Availability = "active"
	Paused    Availability = "pause" // those that are there stay
	Drained   Availability = "drain"
)

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
