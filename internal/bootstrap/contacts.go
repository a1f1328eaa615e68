package bootstrap

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Bounds of what is remembered and told.
const (
	contactMax  = 256 // addresses remembered: whoever can send to the link can invent as many as the link has
	silentBurst = 8   // boards whose silence is told at once;
)

// contact is an address at which there may be a board.
type contact struct {
	addr     netip.AddrPort
	since    time.Time  // when it became known
	hint     peer.Claim // what was announced from there, a zero claim when nothing
	heard    time.Time  // when that was
	hintEnds time.Time
	hinted   time.Time // since when that board has been announced there

	met      bool
	answer   enroll.Peer // its newest claim, valid when met
	firstMet time.Time
	bootWas  uint64    // that of the agent before the one that answers,
	booted   time.Time // which was first heard of then
	lastMet  time.Time
	able     time.Time

	asking   bool
	asked    time.Time     // start of the newest ask that has ended
	next     time.Time     // not before
	pace     time.Duration // between two asks, as it was when the newest one began
	served   time.Time     // start of the newest ask that was answered, be it with a refusal
	shut     time.Time     // since when no ask has been answered; zero when the newest was, or none has ended
	failures int
	reported bool      // its silence was logged
	named    bool      // by the settings: it stays, and is asked in every state
	recalled bool      // a board was met there before this one last started
	told     bool      // another board has named it
	expected time.Time // when it was last known that there must be a board, such as a manager that the engine knows
	err      error     // of the newest ask; nil when it was answered
}

// mute reports whether a board outside any swarm goes on announcing itself there, and has not said hello or answered for a
// while. One whose plug was pulled does neither.
func (c *contact) mute(now time.Time, t timing.Timing) bool {
	return !c.hint.State.InSwarm() && now.Before(c.hintEnds) && now.Sub(timing.Later(c.since, c.lastMet)) >= t.Hello &&
		(!c.met || c.heard.Sub(c.lastMet) >= 2*t.Ask)
}

// contacts is what the board knows of others: who was heard, who answered, whom to ask next. It is safe for concurrent
// use: the server reports boards that say hello while the loop asks.
type contacts struct {
	mu      sync.Mutex
	self    enroll.Fingerprint
	timing  timing.Timing
	all     map[netip.AddrPort]*contact
	lost    time.Time     // when one made way that had not been asked yet
	crowded bool          // more are announced than are asked at once: they may be invented, and are asked ever less often
	silent  *rate.Limiter // of what is told about boards that do not answer

	known []policy.Peer // all boards that were met, in order of serial; nil when that has to be found out anew
}

func newContacts(self enroll.Fingerprint, t timing.Timing) *contacts {
	return &contacts{
		self: self, timing: t, all: map[netip.AddrPort]*contact{},
		silent: rate.NewLimiter(rate.Every(t.SilentAgain), silentBurst),
	}
}

// at returns the contact for an address, making it when there is room. One at which nobody was met makes way. It may be nil.
func (t *contacts) at(addr netip.AddrPort, now time.Time) *contact {
	c := t.all[addr]
	if c != nil {
		return c
	}
	if len(t.all) >= contactMax {
		for at, old := range t.all { // in an order by chance
			if !old.met && !old.asking && !old.named {
				delete(t.all, at)
				if old.asked.IsZero() {
					t.lost = now
				}
				break
			}
		}
	}
	if len(t.all) >= contactMax {
		t.lost = now
		return nil
	}
	c = &contact{addr: addr, since: now}
	t.all[addr] = c
	return c
}

// heard takes in the announcements of boards. News about a board that was met makes it due to be asked. Where nobody has
// answered yet, news may be of boards that do not exist, and the address waits for its turn.
func (t *contacts) heard(hints []discovery.Hint, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.crowded = len(hints) > asksAtOnce
	here := make(map[netip.AddrPort]bool, len(hints))
	for _, h := range hints {
		here[h.Addr] = true
		c := t.at(h.Addr, now)
		if c == nil {
			continue
		}
		if c.hint.Serial != h.Claim.Serial || !now.Before(c.hintEnds) {
			c.hinted = now
		}
		if c.met && c.hint != h.Claim && (c.answer.Claim.State != h.Claim.State || c.answer.Claim.Swarm != h.Claim.Swarm) {
			c.next = timing.Later(now, c.asked.Add(t.timing.AskAgain))
			c.failures = 0
			t.known = nil
		}
		c.hint, c.heard, c.hintEnds = h.Claim, h.Heard, h.Expires
	}
	for addr, c := range t.all {
		if now.Before(c.hintEnds) && !here[addr] {
			c.hintEnds = now // it has said goodbye
		}
	}
}

