package policy

// What a board says about itself, in view of what it sees and has decided.

import (
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Said is what a claim is made of, beside the view and the decision.
type Said struct {
	Before   peer.Claim   // the newest claim
	Told     Action       // the newest decision that was told: what is no news yet is not said to others either
	Hostname string       // of the board
	Met      []netip.Addr // whom it tells of while it is in no swarm
	Refused  error        // why its newest attempt failed; nil when it did not
	Paused   bool         // it is not to be repeated yet
	Restarts bool         // the engine does not answer, and may be back soon
	Lost     say.Text     // of the swarm that it was in before
}

// ClaimOf returns the claim of a board that sees v and has decided a.
func ClaimOf(v View, a Action, s Said) peer.Claim {
	c := s.Before
	e, m := v.Engine, v.Member
	c.Hostname = s.Hostname
	c.Engine = peer.Mark("engine", e.EngineID)
	switch {
	case e.Err != nil && c.State.InSwarm() && s.Restarts:
		return s.Before // an engine that starts or restarts is still in its swarm
	case e.Err == nil && c.State.InSwarm() &&
		(e.State == swarm.Failed && m.Node != "" || e.State == swarm.Inactive && m.Revive.IsValid()):
		return s.Before // and so is one that stumbles on the way back, or is brought back
	}
	c.Swarm, c.Node, c.Trouble, c.Waits, c.Contents, c.Orphan, c.Manages = "", "", say.Text{}, say.Text{},
		peer.Contents{}, false, ""
	c.State = stateOf(v, a, s.Paused)
	switch {
	case c.State == peer.Manager:
		c.Swarm, c.Node, c.Contents = e.SwarmID, e.NodeID, v.Swarm.Contents
	case c.State == peer.Worker:
		c.Swarm, c.Node, c.Orphan = m.Swarm, m.Node, e.State != swarm.Locked && v.LongDisowned()
	}
	if e.Err != nil || e.State == swarm.Failed || e.State == swarm.Locked {
		c.Manages = Manages(m)
	}
	if t := s.Told; t.Trouble && t.Kind == Wait && !t.Between {
		c.Trouble = t.Reason
	}
	c.Waits = waits(c.State, s)
	c.Peers = others(c.State, e.Status, s.Met)
	return c.Sound()
}

// stateOf is what a board says it is doing. paused is whether what it has attempted must not be repeated yet: who
// cannot found a swarm stops electing, so that it does not hold up the others.
func stateOf(v View, a Action, paused bool) peer.State {
	e := v.Engine
	answers := e.Err == nil
	switch {
	case answers && e.State == swarm.Active && e.Manager:
		return peer.Manager
	case answers && (e.State == swarm.Active || e.NodeID != ""),
		answers && (e.State == swarm.Locked || e.State == swarm.Failed) && v.Member.Node != "":
		return peer.Worker
	case a.Kind == Init && !paused:
		return peer.Founding
	case a.Kind == Propose && !paused:
		return peer.Electing
	case v.Reset || v.Settings.Err != nil || !answers || e.State != swarm.Inactive || e.Excluded != nil || e.Taken != nil,
		v.Network.Link != nil || AddressRefused(v.Network.Address), v.Clock.Says.Before(v.Clock.Built):
		return peer.Waiting
	}
	return peer.Blank
}

// waits is what a claim says of why the board, in that state, is not in a swarm yet, or in one that is lost; empty when
// it is.
func waits(state peer.State, s Said) (nothing say.Text) {
	switch a := s.Told; {
	case state.InSwarm() && a.Lost && a.Kind == Stay:
		return a.Reason
	case s.Refused != nil && (a.Lost || !state.InSwarm()):
		return say.LastAttempt.With(s.Refused)
	case state.InSwarm() && a.Lost:
		return nothing
	case state.InSwarm():
		return s.Lost
	case (state == peer.Waiting || a.Between) && a.Kind == Wait:
		return a.Reason
	}
	return nothing
}

// others is what a claim says of other boards: a worker names its managers, and a board outside a swarm whom it met.
func others(state peer.State, e swarm.Status, met []netip.Addr) string {
	switch state {
	case peer.Manager:
		return ""
	case peer.Worker:
		var managers []netip.Addr
		for _, m := range e.Managers {
			managers = append(managers, m.Addr())
		}
		return peer.JoinOthers(managers)
	}
	return peer.JoinOthers(met)
}

// Manages is the id of the swarm that a board with that place manages, empty when it manages none.
func Manages(m peer.Membership) string {
	if !m.Manager {
		return ""
	}
	return m.Swarm
}
