// Package roster knows the other boards: who is named in the settings, remembered from last time, heard by multicast or
// told of by others, at which addresses, and what each has said last when it was asked. Being heard is a hint that
// anybody can forge; being met means that the board has proven to be of this cluster.
package roster

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
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Bounds of what is remembered and told.
const (
	// AskedAtOnce is how many hellos may be under way; invented boards keep each of them busy for a second.
	AskedAtOnce = 64

	// Max is how many addresses are remembered: whoever can send to the link can invent as many as the link has.
	Max = 256

	silentBurst = 8 // boards whose silence is told at once
)

// Contact is an address at which there may be a board.
type Contact struct {
	Addr     netip.AddrPort
	Since    time.Time  // when it became known
	Hint     peer.Claim // what was announced from there, a zero claim when nothing
	heard    time.Time  // when that was
	hintEnds time.Time
	hinted   time.Time // since when that board has been announced there

	Met      bool
	Answer   trust.Peer // its newest claim, valid when met
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
	Named    bool      // by the settings: it stays, and is asked in every state
	Recalled bool      // a board was met there before this one last started
	told     bool      // another board has named it
	expected time.Time // when it was last known that there must be a board, such as a manager that the engine knows
	Err      error     // of the newest ask; nil when it was answered
}

// Mute reports whether a board outside any swarm goes on announcing itself there, and has not said hello or answered
// for a while. One whose plug was pulled does neither.
func (c *Contact) Mute(now time.Time, tm timing.Timing) bool {
	return !c.Hint.State.InSwarm() && now.Before(c.hintEnds) && now.Sub(timing.Later(c.Since, c.lastMet)) >= tm.Hello &&
		(!c.Met || c.heard.Sub(c.lastMet) >= 2*tm.Ask)
}

// Roster is what the board knows of others: who was heard, who answered, whom to ask next. It is safe for concurrent
// use: the server reports boards that say hello while the loop asks.
type Roster struct {
	mu      sync.Mutex
	self    peer.Fingerprint
	timing  timing.Timing
	all     map[netip.AddrPort]*Contact
	lost    time.Time     // when one made way that had not been asked yet
	crowded bool          // more are announced than are asked at once: they may be invented, and are asked ever less often
	silent  *rate.Limiter // of what is told about boards that do not answer

	known []policy.Peer // all boards that were met, in order of serial; nil when that has to be found out anew
}

// New returns the roster of the board with this node key. It has met nobody yet.
func New(self peer.Fingerprint, t timing.Timing) *Roster {
	return &Roster{
		self: self, timing: t, all: map[netip.AddrPort]*Contact{},
		silent: rate.NewLimiter(rate.Every(t.SilentAgain), silentBurst),
	}
}

// at returns the contact for an address, making it when there is room. One at which nobody was met makes way. It may be
// nil.
func (r *Roster) at(addr netip.AddrPort, now time.Time) *Contact {
	c := r.all[addr]
	if c != nil {
		return c
	}
	if len(r.all) >= Max {
		for at, old := range r.all { // in random order
			if !old.Met && !old.asking && !old.Named {
				delete(r.all, at)
				if old.asked.IsZero() {
					r.lost = now
				}
				break
			}
		}
	}
	if len(r.all) >= Max {
		r.lost = now
		return nil
	}
	c = &Contact{Addr: addr, Since: now}
	r.all[addr] = c
	return c
}

// Heard takes in the announcements of boards. News about a board that was met makes it due to be asked. Where nobody
// has answered yet, news may be of boards that do not exist, and the address waits for its turn.
func (r *Roster) Heard(hints []discovery.Hint, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crowded = len(hints) > AskedAtOnce
	here := make(map[netip.AddrPort]bool, len(hints))
	for _, h := range hints {
		here[h.Addr] = true
		c := r.at(h.Addr, now)
		if c == nil {
			continue
		}
		if c.Hint.Serial != h.Claim.Serial || !now.Before(c.hintEnds) {
			c.hinted = now
		}
		if c.Met && c.Hint != h.Claim && (c.Answer.Claim.State != h.Claim.State || c.Answer.Claim.Swarm != h.Claim.Swarm) {
			c.next = timing.Later(now, c.asked.Add(r.timing.AskAgain))
			c.failures = 0
			r.known = nil
		}
		c.Hint, c.heard, c.hintEnds = h.Claim, h.Heard, h.Expires
	}
	for addr, c := range r.all {
		if now.Before(c.hintEnds) && !here[addr] {
			c.hintEnds = now // it has said goodbye
		}
	}
}

