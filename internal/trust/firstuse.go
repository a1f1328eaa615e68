package trust

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// refusalsMax bounds the boards whose refusal was logged.
const refusalsMax = 64

// FirstUse is the Model of a cluster without a key: trust on first use. Whoever names the same cluster on the same
// network is a peer, but a board follows for good the manager it has once joined, with those that this one names as
// managers of the same swarm, and a manager lets new boards in for a while only. What it cannot know is whether the
// first manager, or a new board, is one of ours.
type FirstUse struct {
	SameName
	window time.Duration // how long new boards are let in
	onLink func(netip.Addr) bool
	save   func(Pins) error
	log    *zap.Logger

	mu      sync.Mutex
	pins    Pins
	open    time.Time            // until when new boards are let in
	paired  time.Time            // until when Pair has effect
	refused map[peer.Serial]bool // boards whose refusal was logged
}

var _ Model = (*FirstUse)(nil)

// NewFirstUse returns the Model of a board that has remembered pins and whose agent was started such a time ago, not
// counting restarts. New boards are let in for as long as window after that, and after Pair. onLink tells whether an
// address is reached without a router, and save keeps the pins through a power cut.
func NewFirstUse(cluster string, pins Pins, started, window time.Duration, onLink func(netip.Addr) bool,
	save func(Pins) error, log *zap.Logger,
) *FirstUse {
	if pins.Cluster != cluster { // the board was moved
		pins = Pins{Cluster: cluster}
	}
	return &FirstUse{
		SameName: SameName{cluster}, window: window, onLink: onLink, save: save, log: log,
		pins: pins, open: time.Now().Add(window - started), refused: map[peer.Serial]bool{},
	}
}

// Peer implements Model.
func (t *FirstUse) Peer(c Contact) error {
	if err := t.SameName.Peer(c); err != nil {
		return err
	}
	if !c.Asked && !t.onLink(c.From) {
		return errors.New("it is not on this network, and there is no cluster key")
	}
	if c.Claim.State != peer.Manager {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch pin := t.pins.Manager; {
	case t.pins.Follows(c.Key):
		return nil
	case pin != peer.Fingerprint{}:
		return fmt.Errorf("%w, with key %s; \"sudo pi-agent pair\" on both makes this board follow it", ErrNotFollowed, pin)
	case c.Asked && c.Purpose == Join && len(t.pins.Boards) > 0 && !time.Now().Before(t.paired):
		return errors.New("this board has let others into a swarm of its own and follows nobody; " +
			"\"sudo pi-agent pair\" here makes it follow a manager")
	}
	return nil
}

// Follow notes that the board has joined the swarm of the manager with this key.
func (t *FirstUse) Follow(manager peer.Fingerprint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pins.Manager == (peer.Fingerprint{}) {
		t.log.Info("This board follows this manager from now on, and no other.", zap.Stringer("key", manager))
		t.pins = Pins{Cluster: t.Cluster, Manager: manager}
		t.keep()
	}
}

// MayMove returns nil when this board may leave its swarm for that of the manager with this key, and else an error that
// says in words why not. Beside the one that it follows that is one it meets while it is new itself, or after Pair.
func (t *FirstUse) MayMove(manager peer.Fingerprint) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch {
	case t.pins.Manager == manager, t.pins.Manager == (peer.Fingerprint{}) && now.Before(t.paired),
		t.pins.Manager == (peer.Fingerprint{}) && len(t.pins.Boards) == 0 && now.Before(t.open):
		return nil
	}
	return errors.New("without a cluster key this board follows it only after \"sudo pi-agent pair\" here, " +
		"and on its manager")
}

// Admit returns nil when this board, a manager, may let p in, and else an error that says in words why not. A board
// that it has let in before it lets in again.
func (t *FirstUse) Admit(p Peer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	serial := p.Claim.Serial
	known, before := t.pins.Boards[serial]
	switch {
	case before && known == p.Key:
		return nil
	case !time.Now().Before(t.open):
		err := fmt.Errorf("new boards are let in for %.0f minutes after the manager was switched on, "+
			"or after \"sudo pi-agent pair\" on it", t.window.Minutes())
		if !t.refused[serial] && len(t.refused) < refusalsMax {
			t.refused[serial] = true
			t.log.Warn(fmt.Sprintf("%s may not join: %v.", serial.Name(), err), zap.Stringer("addr", p.Addr.Addr()),
				zap.Stringer("key", p.Key))
		}
		return err
	case !before && len(t.pins.Boards) >= PinsMax:
		return fmt.Errorf("%d boards were let in, which is the most without a cluster key", PinsMax)
	case before:
		t.log.Warn(fmt.Sprintf("%s has another node key than when it was let in: it is a new card, or another board.",
			serial.Name()))
	}
	boards := maps.Clone(t.pins.Boards)
	if boards == nil {
		boards = map[peer.Serial]peer.Fingerprint{}
	}
	boards[serial] = p.Key
	t.pins.Boards = boards
	t.keep()
	return nil
}

// Pair makes the board let new boards in for a while, and in that time follow whatever manager it joins.
func (t *FirstUse) Pair() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = time.Now().Add(t.window)
	clear(t.refused)
	t.paired = t.open
	t.pins.FollowOnly(nil)
	t.keep()
	t.log.Info(fmt.Sprintf("Pairing: for %.0f minutes this board lets new boards in, if it is a manager; "+
		"it follows the next manager it joins.", t.window.Minutes()))
}

// keep saves the pins. The caller must hold t.mu.
func (t *FirstUse) keep() {
	if err := t.save(t.pins); err != nil {
		t.log.Warn(fmt.Sprintf("Whom this board trusts is forgotten at the next power cut: %v.", err))
	}
}
