package bootstrap

// Publishing: what this board says about itself, to the boards that ask and to those that listen, and what it keeps of that
// on its card.

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// publish brings what the board says about itself in line with what was observed.
func (l *Loop) publish() {
	c := l.Claim()
	old := c
	c.Hostname = l.Hostname()
	c.Engine = peer.Mark("engine", l.engine.EngineID)
	c.Swarm, c.Node, c.Trouble, c.Waits, c.Contents, c.Orphan, c.Manages = "", "", "", "", peer.Contents{}, false, ""
	member := l.engineErr == nil && l.engine.State == swarm.Active
	switch {
	case l.engineErr != nil && old.State.InSwarm() && (l.engineSeen || time.Since(l.started) < l.Timing.Remembered):
		return // an engine that starts or restarts is still in its swarm
	case l.engineErr == nil && (l.engine.State == swarm.Failed && l.Member.Node != "" ||
		l.engine.State == swarm.Inactive && l.Member.Revive.IsValid()):
		l.ticket.Store(nil)
		return // and so is one that stumbles on the way back, or is brought back
	case member && l.engine.Manager:
		c.State, c.Swarm, c.Node, c.Contents = peer.Manager, l.engine.SwarmID, l.engine.NodeID, l.contents
	case member, l.engineErr == nil && l.engine.NodeID != "":
		c.State, c.Swarm, c.Node = peer.Worker, l.swarmOfManager(), l.engine.NodeID
		c.Orphan = l.orphan
	case l.engineErr == nil && l.Member.Node != "" && (l.engine.State == swarm.Failed || l.engine.State == swarm.Locked):
		c.State, c.Swarm, c.Node = peer.Worker, l.Member.Swarm, l.Member.Node // it cannot enter its swarm, and does not say which
	case l.founding:
		c.State = peer.Founding
	case !l.proposed.IsZero():
		c.State = peer.Electing
	case l.wasReset || l.Settings != nil || l.engineErr != nil || l.linkErr != nil || policy.AddressRefused(l.addrErr) || l.engine.State != swarm.Inactive ||
		l.engine.Excluded != nil, l.portTaken() != nil, l.Clock().Before(l.Built):
		c.State = peer.Waiting
	default:
		c.State = peer.Blank
	}
	if l.engineErr != nil || l.engine.State == swarm.Failed || l.engine.State == swarm.Locked {
		c.Manages = managed(l.Member)
	}
	if l.last.Trouble && l.last.Kind == policy.Wait && !l.last.Between {
		c.Trouble = l.last.Reason
	}
	c.Peers = l.others(c.State, time.Now())
	c.Waits = l.waits(c.State)
	if c = c.Sound(); c != old {
		c.Said++
		l.claim.Store(&c)
		l.roster.Reschedule(func(k *roster.Contact) bool {
			return k.Met && (k.Answer.Claim.State == peer.Manager || !c.State.InSwarm()) || errors.Is(k.Err, enroll.ErrNotFollowed)
		}, time.Now())
	}
	l.remember(c.Membership())
	// A card from another board has that one's address, too, which must be given up if it is a copy.
	l.Network.Rely(c.State.InSwarm() && l.Member.From == "" || l.founding || l.engineErr == nil && l.engine.State == swarm.Pending)
	hint := c
	hint.Contents, hint.Orphan, hint.Waits = peer.Contents{}, false, ""
	hint.Boot, hint.Said, hint.Manages = 0, 0, "" // not announced, and so no news to announce
	l.Discovery.SetClaim(hint)
	l.Discovery.SetAsking(!c.State.InSwarm())
	if member && l.engine.Manager && l.Settings == nil {
		l.ticket.Store(&ticketBase{advertise: l.engine.Addr, managers: l.manager.InOrder(l.engine.Managers), keys: l.manager.Keys()})
	} else {
		l.ticket.Store(nil)
		l.place.Store(nil)
		l.listed.Store(nil)
	}
}

// managed is the id of the swarm that a board manages with that place, empty when it manages none.
func managed(m peer.Membership) string {
	if !m.Manager {
		return ""
	}
	return m.Swarm
}

// remember keeps where the board is. A swarm's id may not be known for a while; it is the same as long as the node is. An
// engine that cannot enter its swarm does not say which node it is, nor whether it manages.
func (l *Loop) remember(m peer.Membership) {
	if m.Swarm == "" && m.Node == l.Member.Node {
		m.Swarm = l.Member.Swarm
	}
	if m.Swarm == l.Member.Swarm {
		m.Yields = l.Member.Yields
	}
	if m.Node == l.Member.Node && l.engine.State != swarm.Active {
		m.Manager, m.Sole, m.Revive = l.Member.Manager, l.Member.Sole, l.Member.Revive
	} else if m.Manager {
		n := len(l.engine.Managers) // none for a moment after the engine's start
		m.Sole = n == 1 || n == 0 && l.Member.Sole
	}
	if m.Node != "" && (l.Member.Node == "" || l.Member.Node == m.Node) {
		m.From = l.Member.From
	}
	if m == l.Member || l.engineErr != nil {
		return
	}
	l.keep(m)
}

// keep keeps where the board is through a power cut.
func (l *Loop) keep(m peer.Membership) {
	l.Member = m
	if err := l.Remember(m); err != nil {
		l.Log.Warn(fmt.Sprintf("After a power cut this board will not know at once whether it is in a swarm: %v.", err))
	}
}

// swarmOfManager is the id of the swarm that this worker is in, which its engine does not know and its manager does.
func (l *Loop) swarmOfManager() string {
	if l.Member.Node == l.engine.NodeID && l.Member.Swarm != "" {
		return l.Member.Swarm // its manager may be another by now
	}
	peers, _ := l.roster.Peers(l.Serial)
	for _, p := range peers {
		if p.Claim.State == peer.Manager && !p.Claim.Unlisted && p.IsManagerOf(l.engine) {
			return p.Claim.Swarm
		}
	}
	return ""
}

// others is what the claim says of other boards: a worker names its managers, and a board outside a swarm whom it met,
// once it has met one that multicast does not tell of.
func (l *Loop) others(state peer.State, now time.Time) string {
	switch {
	case state == peer.Manager:
		return ""
	case state == peer.Worker:
		var managers []netip.Addr
		for _, m := range l.engine.Managers {
			managers = append(managers, m.Addr())
		}
		return peer.JoinOthers(managers)
	}
	addrs, _, unheard := l.roster.ByAddress(now)
	if unheard == [roster.Ways]int{} {
		return ""
	}
	return peer.JoinOthers(addrs)
}

// waits is what a claim says of why the board, in that state, is not in a swarm yet, or in one that is lost; empty when it is.
func (l *Loop) waits(s peer.State) string {
	switch {
	case s.InSwarm() && l.last.Lost && l.last.Kind == policy.Stay:
		return l.last.Reason
	case s.InSwarm() && l.last.Lost && l.refusal != "":
		return "Its last attempt failed: " + l.refusal
	case s.InSwarm() && l.last.Lost:
	case s.InSwarm():
		return l.lostBefore(time.Now())
	case l.refusal != "":
		return "Its last attempt failed: " + l.refusal
	case (s == peer.Waiting || l.last.Between) && l.last.Kind == policy.Wait:
		return l.last.Reason
	}
	return ""
}
