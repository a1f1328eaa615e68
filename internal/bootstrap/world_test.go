package bootstrap

// The world of the simulation: a LAN in memory. Its tests are in sim_test.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/swarm/swarmtest"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// world is a LAN of boards that run the real Loop in virtual time. Only what is below the loop is simulated: the
// network, and through swarmtest.Engine the engines.
type world struct {
	seed    uint64
	net     *swarmtest.Net
	log     *zap.Logger
	loss    float64                         // part of the announcements and hellos that are lost
	twice   float64                         // part of the announcements that come twice
	decide  func(policy.View) policy.Action // instead of policy.Decide
	step    time.Duration                   // between two looks at the invariants
	steps   int                             // looks so far
	faults  map[string]int                  // that happened, by kind
	mended  time.Time                       // when the network was whole again
	began   time.Time
	expect  int
	wanted  int          // managers
	quiet   bool         // multicast reaches nobody else
	named   []netip.Addr // the peers of every board
	deaf    *simBoard    // hears no announcement but its own
	built   time.Time    // when the program of the boards was made
	keyless bool         // there is no cluster key
	noRoot  bool         // nobody does what an agent asks of root
	missing string       // what a whole swarm lacked at the last look
	swarms  []string     // every swarm that was seen, in order of founding

	links atomic.Pointer[links] // nil when everybody reaches everybody
	walls atomic.Pointer[wall]  // a firewall; nil when there is none

	settle   time.Duration // of every board
	prompt   bool          // addresses are there when a board is switched on
	deadEnds bool          // nobody asks anew at an address that has come

	lan    []*simBoard // all boards, with those of strangers
	boards []*simBoard // of the class

	mu       sync.Mutex
	dice     map[way]*rand.Rand
	breach   error                     // the first time that a token or a join went wrong
	admitted map[peer.Fingerprint]bool // by any manager, where there is no cluster key
	gains    map[string]time.Time      // when each swarm last gained a member
}

// way is one kind of packet from one board to another, numbered from 1.
type way struct {
	from, to byte
	kind     packet
}

// packet is a kind of packet.
type packet byte

const (
	announcement packet = iota
	question
	request
	answer
	jitter    // no packet: the pace of announcements
	duplicate // no packet: whether an announcement comes twice
	dhcp      // no packet: how long an address of DHCP takes,
	probing   // and one that stays
)

// simBoard is one board. It is the Discovery, the Asker and the Network of its loop.
type simBoard struct {
	w        *world
	serial   peer.Serial
	key      peer.Fingerprint
	addr     netip.Addr // which stays, and by which its swarm knows it
	engine   *swarmtest.Engine
	stranger bool // it has another cluster key, or nobody wants it

	// What a test may set before the first start.
	settings error
	near     []discovery.Neighbour
	hostname string
	machine  string
	stuck    bool          // nobody puts its clock forward
	tag      string        // of its cluster key
	deny     []peer.Serial // whom it does not trust
	shut     atomic.Bool   // a firewall lets no hello through, either way

	// These belong to the goroutine of the test.
	calm   time.Time                         // since when the board has been on, with its agent and engine
	kept   peer.Membership                   // on its disk, guarded by w.mu
	known  map[peer.Fingerprint][]netip.Addr // on its cards, by the key of the card, guarded by w.mu
	node   string                            // its node id, once it has one
	swarm  string                            // the swarm that it manages
	free   bool                              // its swarm has nothing to lose
	doomed bool                              // a person has given its swarm up, or its manager is gone for good

	switched time.Time // when it was switched on, zero while it is off

	// Guarded by w.mu.
	loop     *Loop // nil while the agent is not running
	stop     context.CancelFunc
	done     chan struct{}
	asking   bool
	claim    peer.Claim
	hints    map[netip.Addr]discovery.Hint
	linked   address.Link // as its loop sees it
	surveyed address.Link // where all were asked
	inquiry  int          // which one is under way
	leased   time.Time    // when its address of DHCP is there
	probed   time.Time    // when the one that stays is
	heard    time.Time
	changed  chan struct{}
	lease    netip.Addr    // that of DHCP
	wrote    time.Time     // when it last wrote where it is, by its clock
	trust    trust.Model   // of its agent
	pins     trust.Pins    // on its disk
	clock    time.Duration // how far its clock is off
	asked    int           // how often its loop wanted it put forward
	renamed  []string      // the names that its loop found taken
	lines    []string      // of the log, from Info up
	status   string        // as it was last shown
}

