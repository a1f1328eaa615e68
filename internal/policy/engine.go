package policy

// Engines: those that cannot be asked, and those that should be in a swarm, or are on their way into one, and are not
// there.

import (
	"errors"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// engine waits for one that cannot be asked.
func engine(v View) (Action, bool) {
	if v.Engine.Err == nil {
		return Action{}, false
	}
	return engineTrouble(v.Engine.Err), true
}

// excludedEngine names a setting with which the engine takes part in no swarm.
func excludedEngine(v View) (Action, bool) {
	if v.Engine.Excluded == nil {
		return Action{}, false
	}
	return engineTrouble(v.Engine.Excluded), true
}

func engineTrouble(err error) Action {
	if errors.Is(err, swarm.ErrUnreachable) {
		return wait(say.EngineWait.With(err))
	}
	return trouble(say.EngineExcluded.With(err))
}

// lockedSwarm waits for the key that only a person has.
func lockedSwarm(v View) (Action, bool) {
	if v.Engine.State != swarm.Locked {
		return Action{}, false
	}
	return trouble(say.Locked.With()), true
}

// stumblingEngine decides for a member whose engine cannot enter its swarm, and then shows no node id. A worker that is
// made a manager asks the one manager through which it joined once, until its engine is restarted: when that one is
// gone for good it asks in vain, and gets in by joining anew through another. Whoever may have a vote must not leave
// like that.
func stumblingEngine(v View) (Action, bool) {
	if v.Engine.State != swarm.Failed || v.Engine.NodeID != "" || v.Member.Node == "" {
		return Action{}, false
	}
	since := v.Now.Sub(v.Engine.Pending)
	if !v.Member.Manager && v.Engine.Fault() == swarm.Stranded && since >= v.Timing.Stumble {
		for _, p := range v.Boards.Peers {
			if p.Claim.State == peer.Manager && p.Claim.Swarm != "" && v.answers(p) {
				return Action{Kind: Abandon, Reason: say.Stranded.With(p.name())}, true
			}
		}
	}
	if since < v.Timing.Pending {
		return waitUntil(v.Engine.Pending.Add(v.Timing.Pending), say.EntersAgain.With()), true
	}
	return trouble(say.CannotEnter.With(v.Engine.Error)), true
}

// failedJoin ends a first join that has failed, and says of a member why it is not in.
func failedJoin(v View) (Action, bool) {
	switch {
	case v.Engine.State != swarm.Failed:
		return Action{}, false
	case v.Engine.NodeID == "":
		return Action{Kind: Abandon, Reason: say.JoinFailed.With()}, true
	}
	return trouble(say.CannotEnter.With(v.Engine.Error)), true
}

// pendingEngine tells a member that waits for its manager after a power cut, which has a node id and must never leave,
// from a first join, which has none and loses nothing by being abandoned.
func pendingEngine(v View) (Action, bool) {
	end := v.Engine.Pending.Add(v.Timing.Pending)
	switch {
	case !v.isPending():
		return Action{}, false
	case v.Engine.NodeID != "":
		return wait(say.MemberWaits.With()), true
	case v.Now.Before(end):
		return waitUntil(end, say.EngineJoining.With()), true
	}
	return Action{Kind: Abandon, Reason: say.JoinStuck.With()}, true
}
