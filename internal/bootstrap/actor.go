package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// actor carries out the decisions that change where this board is, and keeps what it has done lately. A power cut at
// any instant is answered by deciding again.
type actor struct {
	*host
	engine   *engine
	network  *network
	card     *card
	setClock func(to time.Time) error
	forget   func() error

	left        time.Time        // when this board last left a swarm to move
	clockAsked  time.Time        // see policy.Clock
	forgetAsked time.Time        // see policy.Engine
	leaving     *policy.Action   // the move for which the engine was asked to leave, until it has
	granted     peer.Fingerprint // the key of the manager that takes this board, as it said in the last turn
	loss        loss             // the swarm that this board has left last because it was lost
}

// step does what an action wants that is more than waiting. It reports whether that was all: what takes several steps
// is decided anew before each.
func (a *actor) step(ctx context.Context, what policy.Action) (done bool, err error) {
	switch what.Kind {
	case policy.Join:
		return true, a.join(ctx, what.Target)
	case policy.Init:
		return true, a.init(ctx)
	case policy.Move:
		return a.move(ctx, what)
	case policy.LeaveCopy:
		return true, a.leaveCopy(ctx)
	case policy.SetClock:
		return true, a.putForward(what.Target)
	case policy.ForceNewCluster:
		return true, a.forceNewCluster(ctx)
	case policy.Abandon:
		return true, a.abandon(ctx)
	}
	return true, fmt.Errorf("nothing is known of how to %s", what.Kind)
}

// init founds the swarm.
func (a *actor) init(ctx context.Context) error {
	routes, err := a.network.Routes()
	if err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	pool, err := swarm.ChoosePool(routes)
	if err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	if err := a.engine.Init(ctx, swarm.InitRequest{Advertise: a.network.advertise, Pool: pool}); err != nil {
		return fmt.Errorf("init swarm: %w", err)
	}
	a.Log.Debug("Init is done.", zap.Stringer("advertise", a.network.advertise), zap.Stringer("overlay_pool", pool))
	return nil
}

func (a *actor) join(ctx context.Context, m policy.Peer) error {
	t, m, err := a.ticketFrom(ctx, m)
	name := m.Claim.Serial.Name()
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	own, err := a.network.addressFor(t.Managers[0].Addr())
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	a.network.Rely(own == a.network.advertise)
	err = a.engine.Join(ctx, swarm.JoinRequest{Advertise: own, Managers: t.Managers, Token: t.Token})
	if err != nil {
		return fmt.Errorf("join the swarm of %s: %w", name, err)
	}
	if a.Pins != nil {
		a.Pins.Follow(m.Key)
	}
	return nil
}

// ticketFrom asks for a ticket to the swarm of m: the manager m first, and when it gives none the others of that swarm,
// which a manager without a majority does not know. It returns who gave it; the error is the first one.
func (a *actor) ticketFrom(ctx context.Context, m policy.Peer) (enroll.Ticket, policy.Peer, error) {
	claim := a.Claim()
	t, first := a.Asker.Join(ctx, verified(m), claim)
	if first == nil {
		return t, m, nil
	}
	for _, p := range a.peers() {
		other := m.Claim.Swarm != "" && m.Claim.Swarm != p.Claim.Swarm
		if p.Key == m.Key || p.Claim.State != peer.Manager || p.Claim.Swarm == "" || other {
			continue
		}
		if t, err := a.Asker.Join(ctx, verified(p), claim); err == nil {
			return t, p, nil
		}
	}
	return enroll.Ticket{}, m, first
}

// move leaves the swarm for that of the target, in two steps: first that one is asked whether it takes this board. The
// next turns then join, as those of any blank board do.
func (a *actor) move(ctx context.Context, what policy.Action) (done bool, err error) {
	name := what.Target.Claim.Serial.Name()
	if a.granted != what.Target.Key {
		a.granted = peer.Fingerprint{}
		claim := a.Claim()
		claim.Moving = true
		if _, err := a.Asker.Join(ctx, verified(what.Target), claim); err != nil {
			return false, fmt.Errorf("move to the swarm of %s: %w", name, err)
		}
		a.granted = what.Target.Key
		return false, nil
	}
	a.granted, a.leaving = peer.Fingerprint{}, &what
	err = a.engine.Leave(ctx, a.engine.status.Manager)
	if err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return false, fmt.Errorf("leave the swarm for that of %s: %w", name, err)
	}
	a.noteLeft(time.Now())
	return true, nil
}

// noteLeft notes that the board has left the swarm that it was to leave: also an engine that took too long to say so.
func (a *actor) noteLeft(now time.Time) {
	if a.leaving == nil {
		return
	}
	a.left = now
	if a.leaving.Lost {
		a.noteLoss(now)
	}
	a.leaving = nil
}

// abandon ends a join that does not get anywhere, or the membership of an engine that cannot go on with it.
func (a *actor) abandon(ctx context.Context) error {
	if err := a.engine.Leave(ctx, false); err != nil {
		return fmt.Errorf("end the pending join: %w", err)
	}
	if a.card.Node != "" {
		a.left = time.Now()
	}
	return nil
}

// leaveCopy leaves the swarm without a word to it.
func (a *actor) leaveCopy(ctx context.Context) error {
	if err := a.engine.Leave(ctx, true); err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return fmt.Errorf("leave the swarm of a copied card: %w", err)
	}
	a.left = time.Now()
	return nil
}

// forceNewCluster lets the engine forget its swarm, and when it has, makes it the manager of that swarm again.
func (a *actor) forceNewCluster(ctx context.Context) error {
	if a.engine.status.State == swarm.Inactive {
		if err := a.engine.ForceNewCluster(ctx, a.card.Revive); err != nil {
			return fmt.Errorf("bring the swarm back: %w", err)
		}
		a.forgetAsked = time.Time{} // a power cut before the certificate is renewed makes it necessary once more
		return nil
	}
	m := a.card.Membership
	if addr := a.engine.status.Addr; addr.IsValid() {
		m.Revive = addr
	}
	if !m.Revive.IsValid() {
		return errors.New("bring the swarm back: the Docker Engine does not say at which address it was")
	}
	if err := a.card.write(m); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	if err := a.forget(); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	a.forgetAsked = time.Now()
	return nil
}

// putForward asks for the clock to be put forward to that of a board that has just answered.
func (a *actor) putForward(p policy.Peer) error {
	a.clockAsked = time.Now()
	if err := a.setClock(p.Claim.Clock.Add(time.Since(p.Met))); err != nil {
		return fmt.Errorf("put the clock forward: %w", err)
	}
	return nil
}

// loss is a swarm that this board has left because it was lost.
type loss struct {
	swarm string
	at    time.Time
}

// noteLoss tells that this board has left a swarm that was lost.
func (a *actor) noteLoss(now time.Time) {
	a.loss = loss{cmp.Or(a.card.Swarm, "?"), now}
	a.Log.Warn(fmt.Sprintf("This board has left swarm %s, which is lost with its services, secrets and configs: its "+
		"containers are stopped.",
		a.loss.swarm))
}

// lostBefore is what a board in a swarm says of the one that it was in before, for a while; nothing where there is
// nothing to say.
func (a *actor) lostBefore(now time.Time) (said say.Text) {
	if a.loss.at.IsZero() || now.Sub(a.loss.at) >= a.Timing.LossTold {
		return said
	}
	return say.LostBefore.With(a.loss.swarm)
}
