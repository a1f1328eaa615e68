package bootstrap

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// card is this board's place in a swarm, which is kept on its card through a power cut.
type card struct {
	peer.Membership
	remember func(peer.Membership) error
	commit   func(peer.Membership) error
	log      *zap.Logger
}

// note takes in the status of an engine that answers. A worker's engine does not know the id of its swarm, and its
// manager does: swarmOf asks for it. An engine that stumbles on the way back into its swarm, or is brought back,
// changes nothing.
func (c *card) note(s swarm.Status, swarmOf func(swarm.Status) string) {
	was, is := c.Membership, peer.Membership{}
	switch {
	case s.State == swarm.Failed && was.Node != "", s.State == swarm.Inactive && was.Revive.IsValid():
		return
	case s.State == swarm.Active && s.Manager:
		is.Swarm, is.Node, is.Manager = s.SwarmID, s.NodeID, true
	case s.State == swarm.Active, s.NodeID != "":
		is.Node = s.NodeID
	case s.State == swarm.Locked && was.Node != "": // it does not say which
		is.Swarm, is.Node = was.Swarm, was.Node
	}
	if is.Swarm == "" && is.Node == was.Node {
		is.Swarm = was.Swarm // the same as long as the node is
	}
	if is.Swarm == "" && is.Node != "" && !is.Manager {
		is.Swarm = swarmOf(s)
	}
	if is.Swarm == was.Swarm {
		is.Yields = was.Yields
	}
	if is.Node == was.Node && s.State != swarm.Active { // it does not say whether it manages
		is.Manager, is.Sole, is.Revive = was.Manager, was.Sole, was.Revive
	} else if is.Manager {
		n := len(s.Managers) // none for a moment after the engine's start
		is.Sole = n == 1 || n == 0 && was.Sole
	}
	if is.Node != "" && (was.Node == "" || was.Node == is.Node) {
		is.From = was.From
	}
	if is != was {
		c.keep(is)
	}
}

// keep keeps it, as far as the card can be written.
func (c *card) keep(m peer.Membership) {
	c.Membership = m
	if err := c.remember(m); err != nil {
		c.log.Warn(fmt.Sprintf("After a power cut this board will not know at once whether it is in a swarm: %v.", err))
	}
}

// write keeps it, or changes nothing.
func (c *card) write(m peer.Membership) error {
	if err := c.commit(m); err != nil {
		return err
	}
	c.Membership = m
	return nil
}

// adopt makes the membership of a card that was moved this board's own, once the board before has not been met for as
// long as a copy would have been.
func (c *card) adopt(s swarm.Status, on, copied time.Duration) {
	if c.From == "" || s.NodeID == "" || on < copied {
		return
	}
	c.log.Info(fmt.Sprintf("The card of this board was in %s, which has not been met: its place in the swarm is this "+
		"board's now.",
		c.From.Name()))
	m := c.Membership
	m.From = ""
	c.keep(m)
}
