package discovery

// This file is the loop of Service.Run: it announces, asks, hears, and shows what it knows.

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
)

const (
	crowd    = 64                    // hints above which a snapshot takes longer to make than a packet to read
	crowdGap = 20 * time.Millisecond // least time between two such snapshots
	idle     = time.Hour             // sleep when nothing is due
)

// runner is the state of Run, whose goroutine owns it and its parts: it carries out the wishes, hears what others say,
// and shows what it knows.
type runner struct {
	*Service
	journal   journal
	got       wish // the wish that has been carried out
	transport transport
	onLink    onLink
	ours      []announcement // one for each address, the stable one last
	zone      zone           // answers with the last of ours
	schedule  schedule
	inquiry   inquiry
	cache     cache
	draft     draft
}

// draft is what is to be shown next.
type draft struct {
	selfHeard time.Time
	stale     bool // what is shown is out of date,
	news      bool // in a way that callers wait for
	shown     time.Time
}

// change notes that what is shown is out of date.
func (d *draft) change(news bool) { d.stale, d.news = true, d.news || news }

func (s *Service) runner() *runner {
	return &runner{Service: s, journal: journal{log: s.log, told: map[told]bool{}}, cache: cache{}}
}

// turn does what is due at now, and returns when something is due next.
func (r *runner) turn(now time.Time) time.Time {
	r.adopt(now)
	if due(r.opens(), now) {
		r.open(now)
	}
	if due(r.announces(), now) {
		r.announce(now)
	}
	if due(r.asks(), now) {
		r.ask(now)
	}
	expires, gone := r.cache.expire(now)
	if gone || r.others.count(now) != r.shown.shot.Load().Others {
		r.draft.change(true)
	}
	r.show(now)
	return earliest(now.Add(idle), r.opens(), r.announces(), r.asks(), expires, r.shows())
}

// When something is to be done next. The zero time is never.

func (r *runner) opens() (at time.Time) {
	if !r.transport.isOpen() && r.got.link != (address.Link{}) {
		at = r.transport.reopen
	}
	return at
}

func (r *runner) announces() (at time.Time) {
	if r.transport.isOpen() && len(r.ours) > 0 {
		at = r.schedule.due
	}
	return at
}

func (r *runner) asks() (at time.Time) {
	if r.transport.isOpen() && r.got.asking {
		at = earliest(r.inquiry.due, r.inquiry.answers)
	}
	return at
}

