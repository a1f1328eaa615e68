// Package bootstrap makes one swarm out of many boards: Loop observes, lets package policy decide and acts, again and again,
// for as long as the board is on.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Pace of the loop. Whatever is heard, asked or changed wakes it earlier.
const (
	statusAge = 500 * time.Millisecond // how old the engine's status may be, so that a flood of hellos does not reach it
	nodesMax  = 10 * time.Second       // time for a call that a manager without majority leaves hanging
	actMax    = 40 * time.Second       // time for one action; a turn must end well before systemd's watchdog
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
	Hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) (enroll.Peer, error)
	Join(ctx context.Context, manager enroll.Peer, claim peer.Claim) (enroll.Ticket, error)
	Picture(ctx context.Context, manager enroll.Peer, claim peer.Claim) ([]byte, error)
	Knock(ctx context.Context, p enroll.Peer, claim peer.Claim) (shut map[string]string, err error)
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

// Pins are whom a board without a cluster key has learned to trust. enroll.FirstUse is the real one.
type Pins interface {
	// Admit returns nil when this board, a manager, may let p in, else why not.
	Admit(p enroll.Peer) error
	// Follow notes that this board has joined the swarm of the manager with this key.
	Follow(manager enroll.Fingerprint)
	// Told notes the keys of all managers of the swarm, as a manager tells them; only one that is followed is heard.
	Told(by enroll.Fingerprint, managers []enroll.Fingerprint)
	// Managed notes what this board, a manager, knows from its swarm: the keys of the other managers and of the boards.
	Managed(others []enroll.Fingerprint, boards map[peer.Serial]enroll.Fingerprint)
	// Forget drops all that was learned.
	Forget()
	// Admitted reports whether this board has let in p with its key.
	Admitted(p enroll.Peer) bool
	// MayMove returns nil when this board may leave its swarm for that of the manager with this key, else why not.
	MayMove(manager enroll.Fingerprint) error
}

// Notifier tells the service manager how it goes. sdnotify.Notifier is the real one.
type Notifier interface {
	Ready()
	Status(text string)
	Watchdog()
}

// Options are the parts and settings of a Loop.
type Options struct {
	Serial      peer.Serial
	Key         enroll.Fingerprint // of this board's node key
	Machine     string             // peer.Mark of its machine id
	Model       string
	Hostname    func() string
	Rename      func(taken string) error // asks for another name than the one that is taken; nil keeps every name
	Cluster     string
	Tag         string // of the cluster key, empty without one
	Expect      int
	Settle      time.Duration
	Timing      timing.Timing               // the zero value stands for timing.Product
	Wanted      int                         // managers of the swarm: 1, 3, 5 or 7; 0 leaves them as they are, negative follows the number of boards
	Member      peer.Membership             // where the board was when it last ran
	Remember    func(peer.Membership) error // keeps that through a power cut
	ForgetSwarm func() error                // asks for an engine that has forgotten the swarm it is in, and returns before it has
	Deny        []peer.Serial               // whose nodes a manager removes
	Named       []netip.Addr                // other boards that the settings name
	Settings    error                       // what is wrong with the settings; the loop then only tells it
	Taken       func() error                // who has a port that a node needs; nil when nobody ever has
	Obstacles   func() []picture.Warning    // what else is in the way on this board; nil for nothing
	Clock       func() time.Time            // what the clock says: time.Now
	SetClock    func(to time.Time) error    // asks for the clock to be put forward
	Built       time.Time                   // when this program was made; zero when that is not known
	// Stacks is what is wrong with the Compose files of this board, which leads, and what Docker leaves out of them; nil without any.
	Stacks func() (wrong, advice []string)

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

// Loop observes, decides and acts for one board. It is also the enroll.Host of the board.
type Loop struct {
	Options
	roster   *roster.Roster
	claim    atomic.Pointer[peer.Claim]
	wake     chan struct{}
	taken    atomic.Pointer[string]     // name of this board that another one has, too
	asks     chan struct{}              // one element for each hello under way to a board that has not answered lately
	ticket   atomic.Pointer[ticketBase] // nil when this board is not a manager
	place    atomic.Pointer[peer.Place] // the same
	listed   atomic.Pointer[nodeIDs]    // the nodes of the swarm, the same
	snapshot atomic.Pointer[snapshot]   // of the newest turn
	picture  latestPicture

	orders chan order
	decide func(policy.View) policy.Action // policy.Decide, except in tests of what goes wrong with another one

	background sync.WaitGroup

	// What follows belongs to the goroutine of Run.
	link        address.Link
	seen        address.Link // as it was last told
	linkErr     error
	linked      time.Time
	advertise   netip.Addr
	addrErr     error        // why advertise is not known; nil when it is
	lost        timing.Since // see policy.Network
	risk        bool         // the risk of the address that the swarm relies on was told
	engine      swarm.Status
	engineErr   error
	engineAt    time.Time // zero makes the next turn ask the engine
	started     time.Time
	engineSeen  bool // whether the engine has answered since then
	pending     timing.Since
	listening   timing.Since
	inquiring   bool // see policy.Network
	proposed    time.Time
	founding    bool
	last        policy.Action
	retryAt     time.Time
	retries     int
	refusal     string    // the newest one that was logged
	nodesAt     time.Time // when the nodes of the swarm were last listed
	manager     *manager.Manager
	near        neighbours
	wasReset    bool
	contents    peer.Contents // see policy.Swarm
	answered    time.Time
	disowned    timing.Since
	orphan      bool // parted for long
	left        time.Time
	forgetAsked time.Time
	duplicate   timing.Since
	contentsAt  time.Time
	contested   bool // a manager of another swarm is met
	clockAsked  time.Time
	reach       timing.Notice // how the boards outside a swarm are reached
	memory      memory
	ids         sameIDs
	loss        loss          // the swarm that this board has left last because it was lost
	strays      timing.Notice // boards that would join if a person let them
}

// NewLoop returns the loop of a board.
func NewLoop(o Options) *Loop {
	o.Timing = o.Timing.Or(timing.Product())
	l := &Loop{
		Options: o,
		roster:  roster.New(o.Key, o.Timing),
		manager: newManager(o),
		wake:    make(chan struct{}, 1),
		asks:    make(chan struct{}, roster.AskedAtOnce),
		orders:  make(chan order),
		decide:  policy.Decide,
		started: time.Now(),
		linkErr: errors.New("not looked at yet"),
		// An agent that is stopped before its engine has answered must not take it for one in no swarm, and forget its own.
		engineErr: fmt.Errorf("%w: it was not asked yet", swarm.ErrUnreachable),
		answered:  time.Now(),
	}
	c := peer.Claim{Serial: o.Serial, Cluster: o.Cluster, Tag: o.Tag, State: peer.Waiting, Machine: o.Machine, Model: o.Model, Hostname: o.Hostname(),
		Boot: rand.Uint64() | 1, Said: 1}
	if o.Member != (peer.Membership{}) {
		// Its engine may need minutes to start, and nobody must found a swarm meanwhile. It does not say that it is a
		// manager, for it can admit nobody yet.
		c.State, c.Swarm, c.Node, c.Manages = peer.Worker, o.Member.Swarm, o.Member.Node, managed(o.Member)
	}
	c = c.Sound()
	l.claim.Store(&c)
	l.roster.Recall(o.Known, l.started)
	return l
}

// Run turns until ctx ends, then returns nil. It leaves the swarm as it is.
func (l *Loop) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer l.background.Wait()
	defer stop()
	l.background.Go(func() {
		if err := l.Network.Watch(ctx, l.wakeUp); err != nil {
			l.Log.Warn(fmt.Sprintf("Changes of the network are noticed a few seconds late: %v.", err))
		}
	})

	l.Notify.Ready() // before the engine is asked, which may be waiting for this
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-l.Discovery.Changed():
		case <-timer.C:
		case o := <-l.orders:
			o.carryOut(ctx)
		}
		pause := l.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.Notify.Watchdog()
		timer.Reset(pause)
	}
}

