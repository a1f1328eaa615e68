package policy

// Members: boards whose engine is in a swarm. Nothing here looks for another one, but for a worker whose managers are gone
// for good.

import (
	"fmt"
	"slices"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// isManager and isWorker are about an engine that is in a swarm, and works.
func (v View) isManager() bool { return v.Engine.State == swarm.Active && v.Engine.Manager }
func (v View) isWorker() bool  { return v.Engine.State == swarm.Active && !v.Engine.Manager }

// isPending reports whether the engine is on its way into a swarm.
func (v View) isPending() bool { return v.Engine.State == swarm.Pending && v.Engine.Excluded == nil }

// as is what a member goes on being, with a reason.
func (v View) as(format string, args ...any) Action {
	a := wait(format, args...)
	a.Kind = Stay
	if v.Engine.Manager {
		a.Kind = Serve
	}
	return a
}

// asTrouble is that with something a person should look at.
func (v View) asTrouble(format string, args ...any) Action {
	a := v.as(format, args...)
	a.Trouble = true
	return a
}

// lostAddress says that the other boards cannot reach this one any more where the swarm tells them.
func lostAddress(v View) (Action, bool) {
	addr := v.Engine.Addr
	switch {
	case v.Engine.State != swarm.Active || v.Network.Lost.IsZero() || v.Now.Sub(v.Network.Lost) < v.Timing.Lost:
		return Action{}, false
	case addr.IsLinkLocalUnicast() && v.Network.Address != nil:
		return v.asTrouble("The swarm knows this board as %s, an address that it does not have: %v", addr, v.Network.Address), true
	case addr.IsLinkLocalUnicast():
		return v.asTrouble(`The swarm knows this board as %s, an address that it no longer has: give address = "link-local" again`, addr), true
	}
	return v.asTrouble("The swarm knows this board as %s, an address that it no longer has, and the other boards cannot reach it: "+
		"give it that address again, by a fixed lease in the router", addr), true
}

// noMajority says that a manager cannot do anything: too few of the managers reach each other, or they are just electing.
func noMajority(v View) (Action, bool) {
	switch {
	case !v.isManager() || v.Engine.SwarmID != "":
		return Action{}, false
	case len(v.Engine.Managers) < 2:
		return v.as("This board is a manager and its swarm is starting"), true
	}
	return v.asTrouble("This board is a manager and does not reach enough of the others: " +
		"the swarm cannot be changed until they are back; containers go on running"), true
}

// duplicateNode names two boards that have been one node for longer than a copy takes to leave: each may hold by now what
// the other does not, and which of them is the copy only a person can tell.
func duplicateNode(v View) (Action, bool) {
	if v.Engine.State != swarm.Active {
		return Action{}, false
	}
	a, b, ok := v.DuplicateNode()
	if !ok || v.Swarm.Duplicate.IsZero() || v.Now.Sub(v.Swarm.Duplicate) < v.Timing.Doubled {
		return Action{}, false
	}
	return v.asTrouble("%s and %s are one node of the swarm, for the card of one is a copy of "+
		"the other's: \"sudo pi-agent reset\" on the board with the copied card", a.Name(), b.Name()), true
}

// manager goes on managing.
func manager(v View) (Action, bool) {
	if !v.isManager() {
		return Action{}, false
	}
	return v.as("This board is a manager of swarm %s", v.Engine.SwarmID), true
}

// ownManager is the manager of this worker that answers, and whose engine does, or just takes its time.
func (v View) ownManager() (Peer, bool) {
	i := slices.IndexFunc(v.Boards.Peers, func(p Peer) bool {
		return p.IsManagerOf(v.Engine.Status) && v.Now.Sub(p.Met) < v.Timing.ManagerSilent && !v.stopped(p)
	})
	if i < 0 {
		return Peer{}, false
	}
	return v.Boards.Peers[i], true
}

// stopped reports whether the engine of p, a manager of this worker, does not answer. One that just takes its time is no news.
func (v View) stopped(p Peer) bool { return v.asleep(p) && p.Claim.State == peer.Waiting }

// worker goes on being one, and says how its managers are. Of several one is enough.
func worker(v View) (Action, bool) {
	if !v.isWorker() {
		return Action{}, false
	}
	if m, ok := v.ownManager(); ok {
		return v.as("This board is a worker in the swarm of %s", m.name()), true
	}
	var stopped, silent *Peer
	for _, p := range v.Boards.Peers {
		switch {
		case !p.IsManagerOf(v.Engine.Status):
		case v.Now.Sub(p.Met) >= v.Timing.ManagerSilent:
			silent = first(silent, p)
		default:
			stopped = first(stopped, p)
		}
	}
	switch {
	case stopped != nil:
		return v.asTrouble("This board is a worker and the Docker Engine of its manager %s does not answer; containers go on running",
			stopped.name()), true
	case silent != nil:
		return v.asTrouble("This board is a worker and its manager %s at %s does not answer; containers go on running",
			silent.name(), silent.Addr.Addr()), true
	case len(v.Engine.Managers) > 0 && !v.Swarm.Answered.IsZero() && v.Now.Sub(v.Swarm.Answered) >= v.Timing.ManagerSilent:
		// None was met since the agent started.
		return v.asTrouble("This board is a worker and its manager at %s does not answer; containers go on running",
			v.Engine.Managers[0].Addr()), true
	}
	return v.as("This board is a worker in a swarm and looks for its manager"), true
}

func first(have *Peer, p Peer) *Peer {
	if have != nil {
		return have
	}
	return &p
}

// pendingEngine tells a member that waits for its manager after a power cut, which has a node id and must never leave, from a
// first join, which has none and loses nothing by being abandoned.
func pendingEngine(v View) (Action, bool) {
	end := v.Engine.Pending.Add(v.Timing.Pending)
	switch {
	case !v.isPending():
		return Action{}, false
	case v.Engine.NodeID != "":
		return wait("This board is a member of a swarm and waits for its manager"), true
	case v.Now.Before(end):
		return waitUntil(end, "The Docker Engine is joining a swarm"), true
	}
	return Action{Kind: Abandon, Reason: "The Docker Engine does not get into the swarm it is joining: trying anew"}, true
}

// lockedSwarm waits for the key that only a person has.
func lockedSwarm(v View) (Action, bool) {
	if v.Engine.State != swarm.Locked {
		return Action{}, false
	}
	return trouble("The swarm is locked: give its key with docker swarm unlock"), true
}

// stumblingEngine decides for a member whose engine cannot enter its swarm, and then shows no node id. A worker that is made
// a manager asks the one manager through which it joined once, until its engine is restarted: when that one is gone for good
// it asks in vain, and gets in by joining anew through another. Whoever may have a vote must not leave like that.
func stumblingEngine(v View) (Action, bool) {
	if v.Engine.State != swarm.Failed || v.Engine.NodeID != "" || v.Member.Node == "" {
		return Action{}, false
	}
	since := v.Now.Sub(v.Engine.Pending)
	if !v.Member.Manager && v.Engine.Fault() == swarm.Stranded && since >= v.Timing.Stumble {
		for _, p := range v.Boards.Peers {
			if p.Claim.State == peer.Manager && p.Claim.Swarm != "" && v.answers(p) {
				return Action{Kind: Abandon, Reason: fmt.Sprintf("The Docker Engine cannot become a manager, for it asks one that is gone: "+
					"leaving the swarm to join it anew through %s", p.name())}, true
			}
		}
	}
	if since < v.Timing.Pending {
		return waitUntil(v.Engine.Pending.Add(v.Timing.Pending), "The Docker Engine enters its swarm again"), true
	}
	return trouble("The Docker Engine cannot enter its swarm: %s", v.Engine.Error), true
}

// failedJoin ends a first join that has failed, and says of a member why it is not in.
func failedJoin(v View) (Action, bool) {
	switch {
	case v.Engine.State != swarm.Failed:
		return Action{}, false
	case v.Engine.NodeID == "":
		return Action{Kind: Abandon, Reason: "The Docker Engine did not get into the swarm it was joining: trying anew"}, true
	}
	return trouble("The Docker Engine cannot enter its swarm: %s", v.Engine.Error), true
}
