// Package discovery finds the other boards on the link, and lets them find this one: DNS-SD over multicast DNS (RFC 6762,
// RFC 6763) of the service _pi-agent._tcp.local. What it finds are hints; whether they are true is asked over enroll.
//
// hashicorp/mdns answers questions and asks them (ask.go, zone.go). It cannot announce or listen, so that is done over a
// socket of our own (socket.go), at a pace that keeps the traffic in proportion to the number of boards (schedule.go).
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Numbers of the loop.
const (
	reopenFirst = time.Second           // pause after a link that could not be opened; doubles
	reopenMax   = 30 * time.Second      //
	deafAfter   = 4                     // announcements in a row that did not come back before the socket is opened anew
	saidMax     = 32                    // distinct complaints logged for one link
	crowd       = 64                    // hints above which a snapshot takes longer to make than a packet to read
	crowdGap    = 20 * time.Millisecond // least time between two such snapshots
	nearAge     = time.Second           // how old the list of the link's networks may be
	idle        = time.Hour             // sleep when nothing is due
)

// Hint is what somebody at Addr announced: a claim and an address, never trusted.
type Hint struct {
	Claim          peer.Claim     // valid, with the announced fields only
	Addr           netip.AddrPort // where the packet came from, and the announced port
	Heard, Expires time.Time      // when it was heard last, and when it ceases to hold unless it is heard again
}

// Link is the one cluster interface and its IPv4 addresses, of which one may be invalid. The zero Link is none.
type Link struct {
	Name   string
	Index  int
	Addr   netip.Addr
	Stable netip.Addr // the link-local one that stays when Addr changes
}

// addrs are the valid addresses, Addr first.
func (l Link) addrs() []netip.Addr {
	return slices.DeleteFunc([]netip.Addr{l.Addr, l.Stable}, func(a netip.Addr) bool { return !a.IsValid() })
}

// socket is what sockets are opened for: a second address that comes or goes is none of their business.
func (l Link) socket() Link {
	if l.Addr.IsValid() {
		l.Stable = netip.Addr{}
	}
	return l
}

// Snapshot is what is known at one moment.
type Snapshot struct {
	Hints     []Hint       // of other boards, sorted by serial and address; a board heard from two addresses has two
	SelfHeard time.Time    // when our own announcement last came back through the network stack; zero is never on this link
	Twins     []netip.Addr // other addresses that announce our own serial, sorted
	Others    int          // other clusters that were heard in the last minutes
	Asked     Link         // at all addresses of which was asked by multicast who is there, since SetAsking, and the answers are in
}

// Service announces this board and keeps what other boards announce. Its methods never block, except Run, and may be called
// by many goroutines at once, also before and after Run.
type Service struct {
	log     *zap.Logger
	cluster Cluster
	net     network
	others  others

	ready   chan struct{}
	changed chan struct{}
	wake    chan struct{}
	shot    atomic.Pointer[Snapshot]
	zone    zone

	mu   sync.Mutex
	want wishes // guarded by mu

	// What follows belongs to the goroutine of Run.
	got       wishes // what has been carried out
	conn      conn   // nil while the link is not open
	packets   chan received
	responder responder
	openAt    time.Time
	openPause time.Duration
	says      []statement     // one for each address, the stable one last; the zone answers with that
	said      map[string]bool // complaints about this link that were logged

	near   []netip.Prefix // the networks of the link
	nearAt time.Time      // when they were looked at

	schedule  schedule
	selfHeard time.Time
	unheard   int // announcements since one came back

	survey  survey
	inquiry inquiry
	asked   time.Time      // when the question under way was asked, zero when none is
	answers chan answer    // room for one
	parted  map[place]bool // boards that said goodbye since asked

	cache     cache
	published time.Time // when shot was made
	rejected  int       // packets and claims
	dirty     bool      // shot is out of date
	news      bool      // in a way that matters
}

// wishes is what the setters ask for.
type wishes struct {
	link   Link
	claim  peer.Claim
	asking bool
}

// network is the way out of the process. The functions are called by one goroutine, but ask by one of its own.
type network struct {
	open  func(Link) (conn, error)
	serve func(Link, *zone) (responder, error)
	ask   func(context.Context, Link) ([]found, error)
	local func(netip.Addr) (bool, error)     // whether an address is this machine's own
	near  func(Link) ([]netip.Prefix, error) // the networks that are reached without a router
}

// responder answers questions until it is shut down.
type responder interface{ Shutdown() error }

// received is a packet, or the error after which there are no more.
type received struct {
	packet
	err error
}

