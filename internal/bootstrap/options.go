package bootstrap

// What a Loop is made of: the parts of the board and the settings, as their consumer needs them.

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Pace of the loop. Whatever is heard, asked or changed wakes it earlier.
const (
	statusAge = 500 * time.Millisecond // how old the engine's status may be, so that a flood of hellos does not reach it
	nodesMax  = 10 * time.Second       // time for a call that a manager without majority leaves hanging
	actMax    = 30 * time.Second       // time for one action or command; a turn must end before systemd's watchdog bites
)

// Discovery finds hints. discovery.Service is the real one.
type Discovery interface {
	SetLink(address.Link)
	SetClaim(peer.Claim)
	SetAsking(bool)
	Snapshot() discovery.Snapshot
	Nearby() []discovery.Neighbour
	Changed() <-chan struct{}
	Stranger(peer.Claim)
}

// Asker asks other boards. enroll.Client is the real one.
type Asker interface {
	Hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) (trust.Peer, error)
	Join(ctx context.Context, manager trust.Peer, claim peer.Claim) (enroll.Ticket, error)
	Picture(ctx context.Context, manager trust.Peer, claim peer.Claim) ([]byte, error)
	Probe(ctx context.Context, p trust.Peer, claim peer.Claim) (shut map[string]string, err error)
}

// Network tells the cluster interface, its addresses and the routes. address.Keeper is the real one, and address.Kernel
// where the interface's own address is to be used.
type Network interface {
	// Link is the one cluster interface, or an error that says in words what is missing.
	Link() (address.Choice, error)
	// Advertise is the address for a swarm to rely on, or an error that says in words why there is none, and is an
	// address.Refusal when it takes a person to change that.
	Advertise() (netip.Addr, error)
	// Rely says whether a swarm relies on that address.
	Rely(on bool)
	// Has reports whether addr is one of this board's addresses.
	Has(addr netip.Addr) (bool, error)
	// Routes lists the destinations that have a route.
	Routes() ([]netip.Prefix, error)
	// Watch calls notify after every change, until ctx ends.
	Watch(ctx context.Context, notify func()) error
}

// Pins are whom a board without a cluster key has learned to trust. trust.FirstUse is the real one.
type Pins interface {
	// Admit returns nil when this board, a manager, may let p in, else why not.
	Admit(p trust.Peer) error
	// Follow notes that this board has joined the swarm of the manager with this key.
	Follow(manager peer.Fingerprint)
	// Told notes the keys of all managers of the swarm, as a manager tells them; only one that is followed is heard.
	Told(by peer.Fingerprint, managers []peer.Fingerprint)
	// Managed notes what this board, a manager, knows from its swarm: the keys of the other managers and of the boards.
	Managed(others []peer.Fingerprint, boards map[peer.Serial]peer.Fingerprint)
	// Forget drops all that was learned.
	Forget()
	// Admitted reports whether this board has let in p with its key.
	Admitted(p trust.Peer) bool
	// MayMove returns nil when this board may leave its swarm for that of the manager with this key, else why not.
	MayMove(manager peer.Fingerprint) error
}

// Notifier tells the service manager how it goes. sdnotify.Notifier is the real one.
type Notifier interface {
	Ready()
	Status(text string)
	Watchdog()
}

// Options are the parts and settings of a Loop.
type Options struct {
	Serial   peer.Serial
	Key      peer.Fingerprint // of this board's node key
	Machine  string           // peer.Mark of its machine id
	Model    string
	Hostname func() string
	Rename   func(taken string) error // asks for another name than the one that is taken; nil keeps every name
	Cluster  string
	Tag      string // of the cluster key, empty without one
	Expect   int
	Settle   time.Duration
	Timing   timing.Timing // the zero value stands for timing.Product
	// managers of the swarm: 1, 3, 5 or 7; 0 leaves them as they are, negative follows the number of boards
	Wanted   int
	Member   peer.Membership             // where the board was when it last ran
	Remember func(peer.Membership) error // keeps that through a power cut, as soon as the card can be written
	Commit   func(peer.Membership) error // keeps that through a power cut, or changes nothing
	// asks for an engine that has forgotten the swarm it is in, and returns before it has
	ForgetSwarm func() error
	Deny        []peer.Serial            // whose nodes a manager removes
	Named       []netip.Addr             // other boards that the settings name
	Settings    error                    // what is wrong with the settings; the loop then only tells it
	Taken       func() error             // who has a port that a node needs; nil when nobody ever has
	Obstacles   func() []picture.Warning // what else is in the way on this board; nil for nothing
	Clock       func() time.Time         // what the clock says: time.Now
	SetClock    func(to time.Time) error // asks for the clock to be put forward
	Built       time.Time                // when this program was made; zero when that is not known
	// Stacks is what is wrong with the Compose files of this board, which leads, and what Docker leaves out of them; nil
	// without any.
	Stacks func() (wrong, advice []say.Text)

	Known         []netip.Addr             // where other boards were met before this one last started
	RememberKnown func([]netip.Addr) error // keeps that through a power cut

	Engine    swarm.Engine
	Discovery Discovery
	Asker     Asker
	Network   Network
	Notify    Notifier
	Pins      Pins // nil with a cluster key, where whoever has it may join and lead
	Log       *zap.Logger
}
