package bootstrap

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// expel takes the nodes of boards that the settings deny off the list, which ends their certificates; a manager is made a
// worker first. What cannot be done is said once for a node and tried at every turn.
func (l *Loop) expel(ctx context.Context, nodes []swarm.Node) {
	for _, n := range nodes {
		serial := peer.Serial(n.Labels[LabelSerial])
		if n.ID == l.status.NodeID || !slices.Contains(l.Deny, serial) {
			continue
		}
		manager, done := n.Votes, "its node is removed from the swarm"
		var err error
		if manager {
			done = "it is made a worker, and then its node is removed from the swarm"
			err = l.Engine.SetRole(ctx, n.ID, false)
		} else {
			err = l.Engine.Remove(ctx, n.ID, true)
		}
		text, log := "denied by the settings: "+done, l.Log.Info
		if err != nil {
			text, log = fmt.Sprintf("denied by the settings, and its node cannot be removed from the swarm: %v", err), l.Log.Warn
		}
		if manager || err != nil {
			if slices.Contains(l.unremoved, n.ID) {
				log = l.Log.Debug
			} else {
				l.unremoved = append(l.unremoved, n.ID)
			}
		}
		log(fmt.Sprintf("%s is %s.", serial.Name(), text), zap.String("node", n.ID))
	}
}