func (r *runner) shows() (at time.Time) {
	if r.draft.stale {
		at = r.draft.shown.Add(crowdGap)
	}
	return at
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

func earliest(times ...time.Time) (first time.Time) {
	for _, at := range times {
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// adopt carries out what the setters asked for since the last turn.
func (r *runner) adopt(now time.Time) {
	want, old := r.wishes.get(), r.got
	if want == old {
		return
	}
	r.got = want
	if socketFor(want.link) != socketFor(old.link) {
		r.leave()
		clear(r.journal.told)
		r.transport, r.onLink = transport{reopen: now}, onLink{}
		if !r.draft.selfHeard.IsZero() {
			r.draft.selfHeard = time.Time{}
			r.draft.change(false)
		}
	}
	if want.link != old.link || want.asking != old.asking {
		if r.inquiry.asked != (address.Link{}) {
			r.draft.change(false)
		}
		r.inquiry = inquiry{due: now}
	}
	if want.claim.Serial != old.claim.Serial {
		r.draft.change(true) // hints of one serial are duplicates now, those of the other no more
	}
	r.state(now)
}

// socketFor is what a socket is opened for: it stays as it is when a second address comes or goes.
func socketFor(l address.Link) address.Link {
	if l.Addr.IsValid() {
		l.Stable = netip.Addr{}
	}
	return l
}

// state brings what we announce in line with the claim and the link.
func (r *runner) state(now time.Time) {
	var next []announcement
	if r.got.claim != (peer.Claim{}) {
		for _, addr := range r.got.link.Addrs() {
			a, err := newAnnouncement(r.got.claim, addr, r.cluster)
			if err != nil {
				r.journal.once(notAnnounced, err, "Nothing is announced: %v.", err)
				continue
			}
			next = append(next, a)
		}
	}
	if slices.EqualFunc(r.ours, next, announcement.same) {
		return
	}
	if len(r.ours) > 0 && (len(next) == 0 || next[0].claim.Serial != r.ours[0].claim.Serial) {
		r.farewell()
	}
	r.ours = next
	if len(next) == 0 {
		r.zone.service.Store(nil)
	} else {
		r.zone.service.Store(next[len(next)-1].records)
	}
	r.schedule.news(now)
}

// open opens the link.
func (r *runner) open(now time.Time) {
	if err := r.transport.open(r.net, r.got.link, &r.zone); err != nil {
		r.broken(notOpened, err, now)
		return
	}
	r.schedule.news(now)
	r.log.Debug("The mDNS socket is open.",
		zap.String("interface", r.got.link.Name), zap.Stringers("addresses", r.got.link.Addrs()))
}

// leave says goodbye and closes the link, if it is open. What was heard is kept until it expires.
func (r *runner) leave() {
	if !r.transport.isOpen() {
		return
	}
	r.zone.service.Store(nil) // the responder must not contradict the goodbye
	r.farewell()
	r.ours = nil
	r.transport.close(r.log)
}

// farewell sends the goodbyes. They are a courtesy: where one gets lost, the announcement expires.
func (r *runner) farewell() {
	if !r.transport.isOpen() {
		return
	}
	if err := r.transport.send(r.ours, announcement.goodbye); err != nil {
		r.log.Debug("The goodbye could not be sent.", zap.Error(err))
	}
}

// broken gives the link up after an error, until a pause is over. One that works again after the first pause, as it
// does while the system replaces an address, is not worth a warning.
func (r *runner) broken(what trouble, err error, now time.Time) {
	if r.transport.pause > 0 {
		r.journal.once(what, err, "Other boards cannot be found by multicast on %s, trying again: %v.", r.got.link.Name, err)
	}
	r.transport.close(r.log)
	r.transport.backOff(now)
}

// announce tells everybody what we say.
func (r *runner) announce(now time.Time) {
	if r.transport.unheard >= deafAfter {
		err := fmt.Errorf("own announcements do not come back, look for a firewall on UDP port %d", mdnsPort)
		r.broken(notHeard, err, now)
		return
	}
	if err := r.transport.send(r.ours, announcement.pack); err != nil {
		r.broken(notSent, err, now)
		return
	}
	r.transport.unheard++
	r.schedule.sent(now)
}

// ask asks who is there, which needs no route. The first questions are a survey: they come from each address of the
// link, and without known answers, so that everybody announces itself at all of its addresses. For the others one
// address will do, and the stable one is on everybody's link.
func (r *runner) ask(now time.Time) {
	if due(r.inquiry.answers, now) {
		r.inquiry.answered(r.got.link)
		r.draft.change(true)
	}
	if !due(r.inquiry.due, now) {
		return
	}
	var known []dns.RR
	addrs := r.got.link.Addrs()
	if r.inquiry.put >= surveyTimes {
		addrs = addrs[len(addrs)-1:]
		if len(r.ours) > 0 {
			known = append(known, pointer(r.ours[0].claim.Serial, recordTTL)) // our own answer is of no use to us
		}
		known = append(known, r.cache.known(r.got.claim.Serial, now)...)
	}
	r.inquiry.ask(now)
	data, err := question(known)
	if err != nil {
		r.log.Debug("The question cannot be packed.", zap.Error(err))
		return
	}
	for _, addr := range addrs {
		if err := r.transport.conn.Send(data, addr); err != nil {
			r.log.Debug("The question could not be sent from one address.", zap.Stringer("address", addr), zap.Error(err))
		}
	}
}

// receive takes what the socket gave.
func (r *runner) receive(p received, now time.Time) {
	if p.err != nil {
		r.broken(notReceived, p.err, now)
		return
	}
	r.hear(p.packet, now)
}

// hear takes a packet from the link: a question, or a response, which is somebody's announcement.
func (r *runner) hear(p packet, now time.Time) {
	from := p.from.Addr()
	if p.ttl != mdnsTTL || p.from.Port() != mdnsPort || !usable(from) {
		return // from beyond the link, or a one-shot question, which is the responder's
	}
	if !r.onLink.has(from, r.got.link, r.net, r.log, now) {
		return
	}
	var msg dns.Msg
	if err := msg.Unpack(p.data); err != nil {
		r.journal.ignore(from, err)
		return
	}
	if msg.Opcode != dns.OpcodeQuery || msg.Rcode != dns.RcodeSuccess { // RFC 6762 section 18
		return
	}
	if !msg.Response {
		if r.zone.wanted(&msg) {
			r.schedule.answer(now)
		}
		return
	}
	all, errs := instances(&msg)
	for _, err := range errs {
		r.journal.ignore(from, err)
	}
	for _, i := range all {
		if i.serial == r.got.claim.Serial && r.isSelf(from) {
			r.hearSelf(i, now)
			continue
		}
		r.note(i, from, now)
	}
}

func (r *runner) hearSelf(i instance, now time.Time) {
	if i.ttl == 0 {
		return
	}
	r.draft.change(r.draft.selfHeard.IsZero())
	r.draft.selfHeard = now
	r.transport.heard()
}

// isSelf reports whether addr is this machine's. When that cannot be found out it is taken for ours: a duplicate that
// is missed now is heard again within a minute, one that is none keeps the board from its swarm.
func (r *runner) isSelf(addr netip.Addr) bool {
	if slices.Contains(r.got.link.Addrs(), addr) {
		return true
	}
	local, err := r.net.local(addr)
	if err != nil {
		r.log.Debug("The addresses of this board cannot be listed.", zap.Error(err))
		return true
	}
	return local
}

// note files what was heard of another board, or of a duplicate.
func (r *runner) note(i instance, from netip.Addr, now time.Time) {
	nameOnly := i.claim == peer.Claim{} // the goodbye of another implementation
	switch {
	case slices.Contains(r.cluster.Deny, i.serial):
		return
	case !nameOnly && !r.cluster.same(i.claim):
		if i.ttl > 0 {
			r.others.note(i.claim, now)
		}
		return
	case (!nameOnly || r.cluster.Sign != nil) && !r.cluster.signed(i, from):
		r.journal.ignore(from, errForged)
		return
	case i.ttl == 0:
		if r.cache.remove(origin{i.serial, from}) {
			r.draft.change(true)
		}
		return
	}
	fresh, news, err := r.cache.put(i.hint(from, now))
	if err != nil {
		r.journal.ignore(from, err)
	}
	r.draft.change(news)
	if fresh {
		r.schedule.answer(now) // a newcomer learns of us without asking
	}
}

// show makes a new snapshot where there is something new, at the latest after crowdGap.
func (r *runner) show(now time.Time) {
	if !r.draft.stale || len(r.cache) > crowd && now.Before(r.shows()) {
		return
	}
	hints, duplicates := r.cache.split(r.got.claim.Serial)
	r.shown.shot.Store(&Snapshot{
		Hints: hints, SelfHeard: r.draft.selfHeard, Duplicates: duplicates, Others: r.others.count(now),
		Asked: r.inquiry.asked,
	})
	if r.draft.news {
		signal(r.shown.changed)
	}
	r.draft = draft{selfHeard: r.draft.selfHeard, shown: now}
}
