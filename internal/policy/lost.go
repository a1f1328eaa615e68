package policy

// Lost swarms: the only manager of a swarm gets a new card, and nobody holds its services any more. Its workers are
// told what is lost, before they leave it and after. Without a cluster key they cannot know whether the board with
// another node key is theirs with a new card, and only a person can say so. What helps then is said in one sentence,
// everywhere.

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

// Unfollowed is a board that answers as a manager, and that this board, without a cluster key, does not follow.
type Unfollowed struct {
	Serial peer.Serial // as it announces, or as it said before it was a manager; nothing of it is proved
	Addr   netip.Addr
}

// AnotherKey says what helps a board that does not follow a manager because of its node key. It names both, for it is
// shown on other boards as well.
func AnotherKey(manager, board string) say.Text { return say.AnotherKey.With(manager, board) }

// lostSwarm moves a worker whose managers are gone for good to another swarm of its cluster. Its engine never says so.
func lostSwarm(v View) (Action, bool) {
	if !v.isWorker() && !v.isPending() || v.Engine.Manager || v.Member.Manager || v.Member.Node == "" ||
		v.Member.Node != v.Engine.NodeID || slices.ContainsFunc(v.Boards.Peers, v.Leads) {
		return Action{}, false
	}
	disowned := v.LongDisowned()
	for _, p := range v.Boards.Peers { // in order of serial: all workers choose the same
		switch {
		case !v.foreign(p) || p.Barred != nil:
		case disowned:
			return Action{Kind: Move, Target: p, Lost: v.elsewhere(p), Reason: say.Disowned.With(p.name())}, true
		case v.Now.Sub(v.Swarm.Answered) >= v.Timing.Orphaned:
			return Action{Kind: Move, Target: p, Reason: say.Orphaned.With(v.Timing.Orphaned.Minutes(), p.name())}, true
		}
	}
	return Action{}, false
}

// noManagerLeft tells a worker that all managers that its engine knows answer, and are not in its swarm.
func noManagerLeft(v View) (Action, bool) {
	if !v.isWorker() || slices.ContainsFunc(v.Boards.Peers, v.Leads) {
		return Action{}, false
	}
	var gone peer.Serial
	stranger := false
	for _, m := range v.Engine.Managers {
		serial, another, ok := v.leftBy(m.Addr())
		if !ok {
			return Action{}, false
		}
		gone, stranger = cmp.Or(gone, serial), stranger || another
	}
	if gone == "" {
		return Action{}, false
	}
	a := v.asTrouble(say.NoManagerLeft.With(cmp.Or(v.Member.Swarm, "?"), gone.Name(), v.Serial.Name()))
	if stranger {
		a = v.asTrouble(AnotherKey(gone.Name(), v.Serial.Name()))
	}
	a.Lost = true
	return a, true
}

// leftBy reports whether the board at this address of a manager answers, and is not in the swarm of this board any
// more. another is whether it has a node key that this board does not follow.
func (v View) leftBy(addr netip.Addr) (serial peer.Serial, another, ok bool) {
	for _, u := range v.Boards.Unfollowed {
		if u.Addr == addr {
			return u.Serial, true, true
		}
	}
	for _, p := range v.Boards.Peers {
		if p.At(addr) && v.answers(p) && v.elsewhere(p) {
			return p.Claim.Serial, p.Barred != nil, true
		}
	}
	return "", false, false
}

// elsewhere reports whether p, which answers, is in no swarm, or in another one than this board.
func (v View) elsewhere(p Peer) bool {
	switch p.Claim.State {
	case peer.Blank, peer.Electing, peer.Founding:
		return true
	case peer.Worker, peer.Manager:
		return v.Member.Swarm != "" && p.Claim.Swarm != "" && p.Claim.Swarm != v.Member.Swarm
	}
	return false
}

// unfollowedManager founds no swarm beside that of a manager that this board does not follow: it would be a second one.
func unfollowedManager(v View) (Action, bool) {
	follows := func(p Peer) bool { return p.Claim.State == peer.Manager && v.answers(p) }
	if len(v.Boards.Unfollowed) == 0 || slices.ContainsFunc(v.Boards.Peers, follows) {
		return Action{}, false
	}
	return between(AnotherKey(v.Boards.Unfollowed[0].Serial.Name(), v.Serial.Name())), true
}

// managedBefore reports whether the board p is in a swarm of which it knows no manager but at addresses of this board,
// which is in none: it has a new card.
func (v View) managedBefore(p Peer) bool {
	managers := p.Claim.Others()
	return p.Claim.State == peer.Worker && len(managers) > 0 &&
		!slices.ContainsFunc(managers, func(a netip.Addr) bool { return !slices.Contains(v.Network.Own, a) })
}
