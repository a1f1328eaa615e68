package policy

// Founding: boards in no swarm join the one that is there, or wait for its manager, and where there is none the one with the
// lowest serial founds it. All of them apply the same rules to what they know of each other, so that only one of them does.

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
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
		return Action{Kind: Join, Target: p, Reason: fmt.Sprintf("Joining the swarm of %s", p.name())}, true
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
				return wait("%s is in a swarm that this board managed with another card: it is lost with its services, secrets and configs. "+
					"A new one is made as soon as %s has noticed", p.name(), p.name()), true
			}
			return wait("%s is in a swarm: waiting for its manager to answer", p.name()), true
		}
	}
	for _, p := range v.Boards.Peers {
		if p.Claim.Manages != "" && v.fresh(p) {
			return wait("%s manages a swarm: waiting for its Docker Engine", p.name()), true
		}
	}
	return Action{}, false
}

// somebodyFounds waits for a board that is founding the swarm, or goes first, also when it has just fallen silent: its engine
// goes on without it.
func somebodyFounds(v View) (Action, bool) {
	for _, p := range v.Boards.Peers {
		first := p.Claim.State == peer.Founding ||
			p.Claim.State == peer.Electing && (v.Election.Proposed.IsZero() || p.Claim.Serial < v.Serial)
		if first && v.Now.Sub(p.Met) < v.Timing.Founding {
			return wait("%s is starting the swarm", p.name()), true
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
		return waitUntil(v.Network.Linked.Add(max(v.Timing.Hear, v.Settings.Settle)), "Looking for other boards%s", v.seen(boards)), true
	}
	return trouble("This board does not hear its own announcements: multicast does not work on this network, or a firewall drops it; " +
		"put that right, or name another board in peers"), true
}

// namedBoards waits for those that the settings name.
func namedBoards(v View) (Action, bool) {
	end := v.Network.Linked.Add(v.Timing.Named)
	if len(v.Settings.Unanswered) == 0 || !v.Now.Before(end) {
		return Action{}, false
	}
	return waitUntil(end, "Waiting for an answer from %s, which peers in the settings names", v.Settings.Unanswered[0]), true
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
	return waitUntil(end, "Looking for other boards%s", v.seen(v.boards())), true
}

// boardsOutOfReach founds no swarm while a board of this cluster is heard and does not answer, or does not reach this one.
func boardsOutOfReach(v View) (Action, bool) {
	shutTo := v.shutTo()
	switch {
	case len(v.Boards.Unreached) > 0 && !v.enough():
		return v.notReached(v.boards()), true
	case len(shutTo) > 0 && (v.Settings.Expect == 0 || v.reached()-len(shutTo) < v.Settings.Expect):
		return between("Port %d/tcp of this board is shut to %s: a swarm that it made could not be joined. Open the port here: sudo ufw allow %d/tcp",
			peer.Port, listed(shutTo), peer.Port), true
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
	return waitUntil(end, "Waiting for a time server: the clocks of this board and of %s are %s apart", p.name(), picture.Ago(v.ahead(p).Abs())), true
}

// boardsNotReady waits for boards that have just been met, of which one may be in a swarm.
func boardsNotReady(v View) (Action, bool) {
	for _, p := range v.Boards.Peers {
		end := p.Able.Add(v.Timing.Founding)
		if v.fresh(p) && p.Claim.State == peer.Waiting && p.Claim.Serial > v.Serial && v.Now.Before(end) {
			// One line in the journal, however many there are: each was named when it was found.
			return waitUntil(end, "Waiting for the other boards to get ready, for one may be in a swarm already"), true
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
			return waitUntil(end, "Waiting for %s, whose turn is next, to start the swarm", p.name()), true
		case p.Claim.State == peer.Waiting:
			return waitUntil(end, "Waiting for %s, which has the lowest serial, to get ready", p.name()), true
		default:
			return waitUntil(end, "Waiting for %s, which has the lowest serial, to start the swarm", p.name()), true
		}
	}
	return Action{}, false
}

// stableAddress waits for an address that a swarm can rely on.
func stableAddress(v View) (Action, bool) {
	if v.Network.Address == nil {
		return Action{}, false
	}
	return wait("Waiting for an address that a swarm can rely on: %v", v.Network.Address), true
}

// question waits for the answers to the question who is there, at an address that is new.
func question(v View) (Action, bool) {
	if !v.Network.Inquiring || v.Network.Listening.IsZero() || v.enough() {
		return Action{}, false
	}
	return wait("Looking for other boards%s", v.seen(v.boards())), true
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
func (v View) whyFound() string {
	boards, lower := v.boards(), v.lower()
	switch {
	case len(lower) > 0:
		return fmt.Sprintf("%s did not start the swarm in its time: this board is next and starts it", lower[0].name())
	case boards == 1 && len(v.Boards.Unreached) > 0:
		return fmt.Sprintf("This board starts the swarm alone, as expect = %d says", v.Settings.Expect)
	case boards == 1:
		return "No other board is seen: this board starts the swarm alone"
	}
	return fmt.Sprintf("This board has the lowest serial of the %d seen and starts the swarm", boards)
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

// notReached says for which boards a blank one waits that are heard and do not answer. There may be a swarm behind them, or
// they may be about to make one.
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
			return waitUntil(u.Ends, "Looking for other boards%s", v.seen(min(boards, v.Settings.Expect-1)))
		}
		return waitUntil(u.Ends, "Waiting for an answer from %s, which has announced itself", u.Serial.Name())
	}
	return between("Heard, and not reached at port %d/tcp: %s. This board makes no swarm meanwhile, for there could be two. Open the port "+
		"there: sudo ufw allow %d/tcp; or turn off client isolation of the access point; or do without, with expect = %d on this board and no other",
		peer.Port, listed(told), peer.Port, v.reached())
}

// namesMax is how many boards one sentence names.
const namesMax = 4

// listed is a list of boards in words.
func listed(all []string) string {
	if more := len(all) - namesMax; more > 0 {
		return fmt.Sprintf("%s, +%d", strings.Join(all[:namesMax], ", "), more)
	}
	return strings.Join(all, ", ")
}

// seen is how many of the expected boards are there, this one included. Without a number to compare with it is nothing:
// each board that is found has a line of its own in the log.
func (v View) seen(boards int) string {
	if v.Settings.Expect == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of %d seen", boards, v.Settings.Expect)
}
