package bootstrap

// Trust in the simulation: the real one, with and without a cluster key. Only the TLS channel is left out.

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// keys are the model of the class, and that of strangers who name the same cluster.
var keys = sync.OnceValues(func() (class, strangers trust.Model) { return newKey(), newKey() })

func newKey() trust.Model {
	phrase, err := clusterkey.Parse(clusterkey.Generate())
	if err != nil {
		panic(err)
	}
	key, err := phrase.Key("pi")
	if err != nil {
		panic(err)
	}
	model, err := trust.NewSameKey("pi", key)
	if err != nil {
		panic(err)
	}
	return model
}

// newTrust is whom an agent of the board that starts believes.
func (b *simBoard) newTrust(log *zap.Logger) (trust.Model, Pins) {
	if b.w.keyless {
		b.w.mu.Lock()
		kept := b.pins
		b.w.mu.Unlock()
		t := trust.NewFirstUse("pi", kept, time.Since(b.switched), patient.Pair, func(netip.Addr) bool { return true },
			func(p trust.Pins) error {
				b.w.mu.Lock()
				defer b.w.mu.Unlock()
				b.pins = p
				return nil
			}, log)
		return t, t
	}
	class, strangers := keys()
	if b.stranger {
		return strangers, nil
	}
	return class, nil
}

// pair is sudo pi-agent pair.
func (b *simBoard) pair() {
	b.trusts().(*trust.FirstUse).Pair()
	b.running().Reconsider()
}

// addStranger puts a board on the LAN that is none of the class.
func (w *world) addStranger(serial peer.Serial) *simBoard {
	b := w.add(serial)
	b.stranger = true
	w.boards = w.boards[:len(w.boards)-1]
	return b
}

func (b *simBoard) trusts() trust.Model {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return b.trust
}

// message is what one board asks another.
func message(client, server *simBoard) trust.Message {
	return trust.Message{Client: client.key, Server: server.key, Request: []byte("a request")}
}

