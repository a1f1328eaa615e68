package bootstrap

// Lost swarms: what a board says of a swarm that is lost with the card of its only manager, after the rules of package policy
// have decided what to do.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// saysUnfollowed reports whether what this board does names a manager that it does not follow. It may be called from any goroutine.
func (l *Loop) saysUnfollowed() bool {
	seen := l.snapshot.Load()
	return seen != nil && seen.action.Trouble && slices.ContainsFunc(seen.view.Boards.Unfollowed, func(u policy.Unfollowed) bool {
		return seen.action.Reason == policy.AnotherKey(u.Serial.Name(), l.Serial.Name())
	})
}

// Reconsider asks those boards anew that this one did not follow, for a person has said that it may. It may be called from any
// goroutine.
func (l *Loop) Reconsider() {
	l.roster.Reschedule(func(c *roster.Contact) bool { return errors.Is(c.Err, enroll.ErrNotFollowed) }, time.Now())
	l.wakeUp()
}

// swarmName is the id of a swarm in a sentence.
func swarmName(id string) string { return cmp.Or(id, "?") }

// loss is a swarm that this board has left because it was lost.
type loss struct {
	swarm string
	at    time.Time
}

// mourn tells that this board has left a swarm that was lost.
func (l *Loop) mourn(now time.Time) {
	l.loss = loss{l.Member.Swarm, now}
	l.Log.Warn(fmt.Sprintf("This board has left swarm %s, which is lost with its services, secrets and configs: its containers are stopped.",
		swarmName(l.loss.swarm)))
}

// lostBefore is what a board in a swarm says of the one that it was in before, for a while; empty where there is nothing to say.
func (l *Loop) lostBefore(now time.Time) string {
	if l.loss.at.IsZero() || now.Sub(l.loss.at) >= l.Timing.Mourned {
		return ""
	}
	return fmt.Sprintf("It has left swarm %s, which is lost with its services, secrets and configs: deploy anew what shall run.", swarmName(l.loss.swarm))
}

// tellStrays names the boards that would join this manager's swarm if a person said that they may. Each says so of itself, in its
// journal; who looks into that of the manager shall find it, too.
func (l *Loop) tellStrays(now time.Time) {
	text := ""
	if l.Pins != nil && l.engineErr == nil && l.engine.State == swarm.Active && l.engine.Manager {
		peers, _ := l.roster.Peers(l.Serial)
		var names []string
		for _, p := range peers {
			c := p.Claim
			if c.State == peer.Worker && c.Waits != "" && c.Swarm != "" && c.Swarm != l.engine.SwarmID && now.Sub(p.Met) < l.Timing.Rival {
				names = append(names, c.Serial.Name())
			}
		}
		if len(names) > 0 {
			text = fmt.Sprintf("Still in a swarm that is lost, and without a cluster key not in that of this board: %s. \"sudo pi-agent pair\" "+
				"here and on each of them lets them join.", strings.Join(names, ", "))
		}
	}
	if l.strays.News(text, now, l.Timing.ReachCalm) {
		l.Log.Warn(text)
	}
}
