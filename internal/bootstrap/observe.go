package bootstrap

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// observe brings up to date what is known of the network, the engine and the other boards, and returns the view of it.
func (l *Loop) observe(ctx context.Context) policy.View {
	if l.network.look(time.Now(), l.Log) {
		l.roster.Reschedule((*roster.Contact).Failing, time.Now())
	}
	l.Discovery.SetLink(l.network.link)
	l.engine.look(ctx, statusAge)
	heard := l.Discovery.Snapshot()
	now := time.Now()
	l.observeBoards(heard, now)
	if l.engine.err == nil {
		if l.engine.status.State == swarm.Inactive {
			l.actor.noteLeft(now)
		}
		l.card.note(l.engine.status, l.swarmOf)
		l.card.adopt(l.engine.status, now.Sub(l.started), l.Timing.Copy)
	}
	l.network.compare(l.engine.known(), now, l.Log)

	v := l.view(heard, now)
	if begun := l.ties.note(v); begun {
		l.roster.Reschedule(func(c *roster.Contact) bool { return c.ManagerOf(l.engine.status) }, now)
	}
	if l.engine.manages() && v.Engine.SwarmID != "" && l.ties.due(now) {
		if err := l.ties.count(ctx, l.engine); err != nil {
			l.Log.Debug("The engine does not say what is in the swarm.", zap.Error(err))
		}
	}
	v.Swarm = policy.Swarm{
		Contents: l.ties.contents, Answered: l.ties.answered, Disowned: l.ties.disowned.Time,
		Duplicate: l.ties.duplicate.Time,
		Left:      l.actor.left,
	}
	l.notices.others = heard.Others
	l.memory.Keep(l.roster.Places(), now, l.Timing, l.Log)
	return v
}

// observeBoards brings the roster up to date with what is heard, and with the managers that the engine knows.
func (l *Loop) observeBoards(heard discovery.Snapshot, now time.Time) {
	l.listening.Note(!heard.SelfHeard.IsZero(), now)
	l.roster.Heard(heard.Hints, now)
	for _, duplicate := range heard.Duplicates {
		l.roster.Expect(netip.AddrPortFrom(duplicate, peer.Port), now)
	}
	if s := l.engine.status; s.State != swarm.Inactive && !s.Manager {
		for _, m := range s.Managers {
			l.roster.Expect(netip.AddrPortFrom(m.Addr(), peer.Port), now)
		}
	}
	l.roster.AddNamed(l.Named, now)
	l.roster.Forget(now)
	if s := l.engine.known(); l.Pins != nil && s.State == swarm.Active && !s.Manager {
		l.follow(s)
	}
}

// follow makes a worker that has joined without the agent being there to the end follow its manager.
func (l *Loop) follow(s swarm.Status) {
	for _, p := range l.peers() {
		if p.Claim.State == peer.Manager && p.IsManagerOf(s) {
			l.Pins.Follow(p.Key)
		}
	}
}

// swarmOf is the id of the swarm that a worker with this status is in, as one of its managers says; empty when none
// does.
func (l *Loop) swarmOf(s swarm.Status) string {
	for _, p := range l.peers() {
		if p.Claim.State == peer.Manager && !p.Claim.Unlisted && p.IsManagerOf(s) {
			return p.Claim.Swarm
		}
	}
	return ""
}

// view is what policy.Decide looks at, but for what is known of swarms.
func (l *Loop) view(heard discovery.Snapshot, now time.Time) policy.View {
	peers, duplicates := l.roster.Peers(l.Serial)
	n, e := l.network, l.engine
	v := policy.View{
		Timing: l.Timing, Now: now, Serial: l.Serial, Member: l.card.Membership, Reset: l.wasReset,
		Settings: policy.Settings{Err: l.Settings, Expect: l.Expect, Settle: l.Settle, Unanswered: l.roster.Unanswered()},
		Clock:    policy.Clock{Says: l.Clock(), Built: l.Built, Asked: l.actor.clockAsked},
		Network: policy.Network{
			Link: n.err, Linked: n.linked, Address: n.addrErr, Lost: n.lost.Time, Own: n.own(),
			Listening: l.listening.Time, Inquiring: !n.asked(heard.Asked),
		},
		Engine: policy.Engine{
			Status: e.status, Err: e.err, Taken: l.Taken(), Pending: e.pending.Time, ForgetAsked: l.actor.forgetAsked,
		},
		Boards: policy.Boards{Peers: peers, SameSerial: duplicates, Newest: l.roster.Newest(),
			Unfollowed: l.roster.Unfollowed(now)},
		Election: policy.Election{Proposed: l.elects.Time},
	}
	if l.Pins != nil {
		for i, p := range peers {
			peers[i].Barred = l.Pins.MayMove(p.Key)
		}
	}
	if !l.Claim().State.InSwarm() { // in a swarm nobody asks workers
		v.Boards.Unreached, v.Election.Unanswered = l.roster.Unreached(l.Serial, l.elects.Time, now)
	}
	if !l.elects.IsZero() {
		v.Election.Unasked = l.roster.Unasked(l.elects.Time)
	}
	return v
}
