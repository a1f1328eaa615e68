package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Pace of the loop. Whatever is heard, asked or changed wakes it earlier.
const (
	statusAge  = 500 * time.Millisecond // how old the engine's status may be, so that a flood of hellos does not reach it
	nodesMax   = 10 * time.Second       // time for a call that a manager without majority leaves hanging
	actMax     = 40 * time.Second       // time for one action; a turn must end well before systemd's watchdog
	asksAtOnce = 64                     // hellos under way; invented boards keep each of them busy for a second
)

// Discovery finds hints. discovery.Service is the real one.
type Discovery interface {
	SetLink(discovery.Link)
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
	Link() (address.Link, error)
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
	contacts *contacts
	claim    atomic.Pointer[peer.Claim]
	wake     chan struct{}
	taken    atomic.Pointer[string]     // name of this board that another one has, too
	asks     chan struct{}              // one element for each hello under way
	ticket   atomic.Pointer[ticketBase] // nil when this board is not a manager
	place    atomic.Pointer[Place]      // the same
	listed   atomic.Pointer[nodeIDs]    // the nodes of the swarm, the same
	posed    atomic.Pointer[pose]       // what the newest turn has seen
	canvas   canvas

	orders chan order
	decide func(View) Action // Decide, except in tests of what goes wrong with another one

	background sync.WaitGroup

	// What follows belongs to the goroutine of Run.
	link        address.Link
	seen        address.Link // as it was last told
	linkErr     error
	linked      time.Time
	advertise   netip.Addr
	addrErr     error     // why advertise is not known; nil when it is
	lost        time.Time // see View.Lost
	risk        bool      // the risk of the address that the swarm relies on was told
	status      swarm.Status
	statusErr   error
	statusAt    time.Time // zero makes the next turn ask the engine
	started     time.Time
	unremoved   []string // ids of nodes that are denied, and of which it was said that they stay
	engineSeen  bool     // whether the engine has answered since then
	pending     time.Time
	listening   time.Time
	inquiring   bool // see View.Inquiring
	proposed    time.Time
	founding    bool
	last        Action
	retryAt     time.Time
	retries     int
	refusal     string // the newest one that was logged
	nodes       nodeList
	near        neighbours
	council     councilMemory
	wasReset    bool
	contents    peer.Contents // see View, these four
	answered    time.Time
	parted      time.Time
	orphan      bool // parted for long
	left        time.Time
	forgetAsked time.Time
	doubled     time.Time
	contentsAt  time.Time
	contested   bool // a manager of another swarm is met
	clockAsked  time.Time
	reach       reach
	memory      memory
	ids         sameIDs
	loss        loss // the swarm that this board has left last because it was lost
	strays      strays
}