// expect makes sure that an address is asked, for example a manager that only the engine knows of.
func (t *contacts) expect(addr netip.AddrPort, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.at(addr, now); c != nil {
		c.expected = now
	}
}

// hurry makes contacts due now, as far as they were not asked in this second.
func (t *contacts) hurry(which func(*contact) bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if which(c) {
			c.next = timing.Later(now, c.asked.Add(t.timing.AskAgain))
		}
	}
}

// meet takes in a board that has answered, or that said hello by itself. It reports whether this is its first time, and
// whether it tells of a trouble that is news. What is older than what the board has said before is stale, and not taken in.
func (t *contacts) meet(p enroll.Peer, now time.Time) (first, trouble, stale bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Key == t.self {
		if c := t.all[p.Addr]; c != nil {
			c.recalled = false // the address is this board's now
		}
		return false, false, false
	}
	before := t.board(p.Key)
	if before != nil && before.overtook(p.Claim, now, t.timing.Overtaken) {
		return false, false, true
	}
	c := t.at(p.Addr, now)
	if c == nil {
		return false, false, false
	}
	first = before == nil
	if first {
		c.firstMet, c.able = now, now
		if c.hint.Serial == p.Claim.Serial && now.Before(c.hintEnds) {
			c.firstMet = c.hinted // it has been known of since then, and only been out of reach
		}
	} else {
		trouble = p.Claim.Trouble != before.answer.Claim.Trouble
		c.firstMet, c.able = before.firstMet, before.able
		c.bootWas, c.booted = before.bootWas, before.booted
		if was := before.answer.Claim; was.Boot != p.Claim.Boot && was.Serial == p.Claim.Serial {
			c.bootWas, c.booted = was.Boot, now
		}
		if before.answer.Claim.State == peer.Waiting && p.Claim.State != peer.Waiting {
			c.able = now
		}
	}
	trouble = p.Claim.Trouble != "" && (first || trouble)
	c.met, c.answer, c.lastMet = true, p, now
	t.known = nil
	c.failures, c.reported, c.err = 0, false, nil
	return first, trouble, false
}

// overtook reports whether what the board has said there last is newer than this claim of it. An agent that does not count is
// believed in the order in which it is heard, and so are two boards with one key and serial, but for a moment.
func (c *contact) overtook(claim peer.Claim, now time.Time, within time.Duration) bool {
	last := c.answer.Claim
	switch {
	case claim.Boot == 0 || last.Serial != claim.Serial:
		return false
	case claim.Boot == last.Boot:
		return claim.Said < last.Said
	}
	return claim.Boot == c.bootWas && now.Sub(c.booted) < within
}

// board is the contact at which the board with this key was met last, nil when it never was.
func (t *contacts) board(key enroll.Fingerprint) (newest *contact) {
	for _, c := range t.all {
		if c.met && c.answer.Key == key && (newest == nil || c.lastMet.After(newest.lastMet)) {
			newest = c
		}
	}
	return newest
}

// due marks the contacts to ask now as being asked and returns their addresses, with the time until the next one is due.
// pace gives the time between two hellos to a contact; zero means that it need not be asked. While this board is electing,
// every contact is asked once at once.
func (t *contacts) due(pace func(*contact) time.Duration, proposed, now time.Time) (addrs []netip.AddrPort, next time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next = t.timing.AskIn
	for _, c := range t.all {
		pace := pace(c)
		if c.asking || pace == 0 {
			continue
		}
		if elect := !proposed.IsZero() && c.asked.Before(proposed); !elect && now.Before(c.next) {
			next = min(next, c.next.Sub(now))
			continue
		}
		c.asking, c.pace = true, pace
		c.next = now.Add(pace)
		addrs = append(addrs, c.addr)
	}
	return addrs, next
}

// answers reports whether the newest ask there was answered.
func (t *contacts) answers(addr netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.all[addr]
	return c != nil && c.met && c.shut.IsZero() && !c.served.IsZero()
}

