package bootstrap

import (
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// said is what a claim is made of, beside the view and the decision.
type said struct {
	before   peer.Claim    // the newest claim
	told     policy.Action // the newest decision that was told: what is no news yet is not said to others either
	hostname string        // of the board
	met      []netip.Addr  // whom it tells of while it is in no swarm
	refused  error         // why its newest attempt failed; nil when it did not
	paused   bool          // it is not to be repeated yet
	restarts bool          // the engine does not answer, and may be back soon
	lost     say.Text      // of the swarm that it was in before
}

// claimOf is what a board says about itself that sees v and has decided a.
func claimOf(v policy.View, a policy.Action, s said) peer.Claim {
	c := s.before
	e, m := v.Engine, v.Member
	c.Hostname = s.hostname
	c.Engine = peer.Mark("engine", e.EngineID)
	switch {
	case e.Err != nil && c.State.InSwarm() && s.restarts:
		return s.before // an engine that starts or restarts is still in its swarm
	case e.Err == nil && (e.State == swarm.Failed && m.Node != "" || e.State == swarm.Inactive && m.Revive.IsValid()):
		return s.before // and so is one that stumbles on the way back, or is brought back
	}
	c.Swarm, c.Node, c.Trouble, c.Waits, c.Contents, c.Orphan, c.Manages = "", "", say.Text{}, say.Text{}, peer.Contents{}, false, ""
	c.State = stateOf(v, a, s.paused)
	switch {
	case c.State == peer.Manager:
		c.Swarm, c.Node, c.Contents = e.SwarmID, e.NodeID, v.Swarm.Contents
	case c.State == peer.Worker:
		c.Swarm, c.Node, c.Orphan = m.Swarm, m.Node, e.State != swarm.Locked && v.LongDisowned()
	}
	if e.Err != nil || e.State == swarm.Failed || e.State == swarm.Locked {
		c.Manages = manages(m)
	}
	if t := s.told; t.Trouble && t.Kind == policy.Wait && !t.Between {
		c.Trouble = t.Reason
	}
	c.Waits = waits(c.State, s)
	c.Peers = others(c.State, e.Status, s.met)
	return c.Sound()
}

// stateOf is what a board says it is doing. paused is whether what it has attempted must not be repeated yet: who cannot
// found a swarm stops electing, so that it does not hold up the others.
func stateOf(v policy.View, a policy.Action, paused bool) peer.State {
	e := v.Engine
	answers := e.Err == nil
	switch {
	case answers && e.State == swarm.Active && e.Manager:
		return peer.Manager
	case answers && (e.State == swarm.Active || e.NodeID != ""),
		answers && e.State == swarm.Locked && v.Member.Node != "":
		return peer.Worker
	case a.Kind == policy.Init && !paused:
		return peer.Founding
	case a.Kind == policy.Propose && !paused:
		return peer.Electing
	case v.Reset || v.Settings.Err != nil || !answers || e.State != swarm.Inactive || e.Excluded != nil || e.Taken != nil,
		v.Network.Link != nil || policy.AddressRefused(v.Network.Address), v.Clock.Says.Before(v.Clock.Built):
		return peer.Waiting
	}
	return peer.Blank
}

// waits is what a claim says of why the board, in that state, is not in a swarm yet, or in one that is lost; empty when it is.
func waits(state peer.State, s said) (nothing say.Text) {
	switch a := s.told; {
	case state.InSwarm() && a.Lost && a.Kind == policy.Stay:
		return a.Reason
	case s.refused != nil && (a.Lost || !state.InSwarm()):
		return say.LastAttempt.With(s.refused)
	case state.InSwarm() && a.Lost:
		return nothing
	case state.InSwarm():
		return s.lost
	case (state == peer.Waiting || a.Between) && a.Kind == policy.Wait:
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
