package bootstrap

// Asking: the hellos that this board sends to others, and what follows from their answers.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// ask says hello to the boards that are due, each in its own goroutine, and returns how long until the next one is.
func (l *Loop) ask(ctx context.Context) time.Duration {
	if l.linkErr != nil {
		return l.Timing.Turn
	}
	claim := l.Claim()
	addrs, next := l.roster.Due(l.pace, l.proposed, time.Now())
	for _, addr := range addrs {
		l.background.Go(func() {
			if !l.roster.Answers(addr) { // one that does answer need not wait for those that may be invented
				l.asks <- struct{}{}
				defer func() { <-l.asks }()
			}
			l.hello(ctx, addr, claim)
		})
	}
	return next
}

// pace says how often a contact is asked: outside a swarm everybody knows everybody, in a swarm the workers keep in touch
// with their manager and managers look after managers of other swarms. A board outside the swarm says hello by itself; one
// that only announces itself is asked by the managers, who can tell then why it is not in.
func (l *Loop) pace(c *roster.Contact) time.Duration {
	self := l.Claim().State
	manager := c.Hint.State == peer.Manager || c.Met && c.Answer.Claim.State == peer.Manager
	switch {
	case !self.InSwarm(), l.Member.From != "": // whose original may be among the workers
		return l.Timing.Ask
	case !l.disowned.IsZero() && l.isOwnManager(c): // the next answers decide
		return l.Timing.Ask
	case c.Named, c.Recalled && !c.Met:
		return l.Timing.AskIn
	case self == peer.Worker && !c.Met && c.Hint.Serial == "": // an address that only the engine knows
		return l.Timing.AskIn
	case self == peer.Worker && l.isOwnManager(c): // also one that has moved
		return l.Timing.AskIn
	case manager, self == peer.Manager && c.Mute(time.Now(), l.Timing):
		return l.Timing.AskIn
	}
	return 0
}

// isOwnManager reports whether the engine of this board knows a manager at that address.
func (l *Loop) isOwnManager(c *roster.Contact) bool {
	return policy.Peer{Addrs: []netip.Addr{c.Addr.Addr()}}.IsManagerOf(l.engine)
}

func (l *Loop) hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) {
	started := time.Now()
	p, err := l.Asker.Hello(ctx, addr, claim)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	report := l.roster.Answered(addr, started, now, err)
	l.askFellows(err, now)
	switch {
	case err == nil:
		if !l.meet(p, now) {
			l.toldBy(p)
		}
	case report && errors.Is(err, enroll.ErrNotFollowed) && l.saysUnfollowed():
		l.Log.Debug("A manager is not followed.", zap.Stringer("addr", addr), zap.Error(err))
	case report && l.roster.IsNamed(addr):
		l.Log.Warn(fmt.Sprintf("No board answers at %s, which peers in the settings names: is it on, and does the network let boards "+
			"reach one another? Client isolation of an access point must be off.", addr.Addr()), zap.Error(err))
	case report:
		l.Log.Warn(fmt.Sprintf("A board announces itself at %s and is not understood or not reached: %v.", addr.Addr(), err))
	default:
		l.Log.Debug("A hello was not answered.", zap.Stringer("addr", addr), zap.Error(err))
	}
	l.wakeUp()
}

// follow makes a worker that has joined without the agent being there to the end follow its manager.
func (l *Loop) follow() {
	if l.Pins == nil || l.engineErr != nil || l.engine.State != swarm.Active || l.engine.Manager {
		return
	}
	peers, _ := l.roster.Peers(l.Serial)
	for _, p := range peers {
		if p.Claim.State == peer.Manager && p.IsManagerOf(l.engine) {
			l.Pins.Follow(p.Key)
		}
	}
}

// toldBy takes in which managers there are, in the words of one of them.
func (l *Loop) toldBy(p enroll.Peer) {
	if l.Pins != nil && p.Claim.State == peer.Manager && l.Claim().State != peer.Manager {
		l.Pins.Told(p.Key, p.Managers)
	}
}

// askFellows asks the managers that this board follows when another one is no peer: it may be a manager that is new.
func (l *Loop) askFellows(err error, now time.Time) {
	if l.Pins != nil && errors.Is(err, enroll.ErrNotPeer) {
		l.roster.Reschedule(func(c *roster.Contact) bool { return c.Met && c.Answer.Claim.State == peer.Manager }, now)
	}
}

// hinted takes in addresses that another board named. A member of a swarm knows whom it needs.
func (l *Loop) hinted(addrs []netip.Addr, now time.Time) {
	if l.Claim().State.InSwarm() {
		return
	}
	l.roster.AddTold(addrs, now)
}

// verified is a board that was met, as package enroll knows it.
func verified(p policy.Peer) enroll.Peer {
	return enroll.Peer{Claim: p.Claim, Key: p.Key, Addr: p.Addr}
}
