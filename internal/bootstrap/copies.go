package bootstrap

// Copies: the card of this board was in another one before. Either it was copied, and the other board goes on with the same
// membership of the swarm; then this one leaves it, which the other does not notice, and joins under its own name. Or it was
// moved, because a board broke; then the membership is this board's, for a swarm may have no other manager. Which of the two
// it is shows within minutes: two members with one node id are there, or not.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// copied decides for a board with the card of another one that is met.
func copied(v View) (Action, bool) {
	node := cmp.Or(v.Engine.NodeID, v.Member.Node) // an engine that cannot enter its swarm does not say which node it is
	if v.Member.From == "" || v.Engine.State == swarm.Inactive || node == "" {
		return Action{}, false
	}
	for _, p := range v.Peers {
		if p.Claim.Node == node && v.Now.Sub(p.Met) < v.Timing.Rival {
			return Action{Kind: Shed, Reason: fmt.Sprintf("The card of this board is a copy of that of %s, which is there as well: "+
				"leaving the swarm as its copy", p.Claim.Serial.Name())}, true
		}
	}
	return Action{}, false
}

// doubles are two boards that say that they are the same node of a swarm, this one among them or not.
func (v View) doubles() (a, b peer.Serial, are bool) {
	boards := map[string]peer.Serial{v.Engine.NodeID: v.Serial}
	for _, p := range v.Peers {
		node := p.Claim.Node
		if node == "" || v.Now.Sub(p.Met) >= v.Timing.Rival {
			continue
		}
		if other, is := boards[node]; is {
			return min(other, p.Claim.Serial), max(other, p.Claim.Serial), true
		}
		boards[node] = p.Claim.Serial
	}
	return "", "", false
}

// doubled names two boards that have been one node for longer than a copy takes to leave: each may hold by now what the
// other does not, and which of them is the copy only a person can tell.
func doubled(v View, k Kind) (Action, bool) {
	a, b, are := v.doubles()
	if !are || v.Doubled.IsZero() || v.Now.Sub(v.Doubled) < v.Timing.Doubled {
		return Action{}, false
	}
	return Action{Kind: k, Trouble: true, Reason: fmt.Sprintf("%s and %s are one node of the swarm, for the card of one is a copy of "+
		"the other's: \"sudo pi-agent reset\" on the board with the copied card", a.Name(), b.Name())}, true
}

// observeDoubles notes since when there are doubles.
func (l *Loop) observeDoubles(now time.Time) {
	switch _, _, are := l.view(now).doubles(); {
	case !are:
		l.doubled = time.Time{}
	case l.doubled.IsZero():
		l.doubled = now
	}
}

// shed leaves the swarm without a word to it.
func (l *Loop) shed(ctx context.Context) error {
	l.ticket.Store(nil)
	if err := l.Engine.Leave(ctx, true); err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return fmt.Errorf("leave the swarm of a copied card: %w", err)
	}
	l.left = time.Now()
	return nil
}

// keepCard makes the membership of a card that was moved this board's own.
func (l *Loop) keepCard(now time.Time) {
	if l.Member.From == "" || l.statusErr != nil || l.status.NodeID == "" || now.Sub(l.started) < l.Timing.Copy {
		return
	}
	l.Log.Info(fmt.Sprintf("The card of this board was in %s, which has not been met: its place in the swarm is this board's now.",
		l.Member.From.Name()))
	m := l.Member
	m.From = ""
	l.keep(m)
}
