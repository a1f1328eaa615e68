package bootstrap

// Observing: what the loop looks at in each turn before it decides, and the view that it makes of it.

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// observe brings up to date what is known of the network, the engine and the other boards.
func (l *Loop) observe(ctx context.Context) {
	l.observeLink()
	l.advertise, l.addrErr = l.Network.Advertise()
	if now := time.Now(); now.Sub(l.engineAt) >= statusAge {
		l.observeEngine(ctx)
	}
	l.compareAddress(time.Now())
	l.keepCard(time.Now())
	heard := l.Discovery.Snapshot()
	now := time.Now()
	l.listening.Note(!heard.SelfHeard.IsZero(), now)
	// Also the address that a swarm would rely on must be among those at which was asked: it may have come this moment.
	l.inquiring = heard.Asked != l.link || l.addrErr == nil && l.advertise != l.link.Addr && l.advertise != l.link.Stable
	l.roster.Heard(heard.Hints, now)
	for _, twin := range heard.Twins {
		l.roster.Expect(netip.AddrPortFrom(twin, peer.Port), now)
	}
	if l.engine.State != swarm.Inactive && !l.engine.Manager {
		for _, m := range l.engine.Managers {
			l.roster.Expect(netip.AddrPortFrom(m.Addr(), peer.Port), now)
		}
	}
	l.roster.AddNamed(l.Named, now)
	l.follow()
	l.roster.Forget(now)
	l.observeSwarms(ctx)
	l.observeDuplicates(now)
	l.tellReach(now)
	l.tellStrays(now)
	l.keepAddrs(now)
	l.compareIDs(now)
	if text := l.near.news(heard.Others, now, l.Timing.NeighboursCalm); text != "" {
		l.Log.Info(text)
	}
	l.publish()
}

func (l *Loop) observeLink() {
	choice, err := l.Network.Link()
	link := choice.Link
	seen := address.Link{Name: link.Name, Index: link.Index, Addr: cmp.Or(link.Addr, link.Stable)}
	if !link.Addr.IsValid() && link.Name == l.seen.Name && link.Index == l.seen.Index {
		seen = l.seen // a lease that has gone is no news where the board can do without
	}
	switch {
	case err == nil && (l.linkErr != nil || seen != l.seen):
		l.seen, l.linked = seen, time.Now()
		log := l.Log.Info
		if !link.Addr.IsValid() {
			log = l.Log.Debug // who put the stable address there has told it
		}
		why := choice.Why
		if why != "" {
			why = ": " + why
		}
		log(fmt.Sprintf("Using %s with address %s%s.", seen.Name, seen.Addr, why))
	case err != nil && l.linkErr == nil:
		l.Log.Warn(fmt.Sprintf("The network is gone: %v.", err))
	}
	if link != l.link { // what was out of reach from the addresses before may be within that of the new one
		l.roster.Reschedule(func(c *roster.Contact) bool { return c.Failing() }, time.Now())
	}
	l.link, l.linkErr = link, err
	l.Discovery.SetLink(link)
}

// compareAddress looks whether the swarm knows this board by an address that it has, and that it will keep.
func (l *Loop) compareAddress(now time.Time) {
	addr := l.engine.Addr
	if l.engineErr != nil || l.engine.State != swarm.Active || !addr.IsValid() {
		l.lost.Note(false, now)
		return
	}
	if has, err := l.Network.Has(addr); err != nil {
		l.Log.Debug("Own addresses are not known.", zap.Error(err))
	} else {
		l.lost.Note(!has, now)
	}
	if l.engine.Manager && !l.risk && l.advertise.IsLinkLocalUnicast() && !addr.IsLinkLocalUnicast() {
		l.risk = true
		l.Log.Warn(fmt.Sprintf("The swarm relies on %s, and loses its workers if this board gets another address: give it a fixed lease "+
			"in the router. A swarm that is made anew relies on %s, which stays.", addr, l.advertise))
	}
}

func (l *Loop) observeEngine(ctx context.Context) {
	status, err := l.Engine.Status(ctx)
	if ctx.Err() != nil {
		return
	}
	l.engineAt = time.Now()
	l.engineErr = err
	if err != nil {
		l.ticket.Store(nil)
		l.place.Store(nil)
		l.listed.Store(nil)
		return
	}
	l.engine, l.engineSeen = status, true
	l.pending.Note(status.State == swarm.Pending || status.State == swarm.Failed, l.engineAt)
}