// answered ends an ask that was begun at started. It reports the silence of a board that announces itself, once, unless
// that of many was reported or the board answers at another address.
func (t *contacts) answered(addr netip.AddrPort, started, now time.Time, err error) (report bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.all[addr]
	if c == nil {
		return false
	}
	c.asking, c.asked, c.err = false, started, err
	if err == nil || errors.Is(err, enroll.ErrRefused) || errors.Is(err, enroll.ErrNotPeer) {
		c.served, c.shut = started, time.Time{}
	} else if c.shut.IsZero() {
		c.shut = started
	}
	if err == nil {
		return false
	}
	if c.met {
		t.known = nil // another of its addresses may be better
	}
	most := t.timing.AskAgainMax
	if c.pace == t.timing.Ask && now.Before(c.hintEnds) && !t.crowded {
		most = t.timing.AskUnreached
	}
	c.next = now.Add(min(t.timing.AskAgain<<min(c.failures, 10), most))
	c.failures++
	elsewhere := func(o *contact) bool {
		return o != c && o.met && o.answer.Claim.Serial == cmp.Or(c.hint.Serial, c.answer.Claim.Serial) && now.Sub(o.lastMet) < t.timing.Rival
	}
	forgotten := c.recalled && !c.named && !c.met && c.hint.Serial == ""
	if c.failures < 3 || c.reported || forgotten || slices.ContainsFunc(slices.Collect(maps.Values(t.all)), elsewhere) {
		return false
	}
	c.reported = t.silent.AllowN(now, 1)
	return c.reported
}

// forget drops the contacts that are neither announced nor answering, nor must be there.
func (t *contacts) forget(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for addr, c := range t.all {
		keep := t.timing.ForgetBlank
		if c.met && c.answer.Claim.State.InSwarm() {
			keep = t.timing.Remembered
		}
		if c.named || c.recalled && !c.met && c.failures < recallAsks {
			continue
		}
		if news := timing.Later(timing.Later(c.since, c.expected), timing.Later(c.lastMet, c.hintEnds)); !c.asking && now.Sub(news) >= keep {
			delete(t.all, addr)
			t.known = nil
		}
	}
}

// peers returns the verified boards in order of serial, those with the serial of this board apart. A board that answers
// at several addresses counts once.
func (t *contacts) peers(self peer.Serial) (others, twins []policy.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = t.boards()
	}
	others = make([]policy.Peer, 0, len(t.known))
	for _, p := range t.known {
		if p.Claim.Serial == self {
			twins = append(twins, p)
		} else {
			others = append(others, p)
		}
	}
	return others, twins
}

// boards are all boards that were met.
func (t *contacts) boards() []policy.Peer {
	at := map[enroll.Fingerprint][]*contact{}
	for _, c := range t.all {
		if c.met {
			at[c.answer.Key] = append(at[c.answer.Key], c)
		}
	}
	all := make([]policy.Peer, 0, len(at))
	for key, at := range at {
		newest := t.board(key)
		p := policy.Peer{Claim: newest.answer.Claim, Key: newest.answer.Key, Met: newest.lastMet, Able: newest.able}
		p.Addr = slices.MinFunc(at, func(a, b *contact) int { return t.better(a, b, newest.lastMet) }).addr
		for _, c := range at {
			p.Addrs = append(p.Addrs, c.addr.Addr())
		}
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return cmp.Or(cmp.Compare(a.Claim.Serial, b.Claim.Serial), a.Addr.Compare(b.Addr)) < 0
	})
	return all
}

// better orders two addresses of one board that was last met at newest, the one to use first: one that answers, then one
// that a person knows it by rather than a link-local one, then the one that answered last.
func (t *contacts) better(a, b *contact, newest time.Time) int {
	silent := func(c *contact) bool { return c.failures > 0 || newest.Sub(c.lastMet) >= t.timing.Rival }
	order := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(
		order(silent(a))-order(silent(b)),
		order(a.addr.Addr().IsLinkLocalUnicast())-order(b.addr.Addr().IsLinkLocalUnicast()),
		b.lastMet.Compare(a.lastMet),
		a.addr.Compare(b.addr))
}

// newest is when the most recently met board was first met.
func (t *contacts) newest() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var at time.Time
	for _, c := range t.all {
		at = timing.Later(at, c.firstMet)
	}
	return at
}

// unasked counts the contacts whose newest answer, or silence, is older than proposed. Those that became known more than
// electOpen later do not count: a few invented boards could hold the election up for ever. More than can be asked do hold
// it up, for a board of ours may be among those that made way, and better no swarm than two.
func (t *contacts) unasked(proposed time.Time) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if c.asked.Before(proposed) && c.since.Sub(proposed) <= t.timing.AskFirst {
			n++
		}
	}
	if !t.lost.Before(proposed) {
		n++
	}
	return n
}