// Expect makes sure that an address is asked, for example a manager that only the engine knows of.
func (r *Roster) Expect(addr netip.AddrPort, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.at(addr, now); c != nil {
		c.expected = now
	}
}

// Reschedule makes contacts due now, as far as they were not asked in this second.
func (r *Roster) Reschedule(which func(*Contact) bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all {
		if which(c) {
			c.next = timing.Later(now, c.asked.Add(r.timing.AskAgain))
		}
	}
}

// Meet takes in a board that has answered, or that said hello by itself. It reports whether this is its first time, and
// whether it tells of a trouble that is news. What is older than what the board has said before is stale, and not taken
// in.
func (r *Roster) Meet(p trust.Peer, now time.Time) (first, trouble, stale bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Key == r.self {
		if c := r.all[p.Addr]; c != nil {
			c.Recalled = false // the address is this board's now
		}
		return false, false, false
	}
	before := r.board(p.Key)
	if before != nil && before.overtook(p.Claim, now, r.timing.Overtaken) {
		return false, false, true
	}
	c := r.at(p.Addr, now)
	if c == nil {
		return false, false, false
	}
	first = before == nil
	if first {
		c.firstMet, c.able = now, now
		if c.Hint.Serial == p.Claim.Serial && now.Before(c.hintEnds) {
			c.firstMet = c.hinted // it has been known of since then, and only been out of reach
		}
	} else {
		trouble = p.Claim.Trouble != before.Answer.Claim.Trouble
		c.firstMet, c.able = before.firstMet, before.able
		c.bootWas, c.booted = before.bootWas, before.booted
		if was := before.Answer.Claim; was.Boot != p.Claim.Boot && was.Serial == p.Claim.Serial {
			c.bootWas, c.booted = was.Boot, now
		}
		if before.Answer.Claim.State == peer.Waiting && p.Claim.State != peer.Waiting {
			c.able = now
		}
	}
	trouble = !p.Claim.Trouble.IsZero() && (first || trouble)
	c.Met, c.Answer, c.lastMet = true, p, now
	r.known = nil
	c.failures, c.reported, c.Err = 0, false, nil
	return first, trouble, false
}

// overtook reports whether what the board has said there last is newer than this claim of it. An agent that does not
// count is believed in the order in which it is heard, and so are two boards with one key and serial, but for a moment.
func (c *Contact) overtook(claim peer.Claim, now time.Time, within time.Duration) bool {
	last := c.Answer.Claim
	switch {
	case claim.Boot == 0 || last.Serial != claim.Serial:
		return false
	case claim.Boot == last.Boot:
		return claim.Said < last.Said
	}
	return claim.Boot == c.bootWas && now.Sub(c.booted) < within
}

// board is the contact at which the board with this key was met last, nil when it never was.
func (r *Roster) board(key peer.Fingerprint) (newest *Contact) {
	for _, c := range r.all {
		if c.Met && c.Answer.Key == key && (newest == nil || c.lastMet.After(newest.lastMet)) {
			newest = c
		}
	}
	return newest
}

// Due marks the contacts to ask now as being asked and returns their addresses, with the time until the next one is
// due. pace gives the time between two hellos to a contact; zero means that it need not be asked. While this board is
// electing, every contact is asked once at once.
func (r *Roster) Due(
	pace func(*Contact) time.Duration, proposed, now time.Time,
) (addrs []netip.AddrPort, next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next = r.timing.AskIn
	for _, c := range r.all {
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
		addrs = append(addrs, c.Addr)
	}
	return addrs, next
}

// Answers reports whether the newest ask there was answered.
func (r *Roster) Answers(addr netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.all[addr]
	return c != nil && c.Met && c.shut.IsZero() && !c.served.IsZero()
}

