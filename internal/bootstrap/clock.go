package bootstrap

// Clocks: a Pi has none that runs without power, so a board may wake up in the past, and the certificates of a swarm are not
// valid there yet. What a board lacks is put forward, never back: a clock that stood still is behind, and of two that differ
// the later one is right. A time server has the last word.

import (
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/picture"
)

// Patience with clocks.
const (
	// clockApart is how far the clock of a board may be behind that of its manager: the certificate of a swarm's authority
	// begins so long before it is made.
	clockApart = 5 * time.Minute
)

// ahead is how far the clock of p is ahead of this board's, negative when it is behind.
func (v View) ahead(p Peer) time.Duration {
	if p.Claim.Clock.IsZero() {
		return 0
	}
	return p.Claim.Clock.Add(v.Now.Sub(p.Met)).Sub(v.Clock)
}

// early says that the clock shows a time at which there was no such program.
func early(v View) (Action, bool) {
	if !v.Clock.Before(v.Built) {
		return Action{}, false
	}
	return trouble("The clock of this board says %s, when there was no such pi-agent yet: connect it to the internet, or set the clock with "+
		"sudo timedatectl set-time", v.Clock.Format(time.DateOnly)), true
}

// late is behind for a worker, which goes on being one.
func late(v View, m Peer) (Action, bool) {
	a, is := behind(v, m)
	if a.Kind == Wait {
		a.Kind = Stay
	}
	return a, is
}

// behind decides for a board whose clock is so far behind that of its manager m that certificates do not bear it. A time
// server would have set it right, so it is put forward to the manager's, whom the board is about to trust with all it has.
func behind(v View, m Peer) (Action, bool) {
	ahead := v.ahead(m)
	if ahead < clockApart {
		return Action{}, false
	}
	text := fmt.Sprintf("The clock of this board is %s behind that of %s, its manager", picture.Ago(ahead), m.Claim.Serial.Name())
	switch asked := v.Now.Sub(v.ClockAsked); {
	case v.ClockAsked.IsZero() || asked >= v.Timing.ClockAgain:
		return Action{Kind: SetClock, Target: m, Reason: text + ": putting it forward"}, true
	case asked < v.Timing.ClockSetting:
		return waitUntil(v.ClockAsked.Add(v.Timing.ClockSetting), "%s: putting it forward", text), true
	}
	return trouble("%s, and certificates do not bear that: set both clocks right, or give the boards one time server", text), true
}

// apart finds a board outside any swarm whose clock differs from this one's.
func (v View) apart() (Peer, bool) {
	for _, p := range v.Peers {
		if ahead := v.ahead(p); v.fresh(p) && !p.Claim.State.InSwarm() && (ahead >= clockApart || -ahead >= clockApart) {
			return p, true
		}
	}
	return Peer{}, false
}

// setClock asks for the clock to be put forward to that of a board that has just answered.
func (l *Loop) setClock(p Peer) error {
	l.clockAsked = time.Now()
	if err := l.SetClock(p.Claim.Clock.Add(time.Since(p.Met))); err != nil {
		return fmt.Errorf("put the clock forward: %w", err)
	}
	return nil
}
