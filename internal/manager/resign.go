package manager

// Resigning: a manager leaves its swarm because a person on it has asked for that. It becomes a worker first, so that
// the swarm goes on without it.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Resign makes this board, a manager with that status, leave a swarm that lives on without it, or the one that was
// named by its id, which ends with it. every is the time between two looks whether it is a worker yet.
func Resign(ctx context.Context, engine swarm.Engine, s swarm.Status, swarmID string, every time.Duration) error {
	nodes, err := engine.Nodes(ctx)
	if errors.Is(err, swarm.ErrNoLeader) {
		return errors.New("this board does not reach enough of the other managers to leave them without harm: " +
			"try again when they are back")
	}
	if err != nil {
		return err
	}
	managers := 0
	for _, n := range nodes {
		if n.Votes {
			managers++
		}
	}
	switch {
	case managers > 1:
		return resignFrom(ctx, engine, s.NodeID, every)
	case swarmID != s.SwarmID:
		return fmt.Errorf("this board is the only manager of swarm %s with %d nodes, which ends for all of them with its "+
			"services and secrets; if that is meant: sudo pi-agent reset -swarm %s", s.SwarmID, len(nodes), s.SwarmID)
	}
	return engine.Leave(ctx, true)
}

// resignFrom makes this manager a worker, and then leaves.
func resignFrom(ctx context.Context, engine swarm.Engine, node string, every time.Duration) error {
	leaving := map[string]string{LabelLeaving: "true"}
	if err := engine.Label(ctx, node, leaving); err != nil {
		return fmt.Errorf("make this manager a worker: %w", err)
	}
	if err := engine.SetRole(ctx, node, false); err != nil {
		leaving[LabelLeaving] = ""
		if kept := engine.Label(ctx, node, leaving); kept != nil {
			err = fmt.Errorf("%w; and it keeps its label %s: %w", err, LabelLeaving, kept)
		}
		return fmt.Errorf("make this manager a worker: %w", err)
	}
	if err := becomeWorker(ctx, engine, every); err != nil {
		return err
	}
	return engine.Leave(ctx, false)
}

// becomeWorker waits until the engine is no manager any more.
func becomeWorker(ctx context.Context, engine swarm.Engine, every time.Duration) error {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		if s, err := engine.Status(ctx); err == nil && !s.Manager {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.New("this manager was told to be a worker and is not one yet: try again")
		}
	}
}
