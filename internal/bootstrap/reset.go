package bootstrap

// Reset: a board leaves its swarm because a person on it has asked for that. It is the only way in which a manager goes
// without a trace, for docker swarm leave refuses to be given on one.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Reset takes this board out of its swarm, lets it forget whom it trusts, and keeps it out until the agent starts anew. A
// manager becomes a worker first. The only manager of a swarm, which ends with it, goes only when the swarm is named by
// its id. Reset returns what was done in a sentence, within a minute.
func (c *commands) Reset(ctx context.Context, swarmID string) (string, error) {
	return c.order(ctx, func(ctx context.Context) (string, error) {
		return "This board has left its swarm and forgotten it. It stays out until it is switched off and on, or its agent is " +
			"restarted. \"docker node ls\" on a manager still shows it; \"docker node rm\" takes it off the list.", c.reset(ctx, swarmID)
	})
}

// reset does it.
func (c *commands) reset(ctx context.Context, swarmID string) error {
	ctx, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	s, err := c.engine.Status(ctx)
	switch {
	case err != nil:
		return err
	case s.State == swarm.Inactive:
	case s.Manager:
		err = c.resign(ctx, s, swarmID)
	case s.State == swarm.Locked, s.State == swarm.Failed && c.card.Node != "":
		// It may be the only manager, and would leave without a word.
		return errors.New("the Docker Engine cannot enter its swarm, which may end with this board; " +
			"if that is meant: docker swarm leave --force, and then reset again")
	default:
		err = c.engine.Leave(ctx, false)
	}
	c.engine.expire()
	if err != nil {
		return err
	}
	c.wasReset = true
	c.Log.Info("This board was reset: it is in no swarm and forgets the one it was in.")
	if c.Pins != nil {
		c.Pins.Forget()
	}
	c.card.Membership = peer.Membership{}
	return c.card.remember(c.card.Membership)
}

// resign makes this manager leave a swarm that lives on without it, or one that was named.
func (c *commands) resign(ctx context.Context, s swarm.Status, swarmID string) error {
	nodes, err := c.engine.Nodes(ctx)
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
		return c.resignFrom(ctx, s.NodeID)
	case swarmID != s.SwarmID:
		return fmt.Errorf("this board is the only manager of swarm %s with %d nodes, which ends for all of them with its "+
			"services and secrets; if that is meant: sudo pi-agent reset -swarm %s", s.SwarmID, len(nodes), s.SwarmID)
	}
	return c.engine.Leave(ctx, true)
}

// resignFrom makes this manager a worker, and then leaves.
func (c *commands) resignFrom(ctx context.Context, node string) error {
	leaving := map[string]string{manager.LabelLeaving: "true"}
	if err := c.engine.Label(ctx, node, leaving); err != nil {
		return fmt.Errorf("make this manager a worker: %w", err)
	}
	if err := c.engine.SetRole(ctx, node, false); err != nil {
		leaving[manager.LabelLeaving] = ""
		if kept := c.engine.Label(ctx, node, leaving); kept != nil {
			err = fmt.Errorf("%w; and it keeps its label %s: %w", err, manager.LabelLeaving, kept)
		}
		return fmt.Errorf("make this manager a worker: %w", err)
	}
	if err := c.becomeWorker(ctx); err != nil {
		return err
	}
	return c.engine.Leave(ctx, false)
}

// becomeWorker waits until the engine is no manager any more.
func (c *commands) becomeWorker(ctx context.Context) error {
	again := time.NewTicker(c.Timing.Resign)
	defer again.Stop()
	for {
		if s, err := c.engine.Status(ctx); err == nil && !s.Manager {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.New("this manager was told to be a worker and is not one yet: try again")
		}
	}
}