const (
	hintTTL   = 120 * time.Second
	simSettle = 15 * time.Second
)

// newWorld returns a LAN without boards. A test that fails shows what the boards logged, and how to see it again.
func newWorld(t testing.TB, seed uint64) *world {
	var text bytes.Buffer
	began := time.Now()
	form := zapcore.EncoderConfig{
		MessageKey: "message", NameKey: "board", LevelKey: "level", TimeKey: "at", EncodeLevel: zapcore.CapitalLevelEncoder,
		EncodeTime: func(at time.Time, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(fmt.Sprintf("%7.2f", at.Sub(began).Seconds()))
		},
	}
	w := &world{
		seed: seed, net: swarmtest.NewNet(), dice: map[way]*rand.Rand{}, admitted: map[peer.Fingerprint]bool{}, gains: map[string]time.Time{}, step: simStep, settle: simSettle, began: began, faults: map[string]int{},
		log: zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(form), zapcore.Lock(zapcore.AddSync(&text)), zap.InfoLevel)),
	}
	w.net.SetReach(func(from, to netip.Addr) bool {
		l := w.links.Load()
		return l == nil || l.pass(from, to)
	})
	t.Cleanup(func() {
		for _, b := range w.lan {
			b.kill()
		}
		if t.Failed() {
			t.Logf("replay with SIM_SEED=%d, loss %.2f, expect %d:\n%s", seed, w.loss, w.expect, text.String())
		}
	})
	return w
}

// add puts a board on the LAN that has no power yet.
func (w *world) add(serial peer.Serial) *simBoard {
	n := len(w.lan) + 1
	b := &simBoard{
		w: w, serial: serial, key: peer.Fingerprint{byte(n), 1}, hostname: serial.Name(),
		addr:  netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)}),
		known: map[peer.Fingerprint][]netip.Addr{},
	}
	b.lease = b.addr
	b.engine = w.net.NewEngine(serial.Name(), b.addr)
	b.engine.PowerOff()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boards, w.lan = append(w.boards, b), append(w.lan, b)
	return b
}

// send throws the dice for a packet. Each way has dice of its own, so that a seed means the same however goroutines
// take turns.
func (w *world) send(kind packet, from, to *simBoard) (delay time.Duration, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := way{from.key[0], to.key[0], kind}
	if w.dice[at] == nil {
		w.dice[at] = rand.New(rand.NewPCG(w.seed, uint64(at.from)<<16|uint64(at.to)<<8|uint64(kind)))
	}
	lost = w.dice[at].Float64() < w.loss && from != to
	lost = lost || w.quiet && (kind == announcement || kind == question) && from != to
	if l := w.links.Load(); l != nil {
		lost = lost || !l.pass(from.addr, to.addr)
	}
	return time.Millisecond + time.Duration(w.dice[at].Int64N(int64(20*time.Millisecond))), lost
}

// at is who has an address, nil when nobody has.
func (w *world) at(addr netip.Addr) *simBoard {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.lan, func(b *simBoard) bool { return slices.Contains(b.addrs(), addr) })
	if i < 0 {
		return nil
	}
	return w.lan[i]
}

// links are the ways between boards that do not work.
type links struct {
	part     map[netip.Addr]bool // boards on a switch of their own
	from, to netip.Addr          // nothing passes this way
}

func (l *links) pass(from, to netip.Addr) bool {
	return l.part[from] == l.part[to] && !(from == l.from && to == l.to)
}

// wall is a firewall that lets UDP through, and no connection to the port of the agents: it reports whether from
// reaches to at one of its addresses, which is the one that stays or that of DHCP. What is connected is answered.
type wall func(from, to *simBoard, stays bool) bool

// open reports whether a connection gets through.
func (w *world) open(from, to *simBoard, at netip.Addr) bool {
	wall := w.walls.Load()
	return wall == nil || (*wall)(from, to, at == to.addr)
}

// addrs are the addresses that the board has by now, the one that stays last. The caller must hold w.mu.
func (b *simBoard) addrs() (all []netip.Addr) {
	now := time.Now()
	if !now.Before(b.leased) {
		all = append(all, b.lease)
	}
	if !now.Before(b.probed) && b.addr != b.lease {
		all = append(all, b.addr)
	}
	return all
}

// routed reports whether the board has an address of the kind that to is. The caller must hold w.mu.
func (b *simBoard) routed(to *simBoard, at netip.Addr) bool {
	if at == to.addr {
		return slices.Contains(b.addrs(), b.addr)
	}
	return slices.Contains(b.addrs(), b.lease)
}