// Claim is what the board says about itself right now. It may be called from any goroutine.
func (l *Loop) Claim() peer.Claim { return *l.claim.Load() }

func (l *Loop) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// turn is one round: observe, decide, act. It returns how long the next one may wait.
func (l *Loop) turn(ctx context.Context) time.Duration {
	l.observe(ctx)
	v := l.view(time.Now())
	a := l.decide(v)
	l.tell(a, v.Now)
	l.tellStay(a, v)
	l.snapshot.Store(&snapshot{view: v, action: a})
	if a.Kind != policy.Propose && a.Kind != policy.Init {
		l.proposed = time.Time{}
	}
	soon := l.tooSoon()
	acted := l.act(ctx, a)
	l.publish()
	pause := l.ask(ctx)
	if acted {
		return 0
	}
	if l.Claim().State.InSwarm() {
		pause = min(pause, l.Timing.TurnIn)
	} else {
		pause = min(pause, l.Timing.Turn)
	}
	if !a.Until.IsZero() {
		pause = min(pause, time.Until(a.Until))
	}
	if a.Kind == policy.Serve && soon > 0 { // what has woken this turn is looked at then
		pause = min(pause, soon)
	}
	return max(0, pause)
}

// tell logs a decision that is news, and shows it to the service manager.
func (l *Loop) tell(a policy.Action, now time.Time) {
	if a.Kind == l.last.Kind && a.Reason == l.last.Reason {
		return
	}
	known := l.last.Reason == a.Reason // Propose and Init have one reason
	l.Notify.Status(a.Reason)
	if !l.engineSeen && errors.Is(l.engineErr, swarm.ErrUnreachable) && now.Sub(l.started) < l.Timing.EngineStart {
		return
	}
	l.last = a
	if known {
		return
	}
	var fields []zap.Field
	if !a.Until.IsZero() {
		fields = append(fields, zap.Duration("at_most", a.Until.Sub(now).Round(time.Second)))
	}
	log := l.Log.Info
	if a.Trouble {
		log = l.Log.Warn
	}
	log(status.Sentence(a.Reason), fields...)
	l.Log.Debug("That was decided by a rule.", zap.String("rule", a.Rule))
}

// tellStay shows the service manager how many nodes are ready, as this worker's manager has told lately.
func (l *Loop) tellStay(a policy.Action, v policy.View) {
	if a.Kind != policy.Stay || a.Trouble {
		return
	}
	for _, p := range v.Boards.Peers {
		if c := p.Claim; c.Nodes > 0 && p.IsManagerOf(v.Engine.Status) && v.Now.Sub(p.Met) < l.Timing.ManagerSilent {
			l.Notify.Status(fmt.Sprintf("Worker in the swarm of %s, %d of %d nodes ready", c.Serial.Name(), c.Ready, c.Nodes))
			return
		}
	}
}
