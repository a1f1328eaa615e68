package bootstrap

// Yield: of two swarms that both hold something, a person gives one up, on the board that manages it. The order is kept
// on the card, so that a power cut in the midst of it changes nothing.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/policy"
)

// Yield gives up the swarm with this id, which this board must manage alone, for another one of its cluster that is
// met: the board moves there, and its workers follow. Without an id it changes nothing and says what would be lost. It
// returns a sentence, or an error that says why not.
func (c *commands) Yield(ctx context.Context, swarmID string) (string, error) {
	return c.order(ctx, func(ctx context.Context) (string, error) { return c.yield(ctx, swarmID) })
}

// yield does it.
func (c *commands) yield(ctx context.Context, swarmID string) (string, error) {
	c.engine.look(ctx, 0)
	own := c.engine.status.SwarmID
	switch {
	case c.engine.err != nil:
		return "", c.engine.err
	case !c.engine.manages() || own == "":
		return "", errors.New("this board does not manage a swarm: give the command on the manager of the swarm that is " +
			"to be given up")
	case swarmID != "" && swarmID != own:
		return "", fmt.Errorf("this board manages swarm %s: only that one can be given up here", own)
	case len(c.engine.status.Managers) > 1:
		return "", errors.New("the swarm has other managers: give managers = 1 on every board, or \"docker node demote\" " +
			"them, first")
	}
	if err := c.ties.count(ctx, c.engine); err != nil {
		return "", err
	}
	rival, met := c.rival()
	if !met {
		return "", fmt.Errorf("no other swarm of this cluster is met; this board manages %s with %s", own, c.ties.contents)
	}
	if rival.Barred != nil {
		return "", fmt.Errorf("%s manages the other swarm: %w", rival.Claim.Serial.Name(), rival.Barred)
	}
	name := rival.Claim.Serial.Name()
	if swarmID == "" {
		return fmt.Sprintf("This board manages swarm %s with %s. They are lost, and its boards move to the swarm of %s, "+
			"with:\n  sudo pi-agent yield %s\n"+
			"Without a cluster key give \"sudo pi-agent pair\" on each of its boards and on %s as well.",
			own, c.ties.contents, name, own, name), nil
	}
	m := c.card.Membership
	m.Swarm, m.Node, m.Manager, m.Yields = own, c.engine.status.NodeID, true, true
	if err := c.card.write(m); err != nil {
		return "", fmt.Errorf("keep the order on the card: %w", err)
	}
	c.Log.Warn(fmt.Sprintf("A person has given up swarm %s with %s.", own, c.ties.contents))
	return fmt.Sprintf("Swarm %s is given up. This board moves to the swarm of %s within seconds, its workers within "+
		"minutes; journalctl -fu pi-agent tells how it goes.", own, name), nil
}

// rival is the manager of the other swarm that the rule "two swarms" is about.
func (c *commands) rival() (policy.Peer, bool) {
	v := policy.View{Timing: c.Timing, Now: time.Now(), Engine: policy.Engine{Status: c.engine.status}}
	for _, p := range c.peers() {
		if v.Rival(p) {
			if c.Pins != nil {
				p.Barred = c.Pins.MayMove(p.Key)
			}
			return p, true
		}
	}
	return policy.Peer{}, false
}
