package bootstrap

// Changes: how the decisions are carried out that change where this board is. A power cut at any instant is answered by
// deciding again.

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
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// change does what an action wants that is more than waiting.
func (l *Loop) change(ctx context.Context, a policy.Action) error {
	switch a.Kind {
	case policy.Join:
		return l.join(ctx, a.Target)
	case policy.Init:
		return l.init(ctx)
	case policy.Move:
		return l.move(ctx, a)
	case policy.LeaveCopy:
		return l.leaveCopy(ctx)
	case policy.SetClock:
		return l.setClock(a.Target)
	case policy.ForceNewCluster:
		return l.forceNewCluster(ctx)
	case policy.Abandon:
		if err := l.Engine.Leave(ctx, false); err != nil {
			return fmt.Errorf("end the pending join: %w", err)
		}
		return nil
	}
	return fmt.Errorf("nothing is known of how to %s", a.Kind)
}

// init founds the swarm. Before the engine is called, the claim says founding and the view is looked at once more: two
// boards that elect at the same time have then either seen each other electing, and the higher serial yields, or one has
// seen the other founding, and yields.
func (l *Loop) init(ctx context.Context) error {
	l.founding = true
	// A board whose init fails or is withdrawn stops electing, so that it cannot hold up the others.
	defer func() { l.founding, l.proposed = false, time.Time{} }()
	l.publish()
	if again := l.decide(l.view(time.Now())); again.Kind != policy.Init {
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

func (l *Loop) join(ctx context.Context, m policy.Peer) error {
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

// ticketFrom asks for a ticket to the swarm of m: the manager m first, and when it gives none the others of that swarm, which
// a manager without a majority does not know. It returns who gave it; the error is the first one.
func (l *Loop) ticketFrom(ctx context.Context, m policy.Peer) (enroll.Ticket, policy.Peer, error) {
	claim := l.Claim()
	t, first := l.Asker.Join(ctx, verified(m), claim)
	if first == nil {
		return t, m, nil
	}
	peers, _ := l.roster.Peers(l.Serial)
	for _, p := range peers {
		other := m.Claim.Swarm != "" && m.Claim.Swarm != p.Claim.Swarm
		if p.Key == m.Key || p.Claim.State != peer.Manager || p.Claim.Swarm == "" || other {
			continue
		}
		if t, err := l.Asker.Join(ctx, verified(p), claim); err == nil {
			return t, p, nil
		}
	}
	return enroll.Ticket{}, m, first
}

// move leaves the swarm for that of a.Target, which is asked first whether it takes this board. What has led to the decision
// is looked at once more right before; the next turns then join, as those of any blank board do.
func (l *Loop) move(ctx context.Context, a policy.Action) error {
	name := a.Target.Claim.Serial.Name()
	claim := l.Claim()
	claim.Moving = true
	if _, err := l.Asker.Join(ctx, verified(a.Target), claim); err != nil {
		return fmt.Errorf("move to the swarm of %s: %w", name, err)
	}
	l.ticket.Store(nil) // nobody joins a swarm that ends
	l.observeEngine(ctx)
	if l.engineErr == nil && l.engine.Manager {
		if err := l.count(ctx); err != nil {
			return err
		}
	}
	if again := l.decide(l.view(time.Now())); again.Kind != policy.Move || again.Target.Key != a.Target.Key {
		return nil
	}
	err := l.Engine.Leave(ctx, l.engine.Manager)
	if err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return fmt.Errorf("leave the swarm for that of %s: %w", name, err)
	}
	l.left = time.Now()
	if a.Lost {
		l.mourn(l.left)
	}
	return nil
}

// leaveCopy leaves the swarm without a word to it.
func (l *Loop) leaveCopy(ctx context.Context) error {
	l.ticket.Store(nil)
	if err := l.Engine.Leave(ctx, true); err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return fmt.Errorf("leave the swarm of a copied card: %w", err)
	}
	l.left = time.Now()
	return nil
}

// forceNewCluster lets the engine forget its swarm, and when it has, makes it the manager of that swarm again.
func (l *Loop) forceNewCluster(ctx context.Context) error {
	if l.engine.State == swarm.Inactive {
		if err := l.Engine.Revive(ctx, l.Member.Revive); err != nil {
			return fmt.Errorf("bring the swarm back: %w", err)
		}
		l.forgetAsked = time.Time{} // a power cut before the certificate is renewed makes it necessary once more
		return nil
	}
	m := l.Member
	m.Revive = l.engine.Addr
	if !m.Revive.IsValid() {
		return errors.New("bring the swarm back: the Docker Engine does not say at which address it was")
	}
	if err := l.Remember(m); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	l.Member = m
	if err := l.ForgetSwarm(); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	l.forgetAsked = time.Now()
	return nil
}

// setClock asks for the clock to be put forward to that of a board that has just answered.
func (l *Loop) setClock(p policy.Peer) error {
	l.clockAsked = time.Now()
	if err := l.SetClock(p.Claim.Clock.Add(time.Since(p.Met))); err != nil {
		return fmt.Errorf("put the clock forward: %w", err)
	}
	return nil
}
