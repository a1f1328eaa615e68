package trust

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// This file is how a board without a cluster key gets to follow several managers, and how managers come to know whom
// the others have let in: a manager that is followed names the other managers to its followers, and the managers tell
// each other through the swarm, which they alone can write to.

// Told takes in what a manager has told over the channel: the node keys of all managers of its swarm. It counts only
// from a manager that the board follows, and then replaces what was known before.
func (t *FirstUse) Told(by peer.Fingerprint, managers []peer.Fingerprint) {
	if len(managers) == 0 {
		return
	}
	t.change(func(p *Pins) {
		if p.Follows(by) {
			p.FollowOnly(append(slices.Clone(managers), by))
		}
	})
}

// Managed takes in what a manager reads in its swarm: the node keys of the other managers, whom it follows from now on
// and nobody else, and of the boards that any of them has let in. What it knows of a board itself counts more. A swarm
// with nobody else in it says nothing.
func (t *FirstUse) Managed(others []peer.Fingerprint, boards map[peer.Serial]peer.Fingerprint) {
	t.change(func(p *Pins) {
		if len(others)+len(boards) > 0 {
			p.FollowOnly(others)
		}
		all := map[peer.Serial]peer.Fingerprint{}
		maps.Copy(all, boards)
		maps.Copy(all, p.Boards)
		if len(all) > len(p.Boards) && len(all) <= PinsMax {
			p.Boards = all
		}
	})
}

// Admitted reports whether this board, a manager, has let p in with this very key.
func (t *FirstUse) Admitted(p Peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, is := t.pins.Boards[p.Claim.Serial]
	return is && known == p.Key
}

// Forget makes the board trust nobody that it has met so far.
func (t *FirstUse) Forget() {
	t.change(func(p *Pins) { *p = Pins{Cluster: t.Cluster} })
}

// change changes the pins, and keeps them if that is news. While pairing, whom the board follows is for a person to
// say.
func (t *FirstUse) change(f func(*Pins)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.paired) {
		return
	}
	before := t.pins
	f(&t.pins)
	if !reflect.DeepEqual(before, t.pins) {
		t.keep()
	}
}
