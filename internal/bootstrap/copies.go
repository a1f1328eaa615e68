package bootstrap

// Copies: the card of this board was in another one before. Either it was copied, and the other board goes on with the same
// membership of the swarm; then this one leaves it, which the other does not notice, and joins under its own name. Or it was
// moved, because a board broke; then the membership is this board's, for a swarm may have no other manager. Which of the two
// it is shows within minutes: two members with one node id are there, or not.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// copyMax is how long after its start a board takes its membership for that of a copy when another board has the same one.
// Later each of the two may hold something that the other does not.
const copyMax = 15 * time.Minute

// copied decides for a board with the card of another one that is met.
func copied(v View) (Action, bool) {
	if v.Member.From == "" || v.Engine.NodeID == "" {
		return Action{}, false
	}
	for _, p := range v.Peers {
		if p.Claim.Node == v.Engine.NodeID && v.Now.Sub(p.Met) < rivalFor {
			return Action{Kind: Shed, Reason: fmt.Sprintf("The card of this board is a copy of that of %s, which is there as well: "+
				"leaving the swarm as its copy", p.Claim.Serial.Name())}, true
		}
	}
	return Action{}, false
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
	if l.Member.From == "" || l.statusErr != nil || l.status.NodeID == "" || now.Sub(l.started) < copyMax {
		return
	}
	l.Log.Info(fmt.Sprintf("The card of this board was in %s, which has not been met: its place in the swarm is this board's now.",
		l.Member.From.Name()))
	m := l.Member
	m.From = ""
	l.keep(m)
}