// New returns a service for a board of the cluster. It says and hears nothing before Run.
func New(cluster Cluster, l *zap.Logger) *Service {
	quiet := quietLogger(l)
	return newService(cluster, l, network{
		open:  openGroup,
		serve: func(link Link, z *zone) (responder, error) { return serve(link, z, quiet) },
		ask:   func(ctx context.Context, link Link) ([]found, error) { return query(ctx, link, quiet) },
		local: isLocal,
		near:  networks,
	})
}

func newService(cluster Cluster, l *zap.Logger, n network) *Service {
	s := &Service{
		log: l, cluster: cluster, net: n, others: others{until: map[group]time.Time{}},
		ready: make(chan struct{}), changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		said: map[string]bool{}, answers: make(chan answer, 1), parted: map[place]bool{}, cache: cache{},
	}
	s.shot.Store(&Snapshot{})
	return s
}

// Ready is closed when Run has begun to work, which does not mean that there is a link.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Changed has an element after hints came, changed or went, after the board heard itself for the first time on a link, and
// after a twin or another cluster came or went. Several such events make one element.
func (s *Service) Changed() <-chan struct{} { return s.changed }

// Snapshot returns what is known now. It belongs to the caller.
func (s *Service) Snapshot() Snapshot {
	shot := *s.shot.Load()
	shot.Hints, shot.Twins = slices.Clone(shot.Hints), slices.Clone(shot.Twins)
	return shot
}

// SetLink says where to announce and listen. The sockets are made anew when the link is another than before; the same link
// again costs nothing.
func (s *Service) SetLink(l Link) { s.wish(func(w *wishes) { w.link = l }) }

// SetClaim says what to announce. A change is announced at once, or a second after the previous announcement. Of c only the
// fields that are not marked "hello only" matter.
func (s *Service) SetClaim(c peer.Claim) { s.wish(func(w *wishes) { w.claim = c }) }

// SetAsking says whether to ask who is there, at once and then ever less often, up to once a minute. Boards are found
// without it, but up to a minute later.
func (s *Service) SetAsking(on bool) { s.wish(func(w *wishes) { w.asking = on }) }

// Nearby lists boards of other clusters that were heard in the last minutes, in order of serial.
func (s *Service) Nearby() []Neighbour { return s.others.nearby(time.Now()) }

// Stranger says that a board of another cluster was met in another way, so that its cluster counts.
func (s *Service) Stranger(c peer.Claim) {
	if !s.cluster.same(c) {
		s.others.note(c, time.Now())
		signal(s.wake)
	}
}

func (s *Service) wish(change func(*wishes)) {
	s.mu.Lock()
	old := s.want
	change(&s.want)
	same := s.want == old
	s.mu.Unlock()
	if !same {
		signal(s.wake)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then says goodbye and returns nil. It is called once.
func (s *Service) Run(ctx context.Context) error {
	close(s.ready)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.close()
			if !s.asked.IsZero() {
				<-s.answers
			}
			return nil
		case <-s.wake:
		case r := <-s.packets:
			if r.err != nil {
				s.broken(r.err, time.Now())
			} else {
				s.hear(r.packet, time.Now())
			}
		case a := <-s.answers:
			s.answered(a, time.Now())
		case <-timer.C:
		}
		timer.Reset(time.Until(s.turn(ctx, time.Now())))
	}
}

// turn does what is due at now, and returns when something is due next.
func (s *Service) turn(ctx context.Context, now time.Time) time.Time {
	s.adopt(now)
	if s.conn == nil && s.got.link != (Link{}) && !now.Before(s.openAt) {
		s.open(now)
	}
	speaks := func() bool { return s.conn != nil && len(s.says) > 0 }
	if speaks() && !now.Before(s.schedule.due) {
		s.announce(now)
	}
	asks := func() bool { return s.conn != nil && s.got.asking && s.asked.IsZero() }
	if asks() && !now.Before(s.inquiry.due) {
		s.ask(ctx, now)
	}
	surveys := func() bool { return s.conn != nil && s.got.asking && !s.survey.done() }
	if surveys() && !now.Before(s.survey.due) {
		s.inquire(now)
	}
	expiry, gone := s.cache.expire(now)
	if gone {
		s.dirty, s.news = true, true
	}
	if n := s.others.count(now); n != s.shot.Load().Others {
		s.dirty, s.news = true, true
	}
	s.publish(now)

	next := now.Add(idle)
	sooner := func(due bool, at time.Time) {
		if due && at.Before(next) {
			next = at
		}
	}
	sooner(!expiry.IsZero(), expiry)
	sooner(s.dirty, s.published.Add(crowdGap))
	sooner(s.conn == nil && s.got.link != (Link{}), s.openAt)
	sooner(speaks(), s.schedule.due)
	sooner(asks(), s.inquiry.due)
	sooner(surveys(), s.survey.due)
	return next
}

