package policy

// Founding: boards in no swarm join the one that is there, or wait for its manager, and where there is none the one
// with the lowest serial founds it. All of them apply the same rules to what they know of each other, so that only one
// of them does.

import (
	"fmt"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// join joins the swarm of a manager that answers, once there is an address for it, and the clock is right.
func join(v View) (Action, bool) {
	for _, p := range v.Boards.Peers { // in order of serial: of several managers all blank boards choose the same
		if p.Claim.State != peer.Manager || !v.fresh(p) {
			continue
		}
		if a, ok := stableAddress(v); ok {
			return a, true
		}
		if u, shut := v.unreached(p); shut && v.Told(u) {
			continue // it asks this board, and cannot be asked to let it join
		}
		if a, ok := behind(v, p); ok {
			return a, true
		}
		return Action{Kind: Join, Target: p, Reason: say.Joining.With(p.name())}, true
	}
	return Action{}, false
}

// managerOutOfReach names a manager that is heard and does not answer.
func managerOutOfReach(v View) (Action, bool) {
	if !slices.ContainsFunc(v.Boards.Unreached, func(u Unreached) bool { return u.State == peer.Manager && v.Told(u) }) {
		return Action{}, false
	}
	return v.notReached(v.reached()), true
}

// managerToCome waits where there is a swarm whose manager is not met.
func managerToCome(v View) (Action, bool) {
	for _, p := range v.Boards.Peers {
		if p.Claim.State.InSwarm() && !p.Claim.Orphan && v.Now.Sub(p.Met) < v.Timing.Remembered {
			if v.managedBefore(p) {
				return wait(say.ManagedBefore.With(p.name())), true
			}
			return wait(say.ManagerAwaited.With(p.name())), true
		}
	}
	for _, p := range v.Boards.Peers {
		if p.Claim.Manages != "" && v.fresh(p) {
			return wait(say.ManagersEngineAwaited.With(p.name())), true
		}
	}
	return Action{}, false
}

// somebodyFounds waits for a board that is founding the swarm, or goes first, also when it has just fallen silent: its
// engine goes on without it.
func somebodyFounds(v View) (Action, bool) {
	for _, p := range v.Boards.Peers {
		first := p.Claim.State == peer.Founding ||
			p.Claim.State == peer.Electing && (v.Election.Proposed.IsZero() || p.Claim.Serial < v.Serial)
		if first && v.Now.Sub(p.Met) < v.Timing.Founding {
			return wait(say.SomebodyFounds.With(p.name())), true
		}
	}
	return Action{}, false
}

// hearing makes sure that this board would hear others. Who is met by address can elect without being heard.
func hearing(v View) (Action, bool) {
	boards := v.boards()
	switch {
	case !v.Network.Listening.IsZero() || boards > 1:
		return Action{}, false
	case v.Now.Sub(v.Network.Linked) < v.Timing.Hear:
		return waitUntil(v.Network.Linked.Add(max(v.Timing.Hear, v.Settings.Settle)), v.looking(boards)), true
	}
	return trouble(say.Deaf.With()), true
}

// namedBoards waits for those that the settings name.
func namedBoards(v View) (Action, bool) {
	end := v.Network.Linked.Add(v.Timing.Named)
	if len(v.Settings.Unanswered) == 0 || !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, say.NamedAwaited.With(v.Settings.Unanswered[0])), true
}

// settled is when no new board will have appeared for long enough.
func (v View) settled() time.Time {
	at := timing.Later(v.Network.Listening, v.Boards.Newest)
	if v.Settings.Expect == 0 || v.boards() < v.Settings.Expect {
		at = at.Add(v.Settings.Settle)
	}
	return at
}

// settling waits for that.
func settling(v View) (Action, bool) {
	end := v.settled()
	if !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, v.looking(v.boards())), true
}

// boardsOutOfReach founds no swarm while a board of this cluster is heard and does not answer, or does not reach this
// one.
func boardsOutOfReach(v View) (Action, bool) {
	shutTo := v.shutTo()
	switch {
	case len(v.Boards.Unreached) > 0 && !v.enough():
		return v.notReached(v.boards()), true
	case len(shutTo) > 0 && (v.Settings.Expect == 0 || v.reached()-len(shutTo) < v.Settings.Expect):
		return between(say.PortShut.With(peer.Port, say.List(shutTo))), true
	}
	return Action{}, false
}

// turnsBegin is when the lowest of the boards has its turn.
func (v View) turnsBegin() time.Time {
	at := v.settled()
	if _, ok := v.apart(); ok {
		at = timing.Later(at, timing.Later(v.Network.Linked, v.Boards.Newest).Add(v.Timing.ClockWait))
	}
	return at
}

