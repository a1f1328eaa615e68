package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// asking is the hellos that this board sends to others, and what follows from their answers.
type asking struct {
	*host
	background *sync.WaitGroup
	slots      chan struct{} // one element for each hello under way to a board that has not answered lately
}

// ask says hello to the boards that are due, each in its own goroutine, and returns how long until the next one is. A
// board that has been electing since then asks everybody.
func (a *asking) ask(ctx context.Context, v policy.View, elects time.Time) time.Duration {
	if v.Network.Link != nil {
		return a.Timing.Turn
	}
	state := a.Claim().State
	addrs, next := a.roster.Due(func(c *roster.Contact) time.Duration { return roster.Pace(c, v, state) }, elects,
		time.Now())
	for _, addr := range addrs {
		a.background.Go(func() {
			if !a.roster.Answers(addr) { // one that does answer need not wait for those that may be invented
				a.slots <- struct{}{}
				defer func() { <-a.slots }()
			}
			a.hello(ctx, addr)
		})
	}
	return next
}

func (a *asking) hello(ctx context.Context, addr netip.AddrPort) {
	started := time.Now()
	p, err := a.Asker.Hello(ctx, addr, a.Claim())
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	report := a.roster.Answered(addr, started, now, err)
	if a.Pins != nil && errors.Is(err, enroll.ErrNotPeer) {
		// It may be a manager that is new: those that this board follows know.
		a.roster.Reschedule(func(c *roster.Contact) bool { return c.Met && c.Answer.Claim.State == peer.Manager }, now)
	}
	switch {
	case err == nil:
		if stale := a.meet(p, now); !stale {
			a.toldBy(p)
		}
	case report && errors.Is(err, trust.ErrNotFollowed) && a.saysUnfollowed():
		a.Log.Debug("A manager is not followed.", zap.Stringer("addr", addr), zap.Error(err))
	case report && a.roster.IsNamed(addr):
		a.Log.Warn(fmt.Sprintf("No board answers at %s, which peers in the settings names: is it on, and does the network "+
			"let boards reach one another? Client isolation of an access point must be off.", addr.Addr()), zap.Error(err))
	case report:
		a.Log.Warn(fmt.Sprintf("A board announces itself at %s and is not understood or not reached: %v.", addr.Addr(), err))
	default:
		a.Log.Debug("A hello was not answered.", zap.Stringer("addr", addr), zap.Error(err))
	}
	a.wakeUp()
}

// toldBy takes in which managers there are, in the words of one of them.
func (a *asking) toldBy(p trust.Peer) {
	if a.Pins != nil && p.Claim.State == peer.Manager && a.Claim().State != peer.Manager {
		a.Pins.Told(p.Key, p.Managers)
	}
}