// adopt carries out what the setters asked for since the last turn.
func (s *Service) adopt(now time.Time) {
	s.mu.Lock()
	want := s.want
	s.mu.Unlock()
	if want == s.got {
		return
	}
	old := s.got
	s.got = want
	if want.link.socket() != old.link.socket() {
		s.close()
		clear(s.said)
		s.openAt, s.openPause, s.nearAt = now, 0, time.Time{}
		s.inquiry = inquiry{due: now}
		if !s.selfHeard.IsZero() {
			s.selfHeard, s.dirty = time.Time{}, true
		}
	}
	if want.asking && !old.asking {
		s.inquiry = inquiry{due: now}
	}
	if want.link != old.link || want.asking != old.asking {
		s.dirty = s.dirty || s.survey.link != Link{}
		s.survey = survey{due: now}
	}
	if want.claim.Serial != old.claim.Serial {
		s.dirty, s.news = true, true // hints of one serial are twins now, those of the other no more
	}
	s.state(now)
}

// state brings what we say in line with the claim and the link.
func (s *Service) state(now time.Time) {
	var next []statement
	if s.got.claim != (peer.Claim{}) {
		for _, addr := range s.got.link.addrs() {
			st, err := newStatement(s.got.claim, addr, s.cluster)
			if err != nil {
				s.complain(err.Error(), fmt.Sprintf("Nothing is announced: %v.", err))
				continue
			}
			next = append(next, st)
		}
	}
	if slices.Equal(s.says, next) {
		return
	}
	if len(s.says) > 0 && (len(next) == 0 || next[0].claim.Serial != s.says[0].claim.Serial) {
		s.farewell(s.says)
	}
	s.says = next
	if len(next) == 0 {
		s.zone.now.Store(nil)
	} else {
		s.zone.now.Store(&next[len(next)-1])
	}
	s.schedule.news(now)
}

// open opens the link; on an error it will be tried again, ever less often.
func (s *Service) open(now time.Time) {
	c, err := s.net.open(s.got.link)
	if err != nil {
		s.broken(err, now)
		return
	}
	r, err := s.net.serve(s.got.link, &s.zone)
	if err != nil {
		_ = c.Close() // nothing was written
		s.broken(err, now)
		return
	}
	s.conn, s.responder, s.packets, s.unheard = c, r, make(chan received), 0
	go receive(c, s.packets)
	s.schedule.news(now)
	s.log.Debug("The mDNS socket is open.",
		zap.String("interface", s.got.link.Name), zap.Stringers("addresses", s.got.link.addrs()))
}

// receive ends after an error, which c.Close makes; hangUp drains what is left.
func receive(c conn, packets chan<- received) {
	defer close(packets)
	for {
		p, err := c.Receive()
		packets <- received{p, err}
		if err != nil {
			return
		}
	}
}

// close says goodbye and closes the link, if it is open. What was heard is kept until it expires.
func (s *Service) close() {
	if s.conn == nil {
		return
	}
	s.zone.now.Store(nil) // the responder must not contradict the goodbye
	s.farewell(s.says)
	s.says = nil
	s.hangUp()
}

// farewell takes back what was announced. It is a courtesy: where it gets lost, the announcement expires.
func (s *Service) farewell(said []statement) {
	if len(said) == 0 || s.conn == nil {
		return
	}
	if err := s.send(said, statement.goodbye); err != nil {
		s.log.Debug("No goodbye was said.", zap.Error(err))
	}
}

// hangUp closes the link without a word, if it is open.
func (s *Service) hangUp() {
	if s.conn == nil {
		return
	}
	if err := s.responder.Shutdown(); err != nil {
		s.log.Debug("Closing the mDNS responder failed.", zap.Error(err))
	}
	if err := s.conn.Close(); err != nil {
		s.log.Debug("Closing the mDNS socket failed.", zap.Error(err))
	}
	for range s.packets { // until receive has ended
	}
	s.conn, s.packets, s.responder = nil, nil, nil
}