// whole reports whether everybody reaches everybody.
func (w *world) whole() bool { return w.links.Load() == nil }

// mend makes the network whole.
func (w *world) mend() {
	w.links.Store(nil)
	w.walls.Store(nil)
	w.mended = time.Now()
}

// reach gets to another board, after the time that a packet takes, unless the packet is lost or nobody is there.
func (b *simBoard) reach(ctx context.Context, kind packet, to *simBoard, at netip.Addr) (*Loop, error) {
	if to == nil {
		return nil, errors.New("no route to host")
	}
	b.w.mu.Lock()
	routed := kind == answer || b.routed(to, at)
	b.w.mu.Unlock()
	if !routed {
		return nil, errors.New("no route to host")
	}
	delay, lost := b.w.send(kind, b, to)
	if kind == request && !b.w.open(b, to, at) {
		if err := nap(ctx, 1500*time.Millisecond); err != nil {
			return nil, err
		}
		return nil, errors.New("no answer in time")
	}
	for again := time.Second; lost || b.shut.Load() || to.shut.Load(); again *= 2 { // as TCP does
		if err := nap(ctx, again); err != nil {
			return nil, err
		}
		if again > 2*time.Second {
			return nil, errors.New("no answer in time")
		}
		delay, lost = b.w.send(kind, b, to)
	}
	if err := nap(ctx, delay); err != nil {
		return nil, err
	}
	if loop := to.running(); loop != nil {
		return loop, nil
	}
	return nil, errors.New("connection refused")
}

// nap lets virtual time pass.
func nap(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// powerOn starts the board with a new boot of its engine, which takes a while, and of its agent.
func (b *simBoard) powerOn(ctx context.Context, engineAfter time.Duration) {
	b.switched = time.Now()
	b.comeUp()
	b.engine.PowerOn()
	if engineAfter > 0 {
		b.engine.StopEngine()
		time.AfterFunc(engineAfter, b.engine.StartEngine)
	}
	b.start(ctx)
}

// comeUp gives the board its addresses: that of DHCP within 2 s and the one that stays, which it asks for first, within
// 7 s.
func (b *simBoard) comeUp() {
	lease, _ := b.w.send(dhcp, b, b)
	probe, _ := b.w.send(probing, b, b)
	now := time.Now()
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.leased, b.probed = now.Add(100*lease), now.Add(350*probe)
	if b.w.prompt {
		b.leased, b.probed = now, now
	}
}

func (b *simBoard) powerOff() {
	b.switched = time.Time{}
	b.kill()
	b.engine.PowerOff()
}

// start runs the agent of the board.
func (b *simBoard) start(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	log := b.w.log.Named(b.serial.Name()).WithOptions(zap.Hooks(func(e zapcore.Entry) error {
		b.w.mu.Lock()
		defer b.w.mu.Unlock()
		b.lines = append(b.lines, e.Message)
		return nil
	}))
	model, pins := b.newTrust(log)
	if len(b.deny) > 0 {
		model = trust.NewDeny(model, b.deny, log)
	}
	loop := NewLoop(Options{
		Serial: b.serial, Key: b.key, Machine: b.machine, Model: "Simulated Pi", Cluster: "pi",
		Hostname: func() string { return b.hostname },
		Member:   b.remembered(),
		Remember: b.remember, Commit: b.remember,
		Known: b.recalled(),
		RememberKnown: func(addrs []netip.Addr) error {
			b.w.mu.Lock()
			defer b.w.mu.Unlock()
			b.known[b.key] = addrs
			return nil
		},
		Rename: func(taken string) error {
			b.w.mu.Lock()
			defer b.w.mu.Unlock()
			b.renamed = append(b.renamed, taken)
			return nil
		},
		Clock: func() time.Time { return time.Now().Add(b.off()) }, SetClock: b.setClock, Built: b.w.built,
		ForgetSwarm: func() error {
			time.AfterFunc(time.Second, b.forget)
			return nil
		},
		Expect: b.w.expect, Settle: b.w.settle, Wanted: b.w.wanted, Named: b.w.named, Settings: b.settings,
		Tag: b.tag, Deny: b.deny,
		Engine: b.engine, Discovery: b, Asker: b, Network: b, Notify: simNotify{b: b}, Pins: pins, Log: log,
	})
	if b.w.decide != nil {
		loop.decide = b.w.decide
	}
	done := make(chan struct{})
	b.w.mu.Lock()
	b.loop, b.stop, b.done, b.trust = loop, stop, done, model
	b.hints, b.heard, b.changed = map[netip.Addr]discovery.Hint{}, time.Time{}, make(chan struct{}, 1)
	b.claim, b.asking, b.linked, b.surveyed = peer.Claim{}, false, address.Link{}, address.Link{}
	b.inquiry++
	b.w.mu.Unlock()
	go func() {
		defer close(done)
		_ = loop.Run(ctx) // it returns nil only
	}()
	go b.announceOften(ctx, loop)
}

// forget is what root does when it is asked to let the engine forget its swarm.
func (b *simBoard) forget() {
	s, err := b.engine.Status(context.Background())
	if b.w.noRoot || err != nil || s.State != swarm.Failed {
		return
	}
	b.engine.StopEngine()
	b.engine.Forget()
	time.AfterFunc(2*time.Second, b.engine.StartEngine)
}

func (b *simBoard) remembered() peer.Membership {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.kept
}

func (b *simBoard) remember(m peer.Membership) error {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.kept, b.wrote = m, time.Now().Add(b.clock)
	return nil
}

func (b *simBoard) recalled() []netip.Addr {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.known[b.key]
}

// kill ends the agent as SIGKILL does: it says no goodbye, and its engine goes on. The caller must not hold w.mu.
func (b *simBoard) kill() {
	b.w.mu.Lock()
	running, stop, done := b.loop != nil, b.stop, b.done
	b.loop = nil
	b.w.mu.Unlock()
	if running {
		stop()
		<-done
	}
}

// off is how far the clock is off.
func (b *simBoard) off() time.Duration {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.clock
}

// turnClock makes the clock that far off, for the engine, too.
func (b *simBoard) turnClock(off time.Duration) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.clock = off
	b.engine.SetClock(off)
}

