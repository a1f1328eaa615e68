package bootstrap

import (
	"errors"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// publish brings what the board says about itself in line with what was seen and decided: to those who ask, and to
// those who listen.
func (l *Loop) publish(v policy.View, a policy.Action) {
	before := l.Claim()
	c := policy.ClaimOf(v, a, policy.Said{
		Before: before, Told: l.told, Hostname: l.Hostname(), Met: l.roster.ToldOf(v.Now),
		Refused: l.refused.of(a), Paused: l.refused.pauses(a, v.Now),
		Restarts: l.engine.restarts(v.Now, l.Timing.Remembered), Lost: l.actor.lostBefore(v.Now),
	})
	if c != before {
		c.Said++
	}
	l.show(v, a, c)
	l.elects.Note(c.State == peer.Electing || c.State == peer.Founding, time.Now()) // who was asked before was not told
	if c != before {
		l.roster.Reschedule(func(k *roster.Contact) bool {
			return k.Met && (k.Answer.Claim.State == peer.Manager || !c.State.InSwarm()) ||
				errors.Is(k.Err, trust.ErrNotFollowed)
		}, time.Now())
	}
	// A card from another board has that one's address, too, which must be given up if it is a copy.
	l.Network.Rely(c.State.InSwarm() && v.Member.From == "" || c.State == peer.Founding || v.Engine.Err == nil &&
		v.Engine.State == swarm.Pending)
	hint := c
	hint.Contents, hint.Orphan, hint.Waits = peer.Contents{}, false, say.Text{}
	hint.Boot, hint.Said, hint.Manages = 0, 0, "" // not announced, and so no news to announce
	l.Discovery.SetClaim(hint)
	l.Discovery.SetAsking(!c.State.InSwarm())
}

// show makes what was seen, decided and said the newest snapshot.
func (l *Loop) show(v policy.View, a policy.Action, c peer.Claim) {
	s := &snapshot{view: v, action: a, claim: c}
	if v.Engine.Err == nil && v.Engine.State == swarm.Active && c.State == peer.Manager {
		s.place = l.serving.place
		if leaves := a.Kind == policy.Move || a.Kind == policy.LeaveCopy; !leaves {
			s.nodes = l.serving.nodes // else they are not looked at
			if v.Settings.Err == nil {
				s.ticket = l.serving.ticket(v.Engine.Status)
			}
		}
	} else {
		l.serving.forget()
	}
	l.Store(s)
}
