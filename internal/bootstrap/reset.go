package bootstrap

// Reset: a board leaves its swarm because a person on it has asked for that. It is the only way in which a manager goes
// without a trace, for docker swarm leave refuses to be given on one.

import (
	"context"
	"errors"
	"fmt"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Reset takes this board out of its swarm, lets it forget whom it trusts, and keeps it out until the agent starts anew.
// A manager becomes a worker first. The only manager of a swarm, which ends with it, goes only when the swarm is named
// by its id. Reset returns what was done in a sentence, within a minute.
func (c *commands) Reset(ctx context.Context, swarmID string) (string, error) {
	return c.order(ctx, func(ctx context.Context) (string, error) {
		return "This board has left its swarm and forgotten it. It stays out until it is switched off and on, or its " +
				"agent is restarted. \"docker node ls\" on a manager still shows it; \"docker node rm\" takes it off the list.",
			c.reset(ctx, swarmID)
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
	case s.State == swarm.Inactive && c.card.Revive.IsValid() && swarmID != c.card.Swarm:
		return fmt.Errorf("this board is the only manager of swarm %s and is bringing it back; if the swarm is to end "+
			"with its services and secrets: sudo pi-agent reset -swarm %s", c.card.Swarm, c.card.Swarm)
	case s.State == swarm.Inactive:
	case s.Manager:
		err = manager.Resign(ctx, c.engine, s, swarmID, c.Timing.Resign)
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
	c.wasReset, c.actor.leaving = true, nil // it has not left for another swarm, as it may have wanted to
	c.Log.Info("This board was reset: it is in no swarm and forgets the one it was in.")
	if c.Pins != nil {
		c.Pins.Forget()
	}
	c.card.Membership = peer.Membership{}
	return c.card.remember(c.card.Membership)
}