// setClock is what root does when it is asked to, a moment later.
func (b *simBoard) setClock(to time.Time) error {
	off := time.Until(to)
	b.w.mu.Lock()
	b.asked++
	b.w.mu.Unlock()
	if b.stuck {
		return nil
	}
	time.AfterFunc(time.Second, func() { b.turnClock(max(off, b.off())) })
	return nil
}

// nodeKey is that of the card that is in the board now.
func (b *simBoard) nodeKey() peer.Fingerprint {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.key
}

// running is the agent, nil when it is not running.
func (b *simBoard) running() *Loop {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.loop
}

// shows is the status that is shown.
func (b *simBoard) shows() string {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.status
}

// said reports whether the log has a line with this text.
func (b *simBoard) said(text string) bool {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return slices.ContainsFunc(b.lines, func(line string) bool { return strings.Contains(line, text) })
}

// announceOften keeps the pace of discovery: twice at the start, then every 30 to 60 s.
func (b *simBoard) announceOften(ctx context.Context, loop *Loop) {
	for pause := time.Second; nap(ctx, pause) == nil; {
		b.announce(loop)
		part, _ := b.w.send(jitter, b, b)
		pause = 30*time.Second + 1400*part
	}
}

// inquire asks who is there where this board has an address that is new, three times so that everybody announces
// itself, and notes when the answers are in; then ever less often, and whoever is known is silent. The caller must hold
// w.mu.
func (b *simBoard) inquire() {
	b.surveyed = address.Link{}
	b.inquiry++
	mine, link := b.inquiry, b.linked
	if !b.asking || link == (address.Link{}) || b.w.deadEnds {
		return
	}
	const survey, wait = 3, 1360 * time.Millisecond
	current := func() bool { return b.inquiry == mine && b.loop != nil }
	answered := func() {
		b.w.mu.Lock()
		defer b.w.mu.Unlock()
		if !current() {
			return
		}
		b.surveyed = link
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
	put, pause := 0, time.Duration(0)
	var ask func()
	ask = func() {
		b.w.mu.Lock()
		over := !current()
		b.w.mu.Unlock()
		if over {
			return
		}
		put++
		b.ask(put > survey)
		if put == survey {
			time.AfterFunc(wait, answered)
		}
		pause = min(max(2*pause, wait), time.Minute)
		time.AfterFunc(pause, ask)
	}
	go ask()
}

// ask asks everybody who is there, with known answers from one address, or without from each.
func (b *simBoard) ask(known bool) {
	b.w.mu.Lock()
	from := len(b.addrs())
	b.w.mu.Unlock()
	if known {
		from = min(from, 1)
	}
	for _, to := range b.w.lan {
		if to == b || known && b.knows(to) {
			continue
		}
		for range from {
			delay, lost := b.w.send(question, b, to)
			if lost {
				continue
			}
			time.AfterFunc(delay+100*time.Millisecond, func() {
				if loop := to.running(); loop != nil {
					to.announce(loop)
				}
			})
			break // a second question of that moment is answered together with the first
		}
	}
}

// knows reports whether a question of this board has another as a known answer.
func (b *simBoard) knows(to *simBoard) bool {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	for _, h := range b.hints {
		if h.Claim.Serial == to.serial && time.Until(h.Expires) >= hintTTL/2 {
			return true
		}
	}
	return false
}

// announce is heard by every board, its own included, from each address, unless it is lost on the way to it. Who hears
// a board for the first time announces itself, as the real one does.
func (b *simBoard) announce(loop *Loop) {
	b.w.mu.Lock()
	addrs := b.addrs()
	b.w.mu.Unlock()
	for _, to := range b.w.lan {
		for _, at := range addrs {
			delay, lost := b.w.send(announcement, b, to)
			if lost || to == b.w.deaf && to != b {
				continue
			}
			time.AfterFunc(delay, func() { b.hear(loop, to, at) })
			if part, _ := b.w.send(duplicate, b, to); b.w.twice > 0 &&
				part < time.Duration(float64(20*time.Millisecond)*b.w.twice) {
				time.AfterFunc(delay+time.Second, func() { b.hear(loop, to, at) })
			}
		}
	}
}

func (b *simBoard) hear(loop *Loop, to *simBoard, at netip.Addr) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.loop == nil || b.loop != loop || to.loop == nil || b.claim.Serial == "" || len(to.addrs()) == 0 {
		return
	}
	now := time.Now()
	news := to == b && b.heard.IsZero()
	if to == b {
		b.heard = now
	} else {
		old, known := to.hints[at]
		news = !known || old.Claim != b.claim
		to.hints[at] = discovery.Hint{
			Claim: b.claim, Addr: netip.AddrPortFrom(at, peer.Port), Heard: now, Expires: now.Add(hintTTL),
		}
		if !known {
			go to.announce(to.loop)
		}
	}
	if !news { // as the real one, which wakes nobody for what is known
		return
	}
	select {
	case to.changed <- struct{}{}:
	default:
	}
}

