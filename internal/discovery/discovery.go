// Package discovery finds the other boards on the link, and lets them find this one: DNS-SD (RFC 6763) over multicast
// DNS (RFC 6762). Each board is an instance of the service _pi-agent._tcp.local. What is found are hints; whether they
// are true is asked over enroll.
//
// Announcements, questions and the answers to them go over one socket (socket.go), at a pace that keeps the traffic in
// proportion to the number of boards (schedule.go). Its records, and the answers to one-shot questions, are those of
// hashicorp/mdns (responder.go).
package discovery

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// Hint is what somebody at Addr announced: a claim and an address, never trusted.
type Hint struct {
	Claim          peer.Claim     // valid, with the announced fields only
	Addr           netip.AddrPort // where the packet came from, and the announced port
	Heard, Expires time.Time      // when it was heard last, and when it ceases to hold unless it is heard again
}

// Snapshot is what is known at one moment.
type Snapshot struct {
	Hints []Hint // of other boards, sorted by serial and address; a board heard from two addresses has two
	// SelfHeard is when our own announcement last came back through the network stack; zero is never on this link.
	SelfHeard  time.Time
	Duplicates []netip.Addr // other addresses that announce our own serial, sorted
	Others     int          // other clusters that were heard in the last minutes
	// Asked is the link at all addresses of which it was asked, since SetAsking, who is there, and the answers are in.
	Asked address.Link
}

// Service announces this board and keeps what other boards announce. Its methods never block, except Run, and may be
// called by many goroutines at once, also before and after Run.
type Service struct {
	cluster Cluster
	log     *zap.Logger
	net     network
	ready   chan struct{}
	wishes  wishes
	others  others
	shown   shown
}

// New returns a service for a board of the cluster. It says and hears nothing before Run.
func New(cluster Cluster, l *zap.Logger) *Service {
	return newService(cluster, l, network{open: openGroup, serve: respond(l), local: address.Kernel{}.Has, near: networks})
}

func newService(cluster Cluster, l *zap.Logger, n network) *Service {
	s := &Service{
		cluster: cluster, log: l, net: n, ready: make(chan struct{}),
		wishes: wishes{woken: make(chan struct{}, 1)},
		others: others{until: map[group]time.Time{}, seen: map[peer.Serial]sighting{}},
		shown:  shown{changed: make(chan struct{}, 1)},
	}
	s.shown.shot.Store(&Snapshot{})
	return s
}

// Ready is closed when Run has begun to work, which does not mean that there is a link.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Changed has an element after hints came, changed or went, after the board heard itself for the first time on a link,
// and after a duplicate or another cluster came or went. Several such events make one element.
func (s *Service) Changed() <-chan struct{} { return s.shown.changed }

// Snapshot returns what is known now. It belongs to the caller.
func (s *Service) Snapshot() Snapshot {
	shot := *s.shown.shot.Load()
	shot.Hints, shot.Duplicates = slices.Clone(shot.Hints), slices.Clone(shot.Duplicates)
	return shot
}

// SetLink says where to announce and listen. The sockets are made anew when the link is another than before; the same
// link again costs nothing.
func (s *Service) SetLink(l address.Link) { s.wishes.change(func(w *wish) { w.link = l }) }

// SetClaim says what to announce. A change is announced at once, or a second after the previous announcement. Of c only
// the fields that are announced matter.
func (s *Service) SetClaim(c peer.Claim) { s.wishes.change(func(w *wish) { w.claim = c }) }

// SetAsking says whether to ask who is there, at once and then ever less often, up to once a minute. Boards are found
// without it, but up to a minute later.
func (s *Service) SetAsking(on bool) { s.wishes.change(func(w *wish) { w.asking = on }) }

// Nearby lists boards of other clusters that were heard in the last minutes, in order of serial.
func (s *Service) Nearby() []Neighbour { return s.others.nearby(time.Now()) }

// Stranger says that a board of another cluster was met in another way, so that its cluster counts.
func (s *Service) Stranger(c peer.Claim) {
	if !s.cluster.same(c) {
		s.others.note(c, time.Now())
		signal(s.wishes.woken)
	}
}

// Run works until ctx ends, then says goodbye and returns nil. It is called once.
func (s *Service) Run(ctx context.Context) error {
	r := s.runner()
	close(s.ready)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.leave()
			return nil
		case <-s.wishes.woken:
		case p := <-r.transport.packets:
			r.receive(p, time.Now())
		case <-timer.C:
		}
		timer.Reset(time.Until(r.turn(time.Now())))
	}
}

// wish is what the setters ask for.
type wish struct {
	link   address.Link
	claim  peer.Claim
	asking bool
}

// wishes passes a wish on to the goroutine of Run.
type wishes struct {
	mu    sync.Mutex
	want  wish
	woken chan struct{} // has an element after a change
}

func (w *wishes) change(change func(*wish)) {
	w.mu.Lock()
	old := w.want
	change(&w.want)
	same := w.want == old
	w.mu.Unlock()
	if !same {
		signal(w.woken)
	}
}

func (w *wishes) get() wish {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.want
}

// shown is what callers see.
type shown struct {
	shot    atomic.Pointer[Snapshot]
	changed chan struct{}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
