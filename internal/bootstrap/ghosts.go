package bootstrap

// Ghosts: the nodes that boards leave behind. A board with a new card is a new node of its swarm; it takes the seat of the
// old one, which is recognized by the serial and by nothing else. Nodes of boards that never come back are for a person to
// remove.

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// labelPrefix begins the labels that pi-agent gives to nodes. The others are a person's.
const labelPrefix = "pi."

// seat takes the seat of the nodes that a board was before: their labels and availability go to the node that it is now, and
// then they are removed. Each step may be the last one before the power goes: what was done already is then found done.
// Only the manager that leads the others acts.
func (l *Loop) seat(ctx context.Context, nodes []swarm.Node) {
	for _, ghost := range nodes {
		for _, n := range nodes {
			if n.ID != ghost.ID && n.Ready && !ghost.Ready && !ghost.Leader && serialOf(n) != "" && serialOf(n) == serialOf(ghost) {
				if err := l.take(ctx, n, ghost); err != nil && ctx.Err() == nil {
					l.Log.Debug("The seat of an old node could not be taken; the next turn tries again.",
						zap.String("node", ghost.ID), zap.Error(err))
				}
				break
			}
		}
	}
}

// take lets a node have the seat of another one, which is gone. A ghost that has a vote is made a worker first.
func (l *Loop) take(ctx context.Context, n, ghost swarm.Node) error {
	if ghost.Votes {
		return l.Engine.SetRole(ctx, ghost.ID, false)
	}
	given := maps.Clone(ghost.Labels)
	maps.DeleteFunc(given, func(k, _ string) bool {
		_, has := n.Labels[k]
		return has || strings.HasPrefix(k, labelPrefix)
	})
	if err := l.Engine.Label(ctx, n.ID, given); err != nil {
		return err
	}
	if n.Availability == swarm.Available {
		if err := l.Engine.SetAvailability(ctx, n.ID, ghost.Availability); err != nil {
			return err
		}
	}
	if err := l.Engine.Remove(ctx, ghost.ID, false); err != nil {
		return err
	}
	text := fmt.Sprintf("%s has a new card: the node of the old one is removed from the swarm", nameOf(n))
	if len(given) > 0 || ghost.Availability != swarm.Available {
		text += ", and its labels and availability go to the new one"
	}
	l.Log.Info(text+".", zap.String("old", ghost.ID), zap.String("node", n.ID))
	return nil
}