// observeSwarms brings up to date how this board stands to its managers, and what is in the swarm that it manages.
func (l *Loop) observeSwarms(ctx context.Context) {
	now := time.Now()
	v := l.view(now)
	answered := slices.ContainsFunc(v.Boards.Peers, v.Leads) || l.engineErr != nil || l.engine.Manager || l.engine.State == swarm.Inactive
	if answered {
		l.answered = now
	}
	if _, disowned := v.Disowned(); l.disowned.Note(disowned && !answered, now) {
		l.roster.Reschedule(l.isOwnManager, now)
	}
	v.Swarm.Disowned = l.disowned.Time
	l.orphan = v.LongDisowned()
	rival := slices.ContainsFunc(v.Boards.Peers, func(p policy.Peer) bool {
		return p.Claim.State == peer.Manager && p.Claim.Swarm != l.engine.SwarmID
	})
	if l.engineErr != nil || !l.engine.Manager || l.engine.SwarmID == "" {
		l.contents, l.contentsAt = peer.Contents{}, time.Time{}
		return
	}
	news := rival && !l.contested // what was counted before it was met is too old to decide by
	l.contested = rival
	if age := now.Sub(l.contentsAt); !news && (age < l.Timing.TurnIn || !rival && age < l.Timing.Count) {
		return
	}
	l.contents = peer.Contents{}
	if err := l.count(ctx); err != nil {
		l.Log.Debug("The engine does not say what is in the swarm.", zap.Error(err))
	}
}

// count looks what is in the swarm of this manager.
func (l *Loop) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	have, err := l.Engine.Contents(ctx)
	if err != nil {
		return fmt.Errorf("look what is in the swarm: %w", err)
	}
	l.contents, l.contentsAt = have, time.Now()
	return nil
}

// observeDuplicates notes since when two boards have been one node.
func (l *Loop) observeDuplicates(now time.Time) {
	_, _, ok := l.view(now).DuplicateNode()
	l.duplicate.Note(ok, now)
}

// keepCard makes the membership of a card that was moved this board's own.
func (l *Loop) keepCard(now time.Time) {
	if l.Member.From == "" || l.engineErr != nil || l.engine.NodeID == "" || now.Sub(l.started) < l.Timing.Copy {
		return
	}
	l.Log.Info(fmt.Sprintf("The card of this board was in %s, which has not been met: its place in the swarm is this board's now.",
		l.Member.From.Name()))
	m := l.Member
	m.From = ""
	l.keep(m)
}

// view is everything that policy.Decide looks at.
func (l *Loop) view(now time.Time) policy.View {
	peers, twins := l.roster.Peers(l.Serial)
	v := policy.View{
		Timing: l.Timing, Now: now, Serial: l.Serial, Member: l.Member, Reset: l.wasReset,
		Settings: policy.Settings{Err: l.Settings, Expect: l.Expect, Settle: l.Settle, Unanswered: l.roster.Unanswered()},
		Clock:    policy.Clock{Says: l.Clock(), Built: l.Built, Asked: l.clockAsked},
		Network: policy.Network{
			Link: l.linkErr, Linked: l.linked, Address: l.addrErr, Lost: l.lost.Time, Listening: l.listening.Time, Inquiring: l.inquiring, Own: l.own(),
		},
		Engine: policy.Engine{
			Status: l.engine, Err: l.engineErr, Taken: l.portTaken(), Pending: l.pending.Time, ForgetAsked: l.forgetAsked,
		},
		Swarm: policy.Swarm{
			Contents: l.contents, Answered: l.answered, Disowned: l.disowned.Time, Duplicate: l.duplicate.Time, Left: l.left,
		},
		Boards:   policy.Boards{Peers: peers, SameSerial: twins, Newest: l.roster.Newest(), Unfollowed: l.roster.Unfollowed(now)},
		Election: policy.Election{Proposed: l.proposed},
	}
	for i, p := range v.Boards.Peers {
		v.Boards.Peers[i].Barred = l.barred(p)
	}
	if !l.Claim().State.InSwarm() { // in a swarm nobody asks workers
		v.Boards.Unreached, v.Election.Unanswered = l.roster.Unreached(l.Serial, l.proposed, now)
	}
	if !l.proposed.IsZero() {
		v.Election.Unasked = l.roster.Unasked(l.proposed)
	}
	return v
}

// barred says why this board may not move to a swarm that p manages, or would make.
func (l *Loop) barred(p policy.Peer) error {
	if l.Pins == nil {
		return nil
	}
	return l.Pins.MayMove(p.Key)
}

// own are the addresses of this board at which others know it.
func (l *Loop) own() (all []netip.Addr) {
	return status.Addrs(nil, l.link.Addr, l.link.Stable, l.advertise)
}