// present shows the board with its claim to other, which it has dialled at an address of that one.
func (b *simBoard) present(other *simBoard, why trust.Purpose, at netip.Addr, claim peer.Claim) (trust.Peer, error) {
	if err := claim.Validate(); err != nil {
		return trust.Peer{}, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	claim.Clock = time.Now().Add(b.off())
	from := b.addr // who dials a link-local address does so from one
	b.w.mu.Lock()
	if at != other.addr {
		from = b.lease
	}
	b.w.mu.Unlock()
	m := message(b, other)
	if err := other.trusts().Check(m, b.trusts().Prove(m)); err != nil {
		return trust.Peer{}, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	if err := other.trusts().Peer(trust.Contact{Purpose: why, From: from, Key: b.key, Claim: claim}); err != nil {
		return trust.Peer{}, fmt.Errorf("%w: %w", enroll.ErrRefused, err)
	}
	return trust.Peer{Claim: claim, Key: b.key, Addr: netip.AddrPortFrom(from, peer.Port)}, nil
}

// believe decides on what other has answered.
func (b *simBoard) believe(other *simBoard, why trust.Purpose, at netip.Addr, claim peer.Claim) error {
	if err := claim.Validate(); err != nil {
		return err
	}
	m := message(b, other)
	m.Answer = []byte("an answer")
	if err := b.trusts().Check(m, other.trusts().Prove(m)); err != nil {
		return fmt.Errorf("%w: %w", enroll.ErrNotPeer, err)
	}
	if err := b.trusts().Peer(trust.Contact{Purpose: why, Asked: true, From: at, Key: other.key,
		Claim: claim}); err != nil {
		return fmt.Errorf("%w: %w", enroll.ErrNotPeer, err)
	}
	return nil
}

// handedOut notes that a manager has given the join token to a board. With a key that is a member; without one a board
// that comes in the first minutes after the manager was switched on, or that a manager has let in before.
func (w *world) handedOut(manager, to *simBoard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch late := time.Since(manager.switched) >= patient.Pair; {
	case w.breach != nil:
	case !w.keyless && manager.stranger != to.stranger:
		w.breach = fmt.Errorf("%s gave the token to %s, which has another key", manager.serial.Name(), to.serial.Name())
	case w.keyless && late && !w.admitted[to.key]:
		w.breach = fmt.Errorf("%s gave the token to %s, which nobody has let in in time", manager.serial.Name(),
			to.serial.Name())
	}
	w.admitted[to.key] = true
}

// strays says which board is in a swarm of the others: that of the class, or that of strangers.
func (w *world) strays() error {
	w.mu.Lock()
	breach := w.breach
	w.mu.Unlock()
	if breach != nil || len(w.lan) == len(w.boards) {
		return breach
	}
	ours := map[string]*simBoard{}
	for _, b := range w.boards {
		ours[b.engine.In()] = b
	}
	for _, b := range w.lan {
		if is := ours[b.engine.In()]; b.stranger && b.engine.In() != "" && is != nil {
			return fmt.Errorf("%s is in the swarm of %s, a stranger, or the other way round", is.serial.Name(), b.serial.Name())
		}
	}
	return nil
}

// A board that was let in comes back, whoever else turns up later: without a key nobody is let in once the first
// minutes are over, however low his serial, and nobody follows a manager that comes with a swarm of his own.
func simFirstUse(t testing.TB, w *world, rnd *rand.Rand) {
	w.keyless, w.step = true, time.Second
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 2+rnd.IntN(4))
	w.run(t, w.startAll(t, rnd), 3*time.Minute, w.formed)
	leader := w.leader()
	late := w.addStranger("0000000000000001")
	manages := rnd.IntN(2) == 0
	if manages {
		w.links.Store(&links{part: map[netip.Addr]bool{late.addr: true}})
		w.run(t, []event{{0, late, "a stranger elsewhere", func() { late.powerOn(t.Context(), 0) }}}, patient.Pair, nil)
		late.engine.Deploy()
		w.mend()
	} else {
		w.run(t, nil, patient.Pair, nil)
	}
	plan := []event{{0, late, "a stranger", func() {
		if late.running() == nil {
			late.powerOn(t.Context(), upTo(rnd, 5*time.Second))
		}
	}}}
	for range rnd.IntN(6) {
		b := w.boards[rnd.IntN(len(w.boards))]
		if b == leader {
			continue // who is switched on anew lets new boards in
		}
		at := upTo(rnd, 10*time.Minute)
		plan = append(plan, event{at, b, "power cut", b.powerOff},
			event{at + upTo(rnd, time.Minute), b, "power is back", func() {
				if b.running() == nil {
					b.powerOn(t.Context(), upTo(rnd, 10*time.Second))
				}
			}})
	}
	w.run(t, plan, time.Minute, nil)
	w.run(t, nil, 5*time.Minute, w.formed)
	w.wantLeader(t, leader)
	if got := late.engine.In() != ""; got != manages {
		t.Errorf("the stranger is in a swarm: %t, want %t", got, manages)
	}
	if !manages && !leader.said(late.serial.Name()+" may not join") {
		t.Errorf("%s does not tell that it turned a stranger away", leader.serial.Name())
	}
}

func TestWorldTellsABreach(t *testing.T) {
	w := &world{admitted: map[peer.Fingerprint]bool{}}
	member, stranger := &simBoard{serial: "1", switched: time.Now()}, &simBoard{serial: "2", stranger: true,
		switched: time.Now()}
	if w.handedOut(member, stranger); w.breach == nil {
		t.Error("a token for a stranger is no breach")
	}
	w = &world{admitted: map[peer.Fingerprint]bool{}, keyless: true}
	if w.handedOut(member, stranger); w.breach != nil {
		t.Error("a token in the first minutes is a breach")
	}
	member.switched = member.switched.Add(-patient.Pair)
	if w.handedOut(member, stranger); w.breach != nil {
		t.Error("a token for a board that was let in before is a breach")
	}
	stranger.key[0]++
	if w.handedOut(member, stranger); w.breach == nil {
		t.Error("a token for a new board is no breach")
	}
}
