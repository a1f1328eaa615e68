package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// host is this board as others see it: what the server of package enroll asks of it, from any goroutine. It answers
// from the newest snapshot, and takes in whom it meets.
type host struct {
	Options
	shown
	roster *roster.Roster
	wake   chan struct{}          // one element makes the loop turn
	taken  atomic.Pointer[string] // name of this board that another one has, too
}

// newHost is a board that has said nothing yet but where it was when it last ran: its engine may need minutes to start,
// and nobody must found a swarm meanwhile. It does not say that it is a manager, for it can admit nobody yet.
func newHost(o Options, known *roster.Roster) *host {
	c := peer.Claim{
		Serial: o.Serial, Cluster: o.Cluster, Tag: o.Tag, State: peer.Waiting, Machine: o.Machine, Model: o.Model,
		Hostname: o.Hostname(), Boot: rand.Uint64() | 1, Said: 1,
	}
	if o.Member != (peer.Membership{}) {
		c.State, c.Swarm, c.Node, c.Manages = peer.Worker, o.Member.Swarm, o.Member.Node, policy.Manages(o.Member)
	}
	h := &host{Options: o, roster: known, wake: make(chan struct{}, 1)}
	h.Store(&snapshot{claim: c.Sound()})
	return h
}

func (h *host) wakeUp() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// peers are the boards that were met, but for those with the serial of this one.
func (h *host) peers() []policy.Peer {
	others, _ := h.roster.Peers(h.Serial)
	return others
}

// Met implements enroll.Host.
func (h *host) Met(p trust.Peer) {
	h.meet(p, time.Now())
	h.wakeUp()
}

// Stranger implements enroll.Host.
func (h *host) Stranger(c peer.Claim) { h.Discovery.Stranger(c) }

// meet takes in what another board says about itself, and logs what is news. It reports whether the board has said
// something newer before.
func (h *host) meet(p trust.Peer, now time.Time) (stale bool) {
	first, trouble, stale := h.roster.Meet(p, now)
	if stale {
		return true
	}
	if p.Key != h.Key && !h.Claim().State.InSwarm() { // a member of a swarm knows whom it needs
		h.roster.AddTold(p.Claim.Others(), now)
	}
	if first && p.Claim.Serial != h.Serial { // policy.Decide names a duplicate
		h.Log.Info(fmt.Sprintf("Found %s at %s.", p.Claim.Serial.Name(), p.Addr.Addr()),
			zap.String("serial", string(p.Claim.Serial)),
			zap.String("model", p.Claim.Model), zap.String("state", string(p.Claim.State)))
	}
	h.compareNames(p)
	if trouble {
		h.Log.Warn(fmt.Sprintf("%s cannot take part: %s", p.Claim.Serial.Name(), p.Claim.Trouble.Dot()))
	}
	return false
}

// compareNames finds that another board has the name of this one, and lets the one with the higher serial give way.
func (h *host) compareNames(p trust.Peer) {
	name := h.Hostname()
	if name == "" || !strings.EqualFold(name, p.Claim.Hostname) || p.Claim.Serial >= h.Serial {
		return
	}
	if was := h.taken.Swap(&name); was != nil && *was == name {
		return
	}
	text := fmt.Sprintf("%s at %s is called %s, too", p.Claim.Serial.Name(), p.Addr.Addr(), name)
	if h.Rename == nil {
		h.Log.Warn(text + ": give one of them another name.")
		return
	}
	h.Log.Info(text + ": this board, with the higher serial, takes another name.")
	if err := h.Rename(name); err != nil {
		h.Log.Warn(fmt.Sprintf("The name stays: %v.", err))
	}
}

// Answer implements enroll.Host: the claim, and for a node whether it is one of ours, and how many there are.
func (h *host) Answer(p trust.Peer) peer.Claim {
	now := h.Load()
	c := now.claim
	c.Unreached = slices.ContainsFunc(now.view.Boards.Unreached, func(u policy.Unreached) bool {
		return u.Serial == p.Claim.Serial && now.view.Told(u)
	})
	if c.State != peer.Manager || p.Claim.State != peer.Worker || p.Claim.Node == "" || now.nodes == nil {
		return c
	}
	if slices.Contains(now.nodes.all, p.Claim.Node) {
		c.Nodes, c.Ready = len(now.nodes.all), now.nodes.ready
	} else {
		c.Unlisted = true
	}
	return c
}

// Ticket implements enroll.Host: a manager hands out the token for workers to a board that is in no swarm.
func (h *host) Ticket(ctx context.Context, p trust.Peer) (enroll.Ticket, error) {
	base := h.Load().ticket
	if base == nil {
		return enroll.Ticket{}, errors.New("this board is not a manager now")
	}
	if p.Claim.State.InSwarm() && !p.Claim.Moving {
		return enroll.Ticket{}, fmt.Errorf("%s is in a swarm already", p.Claim.Serial.Name())
	}
	if h.Pins != nil {
		if err := h.Pins.Admit(p); err != nil {
			return enroll.Ticket{}, err
		}
	}
	token, err := h.Engine.WorkerToken(ctx)
	if err != nil {
		return enroll.Ticket{}, fmt.Errorf("the engine gives no join token: %w", err)
	}
	managers := []netip.AddrPort{netip.AddrPortFrom(base.advertise, swarm.Port)}
	for _, m := range base.managers {
		if m.Addr() != base.advertise {
			managers = append(managers, m)
		}
	}
	log := h.Log.Info
	if p.Claim.Moving {
		log = h.Log.Debug // it asks again when it has left its swarm
	}
	log(fmt.Sprintf("Letting %s join as a worker.", p.Claim.Serial.Name()), zap.Stringer("addr", p.Addr.Addr()),
		zap.Stringer("key", p.Key))
	return enroll.Ticket{Token: token, Managers: managers}, nil
}

// Managers implements enroll.Host.
func (h *host) Managers() []peer.Fingerprint {
	if base := h.Load().ticket; base != nil {
		return base.keys
	}
	return nil
}

// Place is where this board stands as a manager. It may be called from any goroutine.
func (h *host) Place() peer.Place { return h.Load().place }

// Standing is where this board stands, and whether that needs a person. It may be called from any goroutine, and asks
// nobody.
func (h *host) Standing() (state peer.State, needs bool) {
	now := h.Load()
	return now.claim.State, now.action.Trouble
}

// Reconsider asks those boards anew that this one did not follow, for a person has said that it may. It may be called
// from any goroutine.
func (h *host) Reconsider() {
	h.roster.Reschedule(func(c *roster.Contact) bool { return errors.Is(c.Err, trust.ErrNotFollowed) }, time.Now())
	h.wakeUp()
}

// saysUnfollowed reports whether what this board does names a manager that it does not follow.
func (h *host) saysUnfollowed() bool {
	now := h.Load()
	return now.action.Trouble && slices.ContainsFunc(now.view.Boards.Unfollowed, func(u policy.Unfollowed) bool {
		return now.action.Reason == policy.AnotherKey(u.Serial.Name(), h.Serial.Name())
	})
}
