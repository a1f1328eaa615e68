package manager

// Stale nodes: those that boards leave behind. A board with a new card is a new node of its swarm; it takes the place
// of the old one, which is recognised by the serial and by nothing else. A join that fails halfway, as when power is
// cut or the authority is being exchanged, leaves a node that no board ever was. Nodes of boards that never come back
// are for a person to remove.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// successor is the node as which the board of a node that is down has come back.
func successor(n swarm.Node, nodes []swarm.Node) (swarm.Node, bool) {
	for _, o := range nodes {
		if o.ID != n.ID && o.Ready && !n.Ready && serialOf(o) != "" && serialOf(o) == serialOf(n) {
			return o, true
		}
	}
	return swarm.Node{}, false
}

// replaceStale lets boards with new cards take the places of their old nodes. It is for the manager that leads the
// others.
func (m *Manager) replaceStale(ctx context.Context, nodes []swarm.Node) {
	for _, stale := range nodes {
		n, ok := successor(stale, nodes)
		if !ok || stale.Leader {
			continue
		}
		if err := m.replace(ctx, stale, n); err != nil && ctx.Err() == nil {
			m.Log.Debug("A stale node could not be replaced; the next turn tries again.",
				zap.String("node", stale.ID), zap.Error(err))
		}
	}
}

// replace gives the labels and availability of a stale node to another one, and then removes it. Each step may be the
// last one before the power goes: what was done already is then found done. A stale node that has a vote is made a
// worker first.
func (m *Manager) replace(ctx context.Context, stale, by swarm.Node) error {
	if stale.Votes {
		return m.Engine.SetRole(ctx, stale.ID, false)
	}
	given := maps.Clone(stale.Labels)
	maps.DeleteFunc(given, func(k, _ string) bool {
		_, ok := by.Labels[k]
		return ok || strings.HasPrefix(k, labelPrefix)
	})
	if err := m.Engine.Label(ctx, by.ID, given); err != nil {
		return err
	}
	if by.Availability == swarm.Available {
		if err := m.Engine.SetAvailability(ctx, by.ID, stale.Availability); err != nil {
			return err
		}
	}
	if err := m.Engine.Remove(ctx, stale.ID, false); err != nil {
		return err
	}
	text := fmt.Sprintf("%s has a new card: the node of the old one is removed from the swarm", nameOf(by))
	if len(given) > 0 || stale.Availability != swarm.Available {
		text += ", and its labels and availability go to the new one"
	}
	m.Log.Info(text+".", zap.String("old", stale.ID), zap.String("node", by.ID))
	return nil
}

// isPhantom reports whether no board ever was this node: it got a certificate and never said who it is.
func isPhantom(n swarm.Node, peers []policy.Peer) bool {
	return n.Hostname == "" && !n.Ready && !n.Manager && !n.Votes && serialOf(n) == "" &&
		!slices.ContainsFunc(peers, func(p policy.Peer) bool { return p.Claim.Node == n.ID })
}

// removePhantoms takes nodes off the list that have been phantoms for long enough to have come up. A board that is that
// slow after all finds that it is not listed, and joins anew.
func (m *Manager) removePhantoms(ctx context.Context, s Snapshot) {
	before := m.phantoms
	m.phantoms = map[string]timing.Since{}
	for _, n := range s.Nodes {
		if !isPhantom(n, s.Peers) {
			continue
		}
		since := before[n.ID]
		since.Note(true, s.Now)
		m.phantoms[n.ID] = since
		if !since.For(m.Timing.Phantom, s.Now) {
			continue
		}
		if err := m.Engine.Remove(ctx, n.ID, false); err != nil {
			m.Log.Debug("A node that no board ever was could not be removed; the next turn tries again.",
				zap.String("node", n.ID), zap.Error(err))
			continue
		}
		m.Log.Info("A join that failed has left a node that no board is: it is removed from the swarm.",
			zap.String("node", n.ID))
	}
}
