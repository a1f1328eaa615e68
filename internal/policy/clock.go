package policy

// Clocks: a Pi has none that runs without power, so a board may wake up in the past, and the certificates of a swarm
// are not valid there yet. What a board lacks is put forward, never back: a clock that stood still is behind, and of
// two that differ the later one is right. A time server has the last word.

import (
	"github.com/pi-agent/pi-agent/internal/say"
	"time"
)

// ClocksApart is how far the clock of a board may be behind that of its manager: the certificate of a swarm's authority
// is dated back that far.
const ClocksApart = 5 * time.Minute

// clockOfThePast says that the clock shows a time at which there was no such program.
func clockOfThePast(v View) (Action, bool) {
	if !v.Clock.Says.Before(v.Clock.Built) {
		return Action{}, false
	}
	return trouble(say.ClockOfThePast.With(v.Clock.Says.Format(time.DateOnly))), true
}

// memberClock puts the clock of a member right, which goes on being one.
func memberClock(v View) (Action, bool) {
	if v.isWorker() {
		if m, ok := v.ownManager(); ok {
			return staying(behind(v, m))
		}
	}
	if v.isPending() && v.Engine.NodeID != "" {
		for _, p := range v.Boards.Peers {
			if p.IsManagerOf(v.Engine.Status) && v.answers(p) {
				if a, ok := behind(v, p); ok {
					return staying(a, ok)
				}
			}
		}
	}
	return Action{}, false
}

func staying(a Action, ok bool) (Action, bool) {
	if a.Kind == Wait {
		a.Kind = Stay
	}
	return a, ok
}

// behind decides for a board whose clock is so far behind that of its manager m that its certificates are not valid
// yet. A time server would have set it right, so it is put forward to the manager's, whom the board is about to trust
// with all it has.
func behind(v View, m Peer) (Action, bool) {
	ahead := v.ahead(m)
	if ahead < ClocksApart {
		return Action{}, false
	}
	switch asked := v.Now.Sub(v.Clock.Asked); {
	case v.Clock.Asked.IsZero() || asked >= v.Timing.ClockAgain:
		return Action{Kind: SetClock, Target: m, Reason: say.ClockPutForward.With(ahead, m.name())}, true
	case asked < v.Timing.ClockSetting:
		return waitUntil(v.Clock.Asked.Add(v.Timing.ClockSetting), say.ClockPutForward.With(ahead, m.name())), true
	}
	return trouble(say.ClockTooFar.With(ahead, m.name())), true
}

// apart finds a board outside any swarm whose clock differs from this one's.
func (v View) apart() (Peer, bool) {
	for _, p := range v.Boards.Peers {
		if ahead := v.ahead(p).Abs(); v.fresh(p) && !p.Claim.State.InSwarm() && ahead >= ClocksApart {
			return p, true
		}
	}
	return Peer{}, false
}