// broken gives the link up after an error, until a pause is over. One that works again after the first pause, as while the
// system exchanges addresses, is nothing to tell.
func (s *Service) broken(err error, now time.Time) {
	if s.openPause > 0 {
		s.complain(err.Error(),
			fmt.Sprintf("Other boards cannot be found by multicast on %s, trying again: %v.", s.got.link.Name, err))
	}
	s.hangUp()
	s.openPause = min(max(2*s.openPause, reopenFirst), reopenMax)
	s.openAt = now.Add(s.openPause)
}

// announce tells everybody what we say.
func (s *Service) announce(now time.Time) {
	if s.unheard >= deafAfter {
		s.broken(fmt.Errorf("own announcements do not come back, look for a firewall on UDP port %d", mdnsPort), now)
		return
	}
	if err := s.send(s.says, statement.announcement); err != nil {
		s.broken(err, now)
		return
	}
	s.unheard++
	s.schedule.sent(now)
}

// send sends a packet for each statement, from its address: whoever hears it takes the board to be where it comes from. It
// is enough when one can be sent, for the other address may be gone this moment.
func (s *Service) send(all []statement, packet func(statement) ([]byte, error)) error {
	var errs []error
	for _, st := range all {
		data, err := packet(st)
		if err == nil {
			err = s.conn.Send(data, st.addr)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(all) || len(all) == 0 {
		return nil
	}
	return unsent(errs)
}

// unsent is one error for all packets that could not be sent, most often for one cause.
func unsent(errs []error) error {
	var causes []string
	for _, err := range errs {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner
		}
		if !slices.Contains(causes, err.Error()) {
			causes = append(causes, err.Error())
		}
	}
	text := "announcements cannot be sent"
	if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, unix.EPERM) }) {
		text += fmt.Sprintf(", look for a firewall that drops what goes out to UDP port %d", mdnsPort)
	}
	return fmt.Errorf("%s: %s", text, strings.Join(causes, ", "))
}

// ask puts the question to the link, in a goroutine of its own.
func (s *Service) ask(ctx context.Context, now time.Time) {
	s.asked = now
	clear(s.parted)
	link := s.got.link
	go func() {
		all, err := s.net.ask(ctx, link)
		s.answers <- answer{link, all, err}
	}()
}

// inquire asks everybody to announce themselves, from each address of the link. Such a question needs no route, and what it
// brings comes from all addresses of a board: one that has no link-local address yet hears of the others at those that it
// reaches. It is put when there is an address at which nobody was asked yet, and once more, for the first may get lost.
func (s *Service) inquire(now time.Time) {
	if s.survey.asked == surveyTimes {
		s.survey.link, s.dirty, s.news = s.got.link, true, true
		return
	}
	s.survey.put(now)
	data, err := question()
	if err != nil { // it is always the same
		s.complain(err.Error(), fmt.Sprintf("Nobody is asked who is there: %v.", err))
		return
	}
	for _, addr := range s.got.link.addrs() {
		if err := s.conn.Send(data, addr); err != nil {
			s.log.Debug("Nobody was asked who is there from an address.", zap.Stringer("address", addr), zap.Error(err))
		}
	}
}

// answered takes the answers to a question. They are up to queryWait old: whatever a board has announced in the meantime,
// a goodbye for one, counts more.
func (s *Service) answered(a answer, now time.Time) {
	asked := s.asked
	s.asked = time.Time{}
	if a.link != s.got.link {
		return
	}
	s.inquiry.done(now)
	if a.err != nil {
		s.log.Debug("Nobody could be asked; announcements are heard all the same.", zap.Error(a.err))
	}
	for _, f := range a.found {
		at := f.place(f.addr)
		if s.parted[at] || len(s.parted) >= hintsMax /* some are not known */ || s.cache[at].Heard.After(asked) {
			continue
		}
		if f.serial == s.got.claim.Serial && s.isSelf(f.addr) {
			continue // our own responder; that says nothing of announcements
		}
		s.note(f.sighting, f.addr, now)
	}
}

// hear takes a packet from the link.
func (s *Service) hear(p packet, now time.Time) {
	if p.ttl != mdnsTTL || p.from.Port() != mdnsPort || !usable(p.from.Addr()) || !s.isNear(p.from.Addr(), now) {
		// From beyond the link, or a question to which the responder sends its answer directly.
		return
	}
	var msg dns.Msg
	if err := msg.Unpack(p.data); err != nil {
		s.reject(p.from.Addr(), err)
		return
	}
	if msg.Opcode != dns.OpcodeQuery || msg.Rcode != dns.RcodeSuccess { // RFC 6762 section 18
		return
	}
	if !msg.Response {
		if s.zone.wanted(&msg) {
			s.schedule.answer(now)
		}
		return
	}
	all, errs := sightings(&msg)
	for _, err := range errs {
		s.reject(p.from.Addr(), err)
	}
	for _, h := range all {
		if h.serial == s.got.claim.Serial && s.isSelf(p.from.Addr()) {
			s.hearSelf(h, now)
			continue
		}
		s.note(h, p.from.Addr(), now)
	}
}

