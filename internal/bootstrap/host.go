package bootstrap

// The board as a host of others: what the server of package enroll asks of it.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Met implements enroll.Host.
func (l *Loop) Met(p enroll.Peer) {
	l.meet(p, time.Now())
	l.wakeUp()
}

// Stranger implements enroll.Host.
func (l *Loop) Stranger(c peer.Claim) { l.Discovery.Stranger(c) }

// meet takes in what another board says about itself, and logs what is news. It reports whether the board has said something
// newer before.
func (l *Loop) meet(p enroll.Peer, now time.Time) (stale bool) {
	first, trouble, stale := l.roster.Meet(p, now)
	if stale {
		return true
	}
	if p.Key != l.Key {
		l.hinted(p.Claim.Others(), now)
	}
	if first && p.Claim.Serial != l.Serial { // policy.Decide names a twin
		l.tellMet(p)
	}
	l.compareNames(p)
	if trouble {
		l.Log.Warn(fmt.Sprintf("%s cannot take part: %s", p.Claim.Serial.Name(), status.Sentence(p.Claim.Trouble)))
	}
	return false
}

// compareNames finds that another board has the name of this one, and lets the one with the higher serial give way.
func (l *Loop) compareNames(p enroll.Peer) {
	name := l.Hostname()
	if name == "" || !strings.EqualFold(name, p.Claim.Hostname) || p.Claim.Serial >= l.Serial {
		return
	}
	if was := l.taken.Swap(&name); was != nil && *was == name {
		return
	}
	text := fmt.Sprintf("%s at %s is called %s, too", p.Claim.Serial.Name(), p.Addr.Addr(), name)
	if l.Rename == nil {
		l.Log.Warn(text + ": give one of them another name.")
		return
	}
	l.Log.Info(text + ": this board, with the higher serial, takes another name.")
	if err := l.Rename(name); err != nil {
		l.Log.Warn(fmt.Sprintf("The name stays: %v.", err))
	}
}

func (l *Loop) tellMet(p enroll.Peer) {
	l.Log.Info(fmt.Sprintf("Found %s at %s.", p.Claim.Serial.Name(), p.Addr.Addr()), zap.String("serial", string(p.Claim.Serial)),
		zap.String("model", p.Claim.Model), zap.String("state", string(p.Claim.State)))
}

// nodeIDs are the nodes of a swarm.
type nodeIDs struct {
	all   []string
	ready int
}

// Answer implements enroll.Host: the claim, and for a node whether it is one of ours, and how many there are.
func (l *Loop) Answer(p enroll.Peer) peer.Claim {
	c := l.Claim()
	if seen := l.snapshot.Load(); seen != nil {
		c.Unreached = slices.ContainsFunc(seen.view.Boards.Unreached, func(u policy.Unreached) bool {
			return u.Serial == p.Claim.Serial && seen.view.Told(u)
		})
	}
	listed := l.listed.Load()
	if c.State != peer.Manager || p.Claim.State != peer.Worker || p.Claim.Node == "" || listed == nil {
		return c
	}
	if slices.Contains(listed.all, p.Claim.Node) {
		c.Nodes, c.Ready = len(listed.all), listed.ready
	} else {
		c.Unlisted = true
	}
	return c
}

// list notes which nodes the swarm has, for Answer.
func (l *Loop) list(nodes []swarm.Node) {
	var ids nodeIDs
	for _, n := range nodes {
		ids.all = append(ids.all, n.ID)
		if n.Ready {
			ids.ready++
		}
	}
	l.listed.Store(&ids)
}

// Ticket implements enroll.Host: a manager hands out the token for workers to a board that is in no swarm.
func (l *Loop) Ticket(ctx context.Context, p enroll.Peer) (enroll.Ticket, error) {
	base := l.ticket.Load()
	if base == nil {
		return enroll.Ticket{}, errors.New("this board is not a manager now")
	}
	if p.Claim.State.InSwarm() && !p.Claim.Moving {
		return enroll.Ticket{}, fmt.Errorf("%s is in a swarm already", p.Claim.Serial.Name())
	}
	if l.Pins != nil {
		if err := l.Pins.Admit(p); err != nil {
			return enroll.Ticket{}, err
		}
	}
	token, err := l.Engine.WorkerToken(ctx)
	if err != nil {
		return enroll.Ticket{}, fmt.Errorf("the engine gives no join token: %w", err)
	}
	managers := []netip.AddrPort{netip.AddrPortFrom(base.advertise, swarm.Port)}
	for _, m := range base.managers {
		if m.Addr() != base.advertise {
			managers = append(managers, m)
		}
	}
	log := l.Log.Info
	if p.Claim.Moving {
		log = l.Log.Debug // it asks again when it has left its swarm
	}
	log(fmt.Sprintf("Letting %s join as a worker.", p.Claim.Serial.Name()), zap.Stringer("addr", p.Addr.Addr()), zap.Stringer("key", p.Key))
	return enroll.Ticket{Token: token, Managers: managers}, nil
}

// Managers implements enroll.Host.
func (l *Loop) Managers() []enroll.Fingerprint {
	if base := l.ticket.Load(); base != nil {
		return base.keys
	}
	return nil
}

// ticketBase is what a manager needs to hand out tickets, beside the token.
type ticketBase struct {
	advertise netip.Addr
	managers  []netip.AddrPort     // those that are reachable first
	keys      []enroll.Fingerprint // of all managers, this board included; none with a cluster key
}