// clocksApart waits for a time server. Turns begin after that, so that the lowest has its own.
func clocksApart(v View) (Action, bool) {
	p, ok := v.apart()
	end := v.turnsBegin()
	if !ok || !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, say.ClocksApart.With(p.name(), v.ahead(p).Abs())), true
}

// boardsNotReady waits for boards that have just been met, of which one may be in a swarm.
func boardsNotReady(v View) (Action, bool) {
	for _, p := range v.Boards.Peers {
		end := p.Able.Add(v.Timing.Founding)
		if v.fresh(p) && p.Claim.State == peer.Waiting && p.Claim.Serial > v.Serial && v.Now.Before(end) {
			// One line in the journal, however many there are: each was named when it was found.
			return waitUntil(end, say.OthersNotReady.With()), true
		}
	}
	return Action{}, false
}

// lower are the boards with lower serials than this one.
func (v View) lower() (all []Peer) {
	for _, p := range v.Boards.Peers {
		if v.fresh(p) && p.Claim.Serial < v.Serial {
			all = append(all, p)
		}
	}
	return all
}

// turn waits for each board with a lower serial in turn.
func turn(v View) (Action, bool) {
	for n, p := range v.lower() {
		end := timing.Later(v.turnsBegin(), p.Able).Add(time.Duration(n+1) * v.Timing.Founding)
		switch {
		case !v.Now.Before(end):
		case n > 0:
			return waitUntil(end, say.NextFounds.With(p.name())), true
		case p.Claim.State == peer.Waiting:
			return waitUntil(end, say.LowestNotReady.With(p.name())), true
		default:
			return waitUntil(end, say.LowestFounds.With(p.name())), true
		}
	}
	return Action{}, false
}

// stableAddress waits for an address that a swarm can rely on.
func stableAddress(v View) (Action, bool) {
	if v.Network.Address == nil {
		return Action{}, false
	}
	return wait(say.StableAddressWait.With(v.Network.Address)), true
}

// question waits for the answers to the question who is there, at an address that is new.
func question(v View) (Action, bool) {
	if !v.Network.Inquiring || v.Network.Listening.IsZero() || v.enough() {
		return Action{}, false
	}
	return wait(v.looking(v.boards())), true
}

// proposal asks every board that is known before this one founds the swarm.
func proposal(v View) (Action, bool) {
	e := v.Election
	if !e.Proposed.IsZero() && e.Unasked == 0 && (e.Unanswered == 0 || v.enough()) {
		return Action{}, false
	}
	return Action{Kind: Propose, Reason: v.whyFound()}, true
}

// founding founds the swarm.
func founding(v View) (Action, bool) { return Action{Kind: Init, Reason: v.whyFound()}, true }

// whyFound says why it is this board that founds the swarm.
func (v View) whyFound() say.Text {
	boards, lower := v.boards(), v.lower()
	switch {
	case len(lower) > 0:
		return say.FoundsNext.With(lower[0].name())
	case boards == 1 && len(v.Boards.Unreached) > 0:
		return say.FoundsAloneExpected.With(v.Settings.Expect)
	case boards == 1:
		return say.FoundsAlone.With()
	}
	return say.Founds.With(boards)
}

// shutTo are the names of the boards that say that they cannot reach this one.
func (v View) shutTo() (all []string) {
	for _, p := range v.Boards.Peers {
		if v.fresh(p) && p.Claim.Unreached {
			all = append(all, p.name())
		}
	}
	return all
}

// notReached says for which boards a blank one waits that are heard and do not answer. There may be a swarm behind
// them, or they may be about to make one.
func (v View) notReached(boards int) Action {
	var told []string
	late := false
	for _, u := range v.Boards.Unreached {
		late = late || v.Now.Sub(u.Since) >= v.Timing.Reach
		if v.Told(u) {
			told = append(told, fmt.Sprintf("%s (%s)", u.Serial.Name(), u.Addr))
		}
	}
	if len(told) == 0 {
		u := v.Boards.Unreached[0]
		if !late { // it has just been heard, which is no news yet
			return waitUntil(u.Ends, v.looking(min(boards, v.Settings.Expect-1)))
		}
		return waitUntil(u.Ends, say.HeardAwaited.With(u.Serial.Name()))
	}
	return between(say.NotReached.With(peer.Port, say.List(told), v.reached()))
}

// looking is the reason of a board that still finds others, of which that many are there, this one included. Without a
// number to compare with it names none: each board that is found has a line of its own in the log.
func (v View) looking(boards int) say.Text {
	if v.Settings.Expect == 0 {
		return say.Looking.With()
	}
	return say.LookingFor.With(boards, v.Settings.Expect)
}