func (s *Service) hearSelf(h sighting, now time.Time) {
	if h.ttl == 0 {
		return
	}
	s.news = s.news || s.selfHeard.IsZero()
	s.selfHeard, s.dirty = now, true
	s.unheard, s.openPause = 0, 0
}

// isSelf reports whether addr is this machine's. When that cannot be found out it is taken for ours: a twin that is missed
// now is heard again within a minute, one that is none keeps the board from its swarm.
func (s *Service) isSelf(addr netip.Addr) bool {
	if slices.Contains(s.got.link.addrs(), addr) {
		return true
	}
	local, err := s.net.local(addr)
	if err != nil {
		s.log.Debug("Own addresses are not known.", zap.Error(err))
		return true
	}
	return local
}

// isNear reports whether addr is on the link (RFC 6762 section 11). Whoever is there can send from any address, and must not
// make us speak to machines elsewhere. A link-local address (RFC 3927) is near by definition, also where we have none. When
// it cannot be found out, addr is taken for near.
func (s *Service) isNear(addr netip.Addr, now time.Time) bool {
	if addr.IsLinkLocalUnicast() {
		return true
	}
	if now.Sub(s.nearAt) >= nearAge {
		near, err := s.net.near(s.got.link)
		if err != nil {
			s.log.Debug("The networks of the link are not known.", zap.Error(err))
		}
		s.near, s.nearAt = near, now
	}
	return len(s.near) == 0 || slices.ContainsFunc(s.near, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// note files what was heard of another board, or of a twin.
func (s *Service) note(h sighting, addr netip.Addr, now time.Time) {
	nameOnly := h.claim == peer.Claim{} // a goodbye of another implementation
	switch {
	case slices.Contains(s.cluster.Deny, h.serial):
		return
	case !nameOnly && !s.cluster.same(h.claim):
		if h.ttl > 0 {
			s.others.note(h.claim, now)
		}
		return
	case (!nameOnly || s.cluster.Sign != nil) && !s.cluster.signed(h, addr):
		s.reject(addr, errForged)
		return
	}
	at := h.place(addr)
	if h.ttl == 0 {
		if len(s.parted) < hintsMax {
			s.parted[at] = true
		}
		if s.cache.remove(at) {
			s.dirty, s.news = true, true
		}
		return
	}
	fresh, changed, err := s.cache.put(h.hint(addr, now))
	if err != nil {
		s.reject(addr, err)
	}
	s.dirty, s.news = true, s.news || changed
	if fresh {
		s.schedule.answer(now) // a newcomer learns of us without asking
	}
}

// reject counts what was not taken. What a human can do something about is logged once.
func (s *Service) reject(addr netip.Addr, err error) {
	s.rejected++
	s.log.Debug("Ignored an mDNS packet or a part of it.", zap.Stringer("address", addr), zap.Error(err),
		zap.Int("ignored_so_far", s.rejected))
	switch {
	case errors.Is(err, errVersion):
		s.complain("version", fmt.Sprintf("A board at %s is left out: %v.", addr, err))
	case errors.Is(err, errFull):
		s.complain("full", fmt.Sprintf("Too many boards announce themselves; at most %d are followed at a time, %d at one address.",
			hintsMax, hintsPerAddr))
	}
}

// complain logs a warning, one of each kind for a link.
func (s *Service) complain(kind, text string) {
	if s.said[kind] || len(s.said) >= saidMax {
		return
	}
	s.said[kind] = true
	s.log.Warn(text)
}

// publish makes a new snapshot where there is something new, at the latest after crowdGap.
func (s *Service) publish(now time.Time) {
	if !s.dirty || len(s.cache) > crowd && now.Before(s.published.Add(crowdGap)) {
		return
	}
	hints, twins := s.cache.split(s.got.claim.Serial)
	s.shot.Store(&Snapshot{Hints: hints, SelfHeard: s.selfHeard, Twins: twins, Others: s.others.count(now), Asked: s.survey.link})
	s.published = now
	if s.news {
		signal(s.changed)
	}
	s.dirty, s.news = false, false
}