// NewLoop returns the loop of a board.
func NewLoop(o Options) *Loop {
	o.Timing = o.Timing.Or(timing.Product())
	l := &Loop{
		Options:  o,
		contacts: newContacts(o.Key, o.Timing),
		wake:     make(chan struct{}, 1),
		asks:     make(chan struct{}, asksAtOnce),
		orders:   make(chan order),
		decide:   Decide,
		started:  time.Now(),
		linkErr:  errors.New("not looked at yet"),
		// An agent that is stopped before its engine has answered must not take it for one in no swarm, and forget its own.
		statusErr: fmt.Errorf("%w: it was not asked yet", swarm.ErrUnreachable),
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
	l.contacts.recall(o.Known, l.started)
	return l
}

// Run turns until ctx ends, then returns nil. It leaves the swarm as it is.
func (l *Loop) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer l.background.Wait()
	defer stop()
	l.background.Go(func() {
		if err := l.Network.Watch(ctx, l.nudge); err != nil {
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

// Met implements enroll.Host.
func (l *Loop) Met(p enroll.Peer) {
	l.meet(p, time.Now())
	l.nudge()
}

// Stranger implements enroll.Host.
func (l *Loop) Stranger(c peer.Claim) { l.Discovery.Stranger(c) }

// meet takes in what another board says about itself, and logs what is news. It reports whether the board has said something
// newer before.
func (l *Loop) meet(p enroll.Peer, now time.Time) (stale bool) {
	first, trouble, stale := l.contacts.meet(p, now)
	if stale {
		return true
	}
	if p.Key != l.Key {
		l.hinted(p.Claim.Others(), now)
	}
	if first && p.Claim.Serial != l.Serial { // Decide names a twin
		l.found(p)
	}
	l.compareNames(p)
	if trouble {
		l.Log.Warn(fmt.Sprintf("%s cannot take part: %s", p.Claim.Serial.Name(), sentence(p.Claim.Trouble)))
	}
	return false
}

// compareNames finds that another board has the name of this one, and lets the one with the higher serial give way.
func (l *Loop) compareNames(p enroll.Peer) {
	name := l.Hostname()
	if name == "" || !strings.EqualFold(name, p.Claim.Hostname) || p.Claim.Serial >= l.Serial {
		return
	}
	if was := l.taken.Swap(&name); was != nil && *was == name {
		return
	}
	text := fmt.Sprintf("%s at %s is called %s, too", p.Claim.Serial.Name(), p.Addr.Addr(), name)
	if l.Rename == nil {
		l.Log.Warn(text + ": give one of them another name.")
		return
	}
	l.Log.Info(text + ": this board, with the higher serial, takes another name.")
	if err := l.Rename(name); err != nil {
		l.Log.Warn(fmt.Sprintf("The name stays: %v.", err))
	}
}

func (l *Loop) found(p enroll.Peer) {
	l.Log.Info(fmt.Sprintf("Found %s at %s.", p.Claim.Serial.Name(), p.Addr.Addr()), zap.String("serial", string(p.Claim.Serial)),
		zap.String("model", p.Claim.Model), zap.String("state", string(p.Claim.State)))
}

func (l *Loop) nudge() {
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
	l.posed.Store(&pose{view: v, action: a})
	if a.Kind != Propose && a.Kind != Init {
		l.proposed = time.Time{}
	}
	acted := l.act(ctx, a)
	l.speak()
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
	return max(0, pause)
}

// observe brings up to date what is known of the network, the engine and the other boards.
func (l *Loop) observe(ctx context.Context) {
	l.observeLink()
	l.advertise, l.addrErr = l.Network.Advertise()
	if now := time.Now(); now.Sub(l.statusAt) >= statusAge {
		l.observeEngine(ctx)
	}
	l.compareAddress(time.Now())
	l.keepCard(time.Now())
	heard := l.Discovery.Snapshot()
	now := time.Now()
	switch {
	case heard.SelfHeard.IsZero():
		l.listening = time.Time{}
	case l.listening.IsZero():
		l.listening = now
	}
	// Also the address that a swarm would rely on must be among those at which was asked: it may have come this moment.
	asked := onLink(l.link)
	l.inquiring = heard.Asked != asked || l.addrErr == nil && l.advertise != asked.Addr && l.advertise != asked.Stable
	l.contacts.heard(heard.Hints, now)
	for _, twin := range heard.Twins {
		l.contacts.expect(netip.AddrPortFrom(twin, peer.Port), now)
	}
	if l.status.State != swarm.Inactive && !l.status.Manager {
		for _, m := range l.status.Managers {
			l.contacts.expect(netip.AddrPortFrom(m.Addr(), peer.Port), now)
		}
	}
	l.contacts.name(l.Named, now)
	l.follow()
	l.contacts.forget(now)
	l.observeSwarms(ctx)
	l.observeDoubles(now)
	l.tellReach(now)
	l.tellStrays(now)
	l.keepAddrs(now)
	l.compareIDs(now)
	if text := l.near.news(heard.Others, now, l.Timing.NeighboursCalm); text != "" {
		l.Log.Info(text)
	}
	l.speak()
}

func (l *Loop) observeLink() {
	link, err := l.Network.Link()
	seen := address.Link{Name: link.Name, Index: link.Index, Addr: cmp.Or(link.Addr, link.Stable)}
	if !link.Addr.IsValid() && link.Name == l.seen.Name && link.Index == l.seen.Index {
		seen = l.seen // a lease that has gone is no news where the board can do without
	}
	switch {
	case err == nil && (l.linkErr != nil || seen != l.seen):
		l.seen, l.linked = seen, time.Now()
		log := l.Log.Info
		if !link.Addr.IsValid() {
			log = l.Log.Debug // who put the stable address there has told it
		}
		why := link.Why
		if why != "" {
			why = ": " + why
		}
		log(fmt.Sprintf("Using %s with address %s%s.", seen.Name, seen.Addr, why))
	case err != nil && l.linkErr == nil:
		l.Log.Warn(fmt.Sprintf("The network is gone: %v.", err))
	}
	if link != l.link { // what was out of reach from the addresses before may be within that of the new one
		l.contacts.hurry(func(c *contact) bool { return c.failures > 0 }, time.Now())
	}
	l.link, l.linkErr = link, err
	if err != nil {
		l.Discovery.SetLink(discovery.Link{})
		return
	}
	l.Discovery.SetLink(onLink(link))
}

// compareAddress looks whether the swarm knows this board by an address that it has, and that it will keep.
func (l *Loop) compareAddress(now time.Time) {
	addr := l.status.Addr
	if l.statusErr != nil || l.status.State != swarm.Active || !addr.IsValid() {
		l.lost = time.Time{}
		return
	}
	switch has, err := l.Network.Has(addr); {
	case err != nil:
		l.Log.Debug("Own addresses are not known.", zap.Error(err))
	case has:
		l.lost = time.Time{}
	case l.lost.IsZero():
		l.lost = now
	}
	if l.status.Manager && !l.risk && l.advertise.IsLinkLocalUnicast() && !addr.IsLinkLocalUnicast() {
		l.risk = true
		l.Log.Warn(fmt.Sprintf("The swarm relies on %s, and loses its workers if this board gets another address: give it a fixed lease "+
			"in the router. A swarm that is made anew relies on %s, which stays.", addr, l.advertise))
	}
}

func (l *Loop) observeEngine(ctx context.Context) {
	status, err := l.Engine.Status(ctx)
	if ctx.Err() != nil {
		return
	}
	l.statusAt = time.Now()
	l.statusErr = err
	if err != nil {
		l.ticket.Store(nil)
		l.place.Store(nil)
		l.listed.Store(nil)
		return
	}
	l.status, l.engineSeen = status, true
	if status.State != swarm.Pending && status.State != swarm.Failed {
		l.pending = time.Time{}
	} else if l.pending.IsZero() {
		l.pending = l.statusAt
	}
}

// view is everything that Decide looks at.
func (l *Loop) view(now time.Time) View {
	peers, twins := l.contacts.peers(l.Serial)
	v := View{
		Timing: l.Timing, Now: now, Serial: l.Serial, Settings: l.Settings,
		Link: l.linkErr, Linked: l.linked, Address: l.addrErr, Lost: l.lost, Engine: l.status, EngineErr: l.statusErr,
		Pending: l.pending, Member: l.Member,
		Peers: peers, Twins: twins, Listening: l.listening, NewBoard: l.contacts.newest(), Proposed: l.proposed,
		Expect: l.Expect, Settle: l.Settle, Reset: l.wasReset, Named: l.contacts.unanswered(), Inquiring: l.inquiring,
		Contents: l.contents, Answered: l.answered, Parted: l.parted, Left: l.left, Doubled: l.doubled, ForgetAsked: l.forgetAsked,
		Clock: l.Clock(), Built: l.Built, ClockAsked: l.clockAsked, Taken: l.portTaken(),
		Own: l.own(), Unfollowed: l.contacts.unfollowed(now),
	}
	for i, p := range v.Peers {
		v.Peers[i].Barred = l.barred(p)
	}
	if !l.Claim().State.InSwarm() { // in a swarm nobody asks workers
		v.Unreached, v.Unanswered = l.contacts.unreached(l.Serial, l.proposed, now)
	}
	if !l.proposed.IsZero() {
		v.Unasked = l.contacts.unasked(l.proposed)
	}
	return v
}

// tell logs a decision that is news, and shows it to the service manager.
func (l *Loop) tell(a Action, now time.Time) {
	if a.Kind == l.last.Kind && a.Reason == l.last.Reason {
		return
	}
	known := l.last.Reason == a.Reason // Propose and Init have one reason
	l.Notify.Status(a.Reason)
	if !l.engineSeen && errors.Is(l.statusErr, swarm.ErrUnreachable) && now.Sub(l.started) < l.Timing.EngineStart {
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
	log(sentence(a.Reason), fields...)
}

// tellStay shows the service manager how many nodes are ready, as this worker's manager has told lately.
func (l *Loop) tellStay(a Action, v View) {
	if a.Kind != Stay || a.Trouble {
		return
	}
	for _, p := range v.Peers {
		if c := p.Claim; c.Nodes > 0 && managedBy(v.Engine, p) && v.Now.Sub(p.Met) < l.Timing.ManagerSilent {
			l.Notify.Status(fmt.Sprintf("Worker in the swarm of %s, %d of %d nodes ready", c.Serial.Name(), c.Ready, c.Nodes))
			return
		}
	}
}

// sentence ends a reason, which may be an engine's own words, with a full stop.
func sentence(reason string) string {
	if strings.HasSuffix(reason, ".") || strings.HasSuffix(reason, "?") {
		return reason
	}
	return reason + "."
}

// onLink is what discovery has to know of a link.
func onLink(l address.Link) discovery.Link {
	return discovery.Link{Name: l.Name, Index: l.Index, Addr: l.Addr, Stable: l.Stable}
}

// speak brings what the board says about itself in line with what was observed.
func (l *Loop) speak() {
	c := l.Claim()
	old := c
	c.Hostname = l.Hostname()
	c.Engine = peer.Mark("engine", l.status.EngineID)
	c.Swarm, c.Node, c.Trouble, c.Waits, c.Contents, c.Orphan, c.Manages = "", "", "", "", peer.Contents{}, false, ""
	member := l.statusErr == nil && l.status.State == swarm.Active
	switch {
	case l.statusErr != nil && old.State.InSwarm() && (l.engineSeen || time.Since(l.started) < l.Timing.Remembered):
		return // an engine that starts or restarts is still in its swarm
	case l.statusErr == nil && (l.status.State == swarm.Failed && l.Member.Node != "" ||
		l.status.State == swarm.Inactive && l.Member.Revive.IsValid()):
		l.ticket.Store(nil)
		return // and so is one that stumbles on the way back, or is brought back
	case member && l.status.Manager:
		c.State, c.Swarm, c.Node, c.Contents = peer.Manager, l.status.SwarmID, l.status.NodeID, l.contents
	case member, l.statusErr == nil && l.status.NodeID != "":
		c.State, c.Swarm, c.Node = peer.Worker, l.swarmOfManager(), l.status.NodeID
		c.Orphan = l.orphan
	case l.statusErr == nil && l.Member.Node != "" && (l.status.State == swarm.Failed || l.status.State == swarm.Locked):
		c.State, c.Swarm, c.Node = peer.Worker, l.Member.Swarm, l.Member.Node // it cannot enter its swarm, and does not say which
	case l.founding:
		c.State = peer.Founding
	case !l.proposed.IsZero():
		c.State = peer.Electing
	case l.wasReset || l.Settings != nil || l.statusErr != nil || l.linkErr != nil || refused(l.addrErr) || l.status.State != swarm.Inactive ||
		l.status.Excluded != nil, l.portTaken() != nil, l.Clock().Before(l.Built):
		c.State = peer.Waiting
	default:
		c.State = peer.Blank
	}
	if l.statusErr != nil || l.status.State == swarm.Failed || l.status.State == swarm.Locked {
		c.Manages = managed(l.Member)
	}
	if l.last.Trouble && l.last.Kind == Wait && !l.last.Between {
		c.Trouble = l.last.Reason
	}
	c.Peers = l.others(c.State, time.Now())
	c.Waits = l.waits(c.State)
	if c = c.Sound(); c != old {
		c.Said++
		l.claim.Store(&c)
		l.contacts.hurry(func(k *contact) bool {
			return k.met && (k.answer.Claim.State == peer.Manager || !c.State.InSwarm()) || errors.Is(k.err, enroll.ErrNotFollowed)
		}, time.Now())
	}
	l.remember(c.Membership())
	// A card from another board has that one's address, too, which must be given up if it is a copy.
	l.Network.Rely(c.State.InSwarm() && l.Member.From == "" || l.founding || l.statusErr == nil && l.status.State == swarm.Pending)
	hint := c
	hint.Contents, hint.Orphan, hint.Waits = peer.Contents{}, false, ""
	hint.Boot, hint.Said, hint.Manages = 0, 0, "" // not announced, and so no news to announce
	l.Discovery.SetClaim(hint)
	l.Discovery.SetAsking(!c.State.InSwarm())
	if member && l.status.Manager && l.Settings == nil {
		l.ticket.Store(&ticketBase{advertise: l.status.Addr, managers: l.council.inOrder(l.status.Managers), keys: l.council.keys})
	} else {
		l.ticket.Store(nil)
		l.place.Store(nil)
		l.listed.Store(nil)
	}
}

// managed is the id of the swarm that a board manages with that place, empty when it manages none.
func managed(m peer.Membership) string {
	if !m.Manager {
		return ""
	}
	return m.Swarm
}

// remember keeps where the board is. A swarm's id may not be known for a while; it is the same as long as the node is. An
// engine that cannot enter its swarm does not say which node it is, nor whether it manages.
func (l *Loop) remember(m peer.Membership) {
	if m.Swarm == "" && m.Node == l.Member.Node {
		m.Swarm = l.Member.Swarm
	}
	if m.Swarm == l.Member.Swarm {
		m.Yields = l.Member.Yields
	}
	if m.Node == l.Member.Node && l.status.State != swarm.Active {
		m.Manager, m.Sole, m.Revive = l.Member.Manager, l.Member.Sole, l.Member.Revive
	} else if m.Manager {
		n := len(l.status.Managers) // none for a moment after the engine's start
		m.Sole = n == 1 || n == 0 && l.Member.Sole
	}
	if m.Node != "" && (l.Member.Node == "" || l.Member.Node == m.Node) {
		m.From = l.Member.From
	}
	if m == l.Member || l.statusErr != nil {
		return
	}
	l.keep(m)
}

// keep keeps where the board is through a power cut.
func (l *Loop) keep(m peer.Membership) {
	l.Member = m
	if err := l.Remember(m); err != nil {
		l.Log.Warn(fmt.Sprintf("After a power cut this board will not know at once whether it is in a swarm: %v.", err))
	}
}

// follow makes a worker that has joined without the agent being there to the end follow its manager.
func (l *Loop) follow() {
	if l.Pins == nil || l.statusErr != nil || l.status.State != swarm.Active || l.status.Manager {
		return
	}
	peers, _ := l.contacts.peers(l.Serial)
	for _, p := range peers {
		if p.Claim.State == peer.Manager && managedBy(l.status, p) {
			l.Pins.Follow(p.Key)
		}
	}
}

// swarmOfManager is the id of the swarm that this worker is in, which its engine does not know and its manager does.
func (l *Loop) swarmOfManager() string {
	if l.Member.Node == l.status.NodeID && l.Member.Swarm != "" {
		return l.Member.Swarm // its manager may be another by now
	}
	peers, _ := l.contacts.peers(l.Serial)
	for _, p := range peers {
		if p.Claim.State == peer.Manager && !p.Claim.Unlisted && managedBy(l.status, p) {
			return p.Claim.Swarm
		}
	}
	return ""
}

// ask says hello to the boards that are due, each in its own goroutine, and returns how long until the next one is.
func (l *Loop) ask(ctx context.Context) time.Duration {
	if l.linkErr != nil {
		return l.Timing.Turn
	}
	claim := l.Claim()
	addrs, next := l.contacts.due(l.pace, l.proposed, time.Now())
	for _, addr := range addrs {
		l.background.Go(func() {
			if !l.contacts.answers(addr) { // one that does answer need not wait for those that may be invented
				l.asks <- struct{}{}
				defer func() { <-l.asks }()
			}
			l.hello(ctx, addr, claim)
		})
	}
	return next
}

// pace says how often a contact is asked: outside a swarm everybody knows everybody, in a swarm the workers keep in touch
// with their manager and managers look after managers of other swarms. A board outside the swarm says hello by itself; one
// that only announces itself is asked by the managers, who can tell then why it is not in.
func (l *Loop) pace(c *contact) time.Duration {
	self := l.Claim().State
	manager := c.hint.State == peer.Manager || c.met && c.answer.Claim.State == peer.Manager
	switch {
	case !self.InSwarm(), l.Member.From != "": // whose original may be among the workers
		return l.Timing.Ask
	case !l.parted.IsZero() && managedBy(l.status, Peer{Addrs: []netip.Addr{c.addr.Addr()}}): // the next answers decide
		return l.Timing.Ask
	case c.named, c.recalled && !c.met:
		return l.Timing.AskIn
	case self == peer.Worker && !c.met && c.hint.Serial == "": // an address that only the engine knows
		return l.Timing.AskIn
	case self == peer.Worker && managedBy(l.status, Peer{Addrs: []netip.Addr{c.addr.Addr()}}): // also one that has moved
		return l.Timing.AskIn
	case manager, self == peer.Manager && c.mute(time.Now(), l.Timing):
		return l.Timing.AskIn
	}
	return 0
}

func (l *Loop) hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) {
	started := time.Now()
	p, err := l.Asker.Hello(ctx, addr, claim)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	report := l.contacts.answered(addr, started, now, err)
	l.askFellows(err, now)
	switch {
	case err == nil:
		if !l.meet(p, now) {
			l.toldBy(p)
		}
	case report && errors.Is(err, enroll.ErrNotFollowed) && l.saysUnfollowed():
		l.Log.Debug("A manager is not followed.", zap.Stringer("addr", addr), zap.Error(err))
	case report && l.contacts.isNamed(addr):
		l.Log.Warn(fmt.Sprintf("No board answers at %s, which peers in the settings names: is it on, and does the network let boards "+
			"reach one another? Client isolation of an access point must be off.", addr.Addr()), zap.Error(err))
	case report:
		l.Log.Warn(fmt.Sprintf("A board announces itself at %s and is not understood or not reached: %v.", addr.Addr(), err))
	default:
		l.Log.Debug("A hello was not answered.", zap.Stringer("addr", addr), zap.Error(err))
	}
	l.nudge()
}
