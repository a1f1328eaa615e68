package policy

// Two swarms of one cluster: which of them yields, and what only a person can decide.

import (
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

// twoSwarms decides for a manager that meets a manager of another swarm of its cluster: an empty one yields, of two
// empty ones that of the higher serial, and one that a person has given up.
func twoSwarms(v View) (Action, bool) {
	if !v.isManager() {
		return Action{}, false
	}
	for _, p := range v.Boards.Peers {
		if v.Rival(p) {
			return contest(v, p), true
		}
	}
	return Action{}, false
}

// contest says which of two swarms yields.
func contest(v View, p Peer) Action {
	mine, theirs := v.Swarm.Contents, p.Claim.Contents
	given := v.Member.Yields && v.Member.Swarm == v.Engine.SwarmID
	yields := mine.Empty() && theirs.Known() && (!theirs.Empty() || p.Claim.Serial < v.Serial)
	switch {
	case (given || yields) && p.Barred != nil:
		return v.asTrouble(say.WouldYield.With(p.name(), p.Barred))
	case given:
		return Action{Kind: Move, Target: p, Reason: say.GivenUp.With(v.Engine.SwarmID, p.name())}
	case yields:
		return Action{Kind: Move, Target: p, Reason: say.Yields.With(p.name())}
	case !mine.Known() || !theirs.Known():
		return v.as(say.RivalMet.With(p.name()))
	case theirs.Empty():
		return v.as(say.RivalYields.With(p.name()))
	}
	return v.both(side{v.Serial, v.Engine.SwarmID, mine}, side{p.Claim.Serial, p.Claim.Swarm, theirs})
}

// side is one of two swarms.
type side struct {
	manager peer.Serial
	swarm   string
	has     peer.Contents
}

// both tells a person what only a person can decide, in the same words on every board.
func (v View) both(a, b side) Action {
	if b.manager < a.manager {
		a, b = b, a
	}
	return v.asTrouble(say.TwoSwarms.With(a.manager.Name(), a.swarm, a.has, b.manager.Name(), b.swarm, b.has))
}

// dividedCluster tells that for a worker.
func dividedCluster(v View) (Action, bool) {
	m, ok := v.ownManager()
	if !v.isWorker() || !ok || !v.Leads(m) || m.Claim.Swarm == "" || !full(m) {
		return Action{}, false
	}
	for _, p := range v.Boards.Peers {
		if v.foreign(p) && p.Claim.Swarm != m.Claim.Swarm && full(p) {
			return v.both(side{m.Claim.Serial, m.Claim.Swarm, m.Claim.Contents},
				side{p.Claim.Serial, p.Claim.Swarm, p.Claim.Contents}), true
		}
	}
	return Action{}, false
}

// full reports whether p says that there is something in its swarm.
func full(p Peer) bool { return p.Claim.Contents.Known() && !p.Claim.Contents.Empty() }
