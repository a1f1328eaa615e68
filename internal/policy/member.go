package policy

// Members: boards whose engine is in a swarm. Nothing here looks for another one, but for a worker whose managers are
// gone for good.

import (
	"slices"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// isManager and isWorker are about an engine that is in a swarm, and works.
func (v View) isManager() bool { return v.Engine.State == swarm.Active && v.Engine.Manager }
func (v View) isWorker() bool  { return v.Engine.State == swarm.Active && !v.Engine.Manager }

// isPending reports whether the engine is on its way into a swarm.
func (v View) isPending() bool { return v.Engine.State == swarm.Pending && v.Engine.Excluded == nil }

// as is what a member goes on being, with a reason.
func (v View) as(reason say.Text) Action {
	a := wait(reason)
	a.Kind = Stay
	if v.Engine.Manager {
		a.Kind = Serve
	}
	return a
}

// asTrouble is that with something a person should look at.
func (v View) asTrouble(reason say.Text) Action {
	a := v.as(reason)
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
		return v.asTrouble(say.AddressMissing.With(addr, v.Network.Address)), true
	case addr.IsLinkLocalUnicast():
		return v.asTrouble(say.AddressGivenUp.With(addr)), true
	}
	return v.asTrouble(say.AddressLost.With(addr)), true
}

// noMajority says that a manager cannot do anything: too few of the managers reach each other, or they are just
// electing.
func noMajority(v View) (Action, bool) {
	switch {
	case !v.isManager() || v.Engine.SwarmID != "":
		return Action{}, false
	case len(v.Engine.Managers) < 2:
		return v.as(say.ManagerStarting.With()), true
	}
	return v.asTrouble(say.NoMajority.With()), true
}

// duplicateNode names two boards that have been one node for longer than a copy takes to leave: each may hold by now
// what the other does not, and which of them is the copy only a person can tell.
func duplicateNode(v View) (Action, bool) {
	if v.Engine.State != swarm.Active {
		return Action{}, false
	}
	a, b, ok := v.DuplicateNode()
	if !ok || v.Swarm.Duplicate.IsZero() || v.Now.Sub(v.Swarm.Duplicate) < v.Timing.DuplicateTold {
		return Action{}, false
	}
	return v.asTrouble(say.DuplicateNode.With(a.Name(), b.Name())), true
}

// manager goes on managing.
func manager(v View) (Action, bool) {
	if !v.isManager() {
		return Action{}, false
	}
	return v.as(say.Manager.With(v.Engine.SwarmID)), true
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

// stopped reports whether the engine of p, a manager of this worker, does not answer. One that just takes its time is
// no news.
func (v View) stopped(p Peer) bool { return v.asleep(p) && p.Claim.State == peer.Waiting }

// worker goes on being one, and says how its managers are. Of several one is enough.
func worker(v View) (Action, bool) {
	if !v.isWorker() {
		return Action{}, false
	}
	if m, ok := v.ownManager(); ok {
		return v.as(say.Worker.With(m.name())), true
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
		return v.asTrouble(say.WorkerEngineStopped.With(stopped.name())), true
	case silent != nil:
		return v.asTrouble(say.WorkerManagerSilent.With(silent.name(), silent.Addr.Addr())), true
	case len(v.Engine.Managers) > 0 && !v.Swarm.Answered.IsZero() && v.Now.Sub(v.Swarm.Answered) >= v.Timing.ManagerSilent:
		// None was met since the agent started.
		return v.asTrouble(say.WorkerManagerUnmet.With(v.Engine.Managers[0].Addr())), true
	}
	return v.as(say.WorkerLooks.With()), true
}

func first(have *Peer, p Peer) *Peer {
	if have != nil {
		return have
	}
	return &p
}