// SetLink implements Discovery.
func (b *simBoard) SetLink(l address.Link) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.linked == l {
		return
	}
	if b.linked.Addr != l.Addr {
		b.heard = time.Time{}
	}
	b.linked = l
	b.inquire()
	if b.claim.Serial != "" {
		go b.announce(b.loop)
	}
}

// SetAsking implements Discovery.
func (b *simBoard) SetAsking(on bool) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.asking != on {
		b.asking = on
		b.inquire()
	}
}

// SetClaim implements Discovery.
func (b *simBoard) SetClaim(c peer.Claim) {
	c.Node, c.Model, c.Machine, c.Engine, c.Hostname, c.Peers = "", "", "", "", "", ""
	c.Boot, c.Said, c.Manages = 0, 0, ""
	b.w.mu.Lock()
	news := b.claim != c
	b.claim = c
	loop := b.loop
	b.w.mu.Unlock()
	if news {
		go b.announce(loop)
	}
}

// Snapshot implements Discovery.
func (b *simBoard) Snapshot() discovery.Snapshot {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	s := discovery.Snapshot{SelfHeard: b.heard, Asked: b.surveyed}
	if b.w.deadEnds {
		s.Asked = b.linked
	}
	for a, h := range b.hints {
		if time.Now().After(h.Expires) {
			delete(b.hints, a)
			continue
		}
		if h.Claim.Serial == b.serial {
			s.Duplicates = append(s.Duplicates, a)
			continue
		}
		s.Hints = append(s.Hints, h)
	}
	slices.SortFunc(s.Hints, func(x, y discovery.Hint) int { return x.Addr.Compare(y.Addr) })
	return s
}

// Stranger implements Discovery.
func (*simBoard) Stranger(peer.Claim) {}

// Changed implements Discovery.
func (b *simBoard) Changed() <-chan struct{} { return b.changed }

