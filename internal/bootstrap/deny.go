package bootstrap

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// expel takes the nodes of boards that the settings deny off the list, which ends their certificates. What cannot be done is
// said once for a node and tried at every turn.
func (l *Loop) expel(ctx context.Context, nodes []swarm.Node) {
	for _, n := range nodes {
		serial := peer.Serial(n.Labels[LabelSerial])
		if n.ID == l.status.NodeID || !slices.Contains(l.Deny, serial) {
			continue
		}
		err := l.Engine.Remove(ctx, n.ID, true)
		if err == nil {
			l.Log.Info(fmt.Sprintf("%s is denied by the settings: its node is removed from the swarm.", serial.Name()), zap.String("node", n.ID))
			continue
		}
		log := l.Log.Debug
		if !slices.Contains(l.unremoved, n.ID) {
			l.unremoved = append(l.unremoved, n.ID)
			log = l.Log.Warn
		}
		log(fmt.Sprintf("%s is denied by the settings, and its node cannot be removed from the swarm: %v.", serial.Name(), err),
			zap.String("node", n.ID))
	}
}