// Answered ends an ask that was begun at started. It reports the silence of a board that announces itself, once, unless
// that of many was reported or the board answers at another address.
func (r *Roster) Answered(addr netip.AddrPort, started, now time.Time, err error) (report bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.all[addr]
	if c == nil {
		return false
	}
	c.asking, c.asked, c.Err = false, started, err
	if err == nil || errors.Is(err, enroll.ErrRefused) || errors.Is(err, enroll.ErrNotPeer) {
		c.served, c.shut = started, time.Time{}
	} else if c.shut.IsZero() {
		c.shut = started
	}
	if err == nil {
		return false
	}
	if c.Met {
		r.known = nil // another of its addresses may be better
	}
	most := r.timing.AskAgainMax
	if c.pace == r.timing.Ask && now.Before(c.hintEnds) && !r.crowded {
		most = r.timing.AskUnreached
	}
	c.next = now.Add(min(r.timing.AskAgain<<min(c.failures, 10), most))
	c.failures++
	serial := cmp.Or(c.Hint.Serial, c.Answer.Claim.Serial)
	elsewhere := func(o *Contact) bool {
		return o != c && o.Met && o.Answer.Claim.Serial == serial && now.Sub(o.lastMet) < r.timing.Rival
	}
	forgotten := c.Recalled && !c.Named && !c.Met && c.Hint.Serial == ""
	if c.failures < 3 || c.reported || forgotten || slices.ContainsFunc(slices.Collect(maps.Values(r.all)), elsewhere) {
		return false
	}
	c.reported = r.silent.AllowN(now, 1)
	return c.reported
}

// Forget drops the contacts that are neither announced nor answering, nor must be there.
func (r *Roster) Forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for addr, c := range r.all {
		keep := r.timing.ForgetBlank
		if c.Met && c.Answer.Claim.State.InSwarm() {
			keep = r.timing.Remembered
		}
		if c.Named || c.Recalled && !c.Met && c.failures < recallAsks {
			continue
		}
		news := timing.Later(timing.Later(c.Since, c.expected), timing.Later(c.lastMet, c.hintEnds))
		if !c.asking && now.Sub(news) >= keep {
			delete(r.all, addr)
			r.known = nil
		}
	}
}

// Peers returns the verified boards in order of serial, those with the serial of this board apart. A board that answers
// at several addresses counts once.
func (r *Roster) Peers(self peer.Serial) (others, duplicates []policy.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = r.boards()
	}
	others = make([]policy.Peer, 0, len(r.known))
	for _, p := range r.known {
		if p.Claim.Serial == self {
			duplicates = append(duplicates, p)
		} else {
			others = append(others, p)
		}
	}
	return others, duplicates
}

// boards are all boards that were met.
func (r *Roster) boards() []policy.Peer {
	at := map[peer.Fingerprint][]*Contact{}
	for _, c := range r.all {
		if c.Met {
			at[c.Answer.Key] = append(at[c.Answer.Key], c)
		}
	}
	all := make([]policy.Peer, 0, len(at))
	for key, at := range at {
		newest := r.board(key)
		p := policy.Peer{Claim: newest.Answer.Claim, Key: newest.Answer.Key, Met: newest.lastMet, Able: newest.able}
		p.Addr = slices.MinFunc(at, func(a, b *Contact) int { return r.better(a, b, newest.lastMet) }).Addr
		for _, c := range at {
			p.Addrs = append(p.Addrs, c.Addr.Addr())
		}
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return cmp.Or(cmp.Compare(a.Claim.Serial, b.Claim.Serial), a.Addr.Compare(b.Addr)) < 0
	})
	return all
}

// better orders two addresses of one board that was last met at newest, the one to use first: one that answers, then
// one that a person knows it by rather than a link-local one, then the one that answered last.
func (r *Roster) better(a, b *Contact, newest time.Time) int {
	silent := func(c *Contact) bool { return c.failures > 0 || newest.Sub(c.lastMet) >= r.timing.Rival }
	order := func(last bool) int {
		if last {
			return 1
		}
		return 0
	}
	return cmp.Or(
		order(silent(a))-order(silent(b)),
		order(a.Addr.Addr().IsLinkLocalUnicast())-order(b.Addr.Addr().IsLinkLocalUnicast()),
		b.lastMet.Compare(a.lastMet),
		a.Addr.Compare(b.Addr))
}

// Newest is when the most recently met board was first met.
func (r *Roster) Newest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var at time.Time
	for _, c := range r.all {
		at = timing.Later(at, c.firstMet)
	}
	return at
}

// Unasked counts the contacts whose newest answer, or silence, is older than proposed. Those that became known more
// than Timing.AskFirst later do not count: a few invented boards could hold the election up for ever. More than can be
// asked do hold it up: a board of ours may be among those that made way, and no swarm is better than two.
func (r *Roster) Unasked(proposed time.Time) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all {
		if c.asked.Before(proposed) && c.Since.Sub(proposed) <= r.timing.AskFirst {
			n++
		}
	}
	if !r.lost.Before(proposed) {
		n++
	}
	return n
}

// Failing reports whether the newest ask was in vain.
func (c *Contact) Failing() bool { return c.failures > 0 }
