package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// world is a LAN of boards that run the real Loop in virtual time. Only what is below the loop is simulated: the network,
// and through swarm.Fake the engines.
type world struct {
	rnd    *rand.Rand
	mu     sync.Mutex
	boards []*simBoard
	loss   float64 // part of the announcements and hellos that are lost
}

// simBoard is one board. It is the Discovery, the Asker and the Network of its loop.
type simBoard struct {
	w       *world
	serial  peer.Serial
	key     enroll.Fingerprint
	addr    netip.Addr
	options func(*Options)

	// Guarded by w.mu.
	loop    *Loop // nil while the agent is not running
	stop    context.CancelFunc
	done    chan struct{}
	noLink  bool
	claim   peer.Claim
	hints   map[netip.Addr]discovery.Hint
	heard   time.Time
	changed chan struct{}
}

const hintTTL = 120 * time.Second

func newWorld(seed uint64) *world {
	return &world{rnd: rand.New(rand.NewPCG(seed, 1))}
}

func (w *world) add(serial peer.Serial) *simBoard {
	n := len(w.boards) + 1
	b := &simBoard{
		w: w, serial: serial, key: enroll.Fingerprint{byte(n), 1},
		addr: netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)}),
	}
	w.boards = append(w.boards, b)
	return b
}

// chance is true with probability p.
func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.Float64() < p
}

func (w *world) between(low, high time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return low + time.Duration(w.rnd.Int64N(int64(high-low)))
}

// reach delivers to the board at addr, after the time that a packet takes, unless it is lost or nobody is there.
func (w *world) reach(ctx context.Context, addr netip.Addr) (*simBoard, *Loop, error) {
	if w.chance(w.loss) {
		if err := nap(ctx, 3*time.Second); err != nil {
			return nil, nil, err
		}
		return nil, nil, errors.New("no answer in time")
	}
	if err := nap(ctx, w.between(time.Millisecond, 20*time.Millisecond)); err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.boards {
		if b.addr == addr && b.loop != nil && !b.noLink {
			return b, b.loop, nil
		}
	}
	return nil, nil, errors.New("connection refused")
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

// start runs the agent of the board.
func (b *simBoard) start(ctx context.Context, log *zap.Logger, o Options) {
	ctx, stop := context.WithCancel(ctx)
	o.Serial, o.Key, o.Cluster, o.Model = b.serial, b.key, "pi", "Simulated Pi"
	o.Hostname = func() string { return b.serial.Name() }
	o.Discovery, o.Asker, o.Network, o.Notify = b, b, b, noNotify{}
	o.Log = log.With(zap.String("board", b.serial.Name()))
	loop := NewLoop(o)
	done := make(chan struct{})
	b.w.mu.Lock()
	b.loop, b.stop, b.done = loop, stop, done
	b.hints, b.heard, b.changed = map[netip.Addr]discovery.Hint{}, time.Time{}, make(chan struct{}, 1)
	b.claim = peer.Claim{}
	b.w.mu.Unlock()
	go func() {
		defer close(done)
		_ = loop.Run(ctx) // it returns nil only
	}()
	go b.announceOften(ctx, loop)
}

// kill ends the agent as SIGKILL does: it says no goodbye. The caller must not hold w.mu.
func (b *simBoard) kill() {
	b.w.mu.Lock()
	stop, done := b.stop, b.done
	b.loop = nil
	b.w.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

func (b *simBoard) running() bool {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.loop != nil
}

func (b *simBoard) announceOften(ctx context.Context, loop *Loop) {
	for pause := time.Second; nap(ctx, pause) == nil; pause = b.w.between(30*time.Second, 60*time.Second) {
		b.announce(loop)
	}
}

// announce is heard by every board, its own included, unless it is lost on the way to it. Who hears a board for the first
// time announces itself, as the real one does.
func (b *simBoard) announce(loop *Loop) {
	for _, to := range b.w.boards {
		lost := b.w.chance(b.w.loss) && to != b
		delay := b.w.between(time.Millisecond, 20*time.Millisecond)
		go func() {
			_ = nap(context.Background(), delay) // cannot fail
			b.w.mu.Lock()
			defer b.w.mu.Unlock()
			if lost || b.loop != loop || b.noLink || to.loop == nil || to.noLink || b.claim.Serial == "" {
				return
			}
			now := time.Now()
			if to == b {
				b.heard = now
			} else {
				_, known := to.hints[b.addr]
				to.hints[b.addr] = discovery.Hint{Claim: b.claim, Addr: netip.AddrPortFrom(b.addr, peer.Port), Heard: now, Expires: now.Add(hintTTL)}
				if !known {
					go to.announce(to.loop)
				}
			}
			select {
			case to.changed <- struct{}{}:
			default:
			}
		}()
	}
}

// SetLink implements Discovery.
func (*simBoard) SetLink(discovery.Link) {}

// SetAsking implements Discovery.
func (*simBoard) SetAsking(bool) {}

// SetClaim implements Discovery.
func (b *simBoard) SetClaim(c peer.Claim) {
	c.Node, c.Model, c.Hostname = "", "", ""
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
	s := discovery.Snapshot{SelfHeard: b.heard}
	for a, h := range b.hints {
		if time.Now().After(h.Expires) {
			delete(b.hints, a)
			continue
		}
		if h.Claim.Serial == b.serial {
			s.Twins = append(s.Twins, a)
			continue
		}
		s.Hints = append(s.Hints, h)
	}
	slices.SortFunc(s.Hints, func(x, y discovery.Hint) int { return x.Addr.Compare(y.Addr) })
	return s
}

// Changed implements Discovery.
func (b *simBoard) Changed() <-chan struct{} { return b.changed }

// Hello implements Asker.
func (b *simBoard) Hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) (enroll.Peer, error) {
	other, loop, err := b.w.reach(ctx, addr.Addr())
	if err != nil {
		return enroll.Peer{}, err
	}
	loop.Met(enroll.Peer{Claim: claim, Key: b.key, Addr: netip.AddrPortFrom(b.addr, peer.Port)})
	answer := loop.Claim()
	if _, _, err := b.w.reach(ctx, addr.Addr()); err != nil { // the way back
		return enroll.Peer{}, err
	}
	return enroll.Peer{Claim: answer, Key: other.key, Addr: addr}, nil
}

// Join implements Asker.
func (b *simBoard) Join(ctx context.Context, m enroll.Peer, claim peer.Claim) (enroll.Ticket, error) {
	_, loop, err := b.w.reach(ctx, m.Addr.Addr())
	if err != nil {
		return enroll.Ticket{}, err
	}
	t, err := loop.Ticket(ctx, enroll.Peer{Claim: claim, Key: b.key, Addr: netip.AddrPortFrom(b.addr, peer.Port)})
	if err != nil {
		return enroll.Ticket{}, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	return t, nil
}

// Link implements Network.
func (b *simBoard) Link() (address.Link, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.noLink {
		return address.Link{}, errors.New("eth0 has no cable")
	}
	return address.Link{Name: "eth0", Index: 2, Addr: b.addr}, nil
}

// Routes implements Network.
func (*simBoard) Routes() ([]netip.Prefix, error) {
	return []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}, nil
}

// Watch implements Network.
func (*simBoard) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

type noNotify struct{}

func (noNotify) Ready()        {}
func (noNotify) Status(string) {}
func (noNotify) Watchdog()     {}