// Hello implements Asker.
func (b *simBoard) Hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) (trust.Peer, error) {
	other := b.w.at(addr.Addr())
	loop, err := b.reach(ctx, request, other, addr.Addr())
	if err != nil {
		return trust.Peer{}, err
	}
	p, err := b.present(other, trust.Hello, addr.Addr(), claim)
	if err != nil {
		loop.Stranger(claim)
		return trust.Peer{}, err
	}
	loop.Met(p)
	said, managers := loop.Answer(p), loop.Managers()
	said.Clock = time.Now().Add(other.off())
	if _, err := other.reach(ctx, answer, b, netip.Addr{}); err != nil {
		return trust.Peer{}, err
	}
	if err := b.believe(other, trust.Hello, addr.Addr(), said); err != nil {
		return trust.Peer{}, err
	}
	return trust.Peer{Claim: said, Key: other.nodeKey(), Addr: addr, Managers: managers}, nil
}

// Join implements Asker.
func (b *simBoard) Join(ctx context.Context, m trust.Peer, claim peer.Claim) (enroll.Ticket, error) {
	other := b.w.at(m.Addr.Addr())
	loop, err := b.reach(ctx, request, other, m.Addr.Addr())
	if err != nil {
		return enroll.Ticket{}, err
	}
	if err := b.believe(other, trust.Join, m.Addr.Addr(), m.Claim); err != nil {
		return enroll.Ticket{}, err
	}
	p, err := b.present(other, trust.Join, m.Addr.Addr(), claim)
	if err != nil {
		return enroll.Ticket{}, err
	}
	t, err := loop.Ticket(ctx, p)
	if err != nil {
		return enroll.Ticket{}, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	b.w.handedOut(other, b)
	return t, nil
}

// Picture implements Asker.
func (b *simBoard) Picture(ctx context.Context, m trust.Peer, claim peer.Claim) ([]byte, error) {
	other := b.w.at(m.Addr.Addr())
	loop, err := b.reach(ctx, request, other, m.Addr.Addr())
	if err != nil {
		return nil, err
	}
	p, err := b.present(other, trust.Hello, m.Addr.Addr(), claim)
	if err != nil {
		return nil, err
	}
	shown, err := loop.Look(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	return shown, nil
}

// Probe implements Asker: there is no firewall that lets hellos through.
func (b *simBoard) Probe(ctx context.Context, p trust.Peer, _ peer.Claim) (map[string]string, error) {
	_, err := b.reach(ctx, request, b.w.at(p.Addr.Addr()), p.Addr.Addr())
	return map[string]string{}, err
}

// Nearby implements Discovery.
func (b *simBoard) Nearby() []discovery.Neighbour { return b.near }

// Link implements Network.
func (b *simBoard) Link() (address.Choice, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	addrs := b.addrs()
	link := address.Choice{Link: address.Link{Name: "eth0", Index: 2}}
	if slices.Contains(addrs, b.lease) {
		link.Addr = b.lease
	}
	if b.addr != b.lease && slices.Contains(addrs, b.addr) {
		link.Stable = b.addr
	}
	if len(addrs) == 0 {
		return address.Choice{}, errors.New("eth0 has no IPv4 address yet")
	}
	return link, nil
}

// Advertise implements Network.
func (b *simBoard) Advertise() (netip.Addr, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if time.Now().Before(b.probed) {
		return netip.Addr{}, errors.New("asking whether the address is free")
	}
	return b.addr, nil
}

// Rely implements Network.
func (*simBoard) Rely(bool) {}

// Has implements Network.
func (b *simBoard) Has(addr netip.Addr) (bool, error) { return addr == b.addr, nil }

// Routes implements Network.
func (*simBoard) Routes() ([]netip.Prefix, error) {
	return []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16"), netip.MustParsePrefix("10.78.0.0/16")}, nil
}

// Watch implements Network.
func (b *simBoard) Watch(ctx context.Context, notify func()) error {
	b.w.mu.Lock()
	leased, probed := time.Until(b.leased), time.Until(b.probed)
	b.w.mu.Unlock()
	for _, in := range []time.Duration{leased, probed} {
		if in > 0 {
			time.AfterFunc(in, notify)
		}
	}
	<-ctx.Done()
	return nil
}

// simNotify keeps the status that systemctl would show.
type simNotify struct {
	noNotify
	b *simBoard
}

func (n simNotify) Status(text string) {
	n.b.w.mu.Lock()
	defer n.b.w.mu.Unlock()
	n.b.status = text
}

type noNotify struct{}

func (noNotify) Ready()        {}
func (noNotify) Status(string) {}
func (noNotify) Watchdog()     {}
