package manager

// This file removes the nodes of boards that the settings deny.

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"
)

// expel takes the nodes of boards that the settings deny off the list, which ends their certificates; a manager is made
// a worker first. What cannot be done is said once for a node and tried at every turn.
func (m *Manager) expel(ctx context.Context, s Snapshot) {
	for _, n := range s.Nodes {
		if n.ID == s.Self || !slices.Contains(m.Deny, serialOf(n)) {
			continue
		}
		manager, done := n.Votes, "its node is removed from the swarm"
		var err error
		if manager {
			done = "it is made a worker, and then its node is removed from the swarm"
			err = m.Engine.SetRole(ctx, n.ID, false)
		} else {
			err = m.Engine.Remove(ctx, n.ID, true)
		}
		text, log := "denied by the settings: "+done, m.Log.Info
		if err != nil {
			text, log = fmt.Sprintf("denied by the settings, and its node cannot be removed from the swarm: %v", err), m.Log.Warn
		}
		if manager || err != nil {
			if slices.Contains(m.unremoved, n.ID) {
				log = m.Log.Debug
			} else {
				m.unremoved = append(m.unremoved, n.ID)
			}
		}
		log(fmt.Sprintf("%s is %s.", serialOf(n).Name(), text), zap.String("node", n.ID))
	}
}
