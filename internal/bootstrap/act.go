package bootstrap

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// act carries a decision out. It reports whether something was done, so that the next turn follows at once. What fails is
// said, and decided anew after a pause.
func (l *Loop) act(ctx context.Context, a Action) bool {
	switch {
	case a.Kind == Serve:
		l.serve(ctx)
		return false
	case a.Kind == Wait, a.Kind == Stay, time.Now().Before(l.retryAt):
		return false
	case a.Kind == Propose:
		if l.proposed.IsZero() {
			l.proposed = time.Now()
		}
		return false
	}
	limited, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	err := l.change(limited, a)
	l.statusAt = time.Time{}
	if ctx.Err() == nil {
		l.pause(err)
	}
	return err == nil
}

// pause makes the next change wait after one that failed.
func (l *Loop) pause(err error) {
	if err == nil {
		l.retries, l.retryAt, l.refusal = 0, time.Time{}, ""
		return
	}
	wait := min(l.Timing.RetryFirst<<min(l.retries, 10), l.Timing.RetryMax)
	l.retries++
	l.retryAt = time.Now().Add(wait)
	log := l.Log.Warn
	if l.refusal == err.Error() {
		log = l.Log.Debug
	}
	l.refusal = err.Error()
	log(fmt.Sprintf("That did not work, and will be tried again: %v.", err), zap.Duration("next_try_in", wait))
}

func (l *Loop) change(ctx context.Context, a Action) error {
	switch a.Kind {
	case Join:
		return l.join(ctx, a.Target)
	case Init:
		return l.init(ctx)
	case Move:
		return l.move(ctx, a)
	case Shed:
		return l.shed(ctx)
	case SetClock:
		return l.setClock(a.Target)
	case Revive:
		return l.revive(ctx)
	default:
		if err := l.Engine.Leave(ctx, false); err != nil {
			return fmt.Errorf("end the pending join: %w", err)
		}
		return nil
	}
}

// init founds the swarm. Before the engine is called, the claim says founding and the view is looked at once more: two
// boards that elect at the same time have then either seen each other electing, and the higher serial yields, or one has
// seen the other founding, and yields.
func (l *Loop) init(ctx context.Context) error {
	l.founding = true
	// A board whose init fails or is withdrawn stops electing, so that it cannot hold up the others.
	defer func() { l.founding, l.proposed = false, time.Time{} }()
	l.speak()
	if again := l.decide(l.view(time.Now())); again.Kind != Init {
		return nil
	}
	routes, err := l.Network.Routes()
	if err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	pool, err := swarm.ChoosePool(routes)
	if err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	if err := l.Engine.Init(ctx, swarm.InitRequest{Advertise: l.advertise, Pool: pool}); err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	// Before founding ends, so that no blank claim comes between founding and manager, and before anybody can join.
	l.observeEngine(ctx)
	l.tell(l.decide(l.view(time.Now())), time.Now())
	l.Log.Debug("Init is done.", zap.Stringer("advertise", l.advertise), zap.Stringer("overlay_pool", pool))
	return nil
}

func (l *Loop) join(ctx context.Context, m Peer) error {
	t, m, err := l.ticketFrom(ctx, m)
	name := m.Claim.Serial.Name()
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	own, err := l.addressFor(t.Managers[0].Addr())
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	l.Network.Rely(own == l.advertise)
	err = l.Engine.Join(ctx, swarm.JoinRequest{Advertise: own, Managers: t.Managers, Token: t.Token})
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	if l.Pins != nil {
		l.Pins.Follow(m.Key)
	}
	return nil
}

// addressFor is the address that this board gives to a swarm whose manager is at the given one. All nodes need addresses of
// one kind: a swarm made before, or by hand, goes on with those of DHCP.
func (l *Loop) addressFor(manager netip.Addr) (netip.Addr, error) {
	switch {
	case manager.IsLinkLocalUnicast() == l.advertise.IsLinkLocalUnicast():
		return l.advertise, nil
	case manager.IsLinkLocalUnicast():
		return netip.Addr{}, fmt.Errorf("its manager is at %s, and this board has address = \"interface\": give all boards the same", manager)
	case !l.link.Addr.IsValid():
		return netip.Addr{}, fmt.Errorf("its manager is at %s, and %s has no address but %s", manager, l.link.Name, l.advertise)
	}
	return l.link.Addr, nil
}

// ticketBase is what a manager needs to hand out tickets, beside the token.
type ticketBase struct {
	advertise netip.Addr
	managers  []netip.AddrPort     // those that are reachable first
	keys      []enroll.Fingerprint // of all managers, this board included; none with a cluster key
}
