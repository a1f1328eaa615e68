package manager

// This file tells the journal which nodes come and go.

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// nodes is the previous list of nodes, kept to tell what has changed since.
type nodes struct {
	ready map[string]bool // by node id
	calm  time.Time       // when one last came or went
}

// tell says which nodes came, went down, came back and left since the last list. A node that is on its way in is not
// ready yet, has no name before it is there, and is no news.
func (m *Manager) tell(s Snapshot) {
	before := m.nodes.ready
	m.nodes.ready = make(map[string]bool, len(s.Nodes))
	up := 0
	for _, n := range s.Nodes {
		if _, known := before[n.ID]; n.Ready || known || before == nil && n.Hostname != "" {
			m.nodes.ready[n.ID] = n.Ready
		}
		if n.Ready {
			up++
		}
	}
	if !maps.Equal(before, m.nodes.ready) {
		m.nodes.calm = s.Now
	}
	count := fmt.Sprintf("%d of %d nodes ready", up, len(s.Nodes))
	m.Show(fmt.Sprintf("Manager of the swarm, %s", count))
	info, warn := m.Log.Info, m.Log.Warn
	if slices.ContainsFunc(s.Nodes, func(n swarm.Node) bool { return n.Leader && n.ID != s.Self }) {
		info, warn = m.Log.Debug, m.Log.Debug // it is told where the managers are led, and not three times
	}
	for _, n := range s.Nodes {
		was, known := before[n.ID]
		ready, tells := m.nodes.ready[n.ID]
		node, addr := zap.String("node", n.ID), zap.Stringer("addr", n.Addr)
		switch {
		case !tells, n.ID == s.Self, known && was == ready:
		case ready && !known:
			info(fmt.Sprintf("%s is in the swarm: %s.", n.Hostname, count), node, addr)
		case ready:
			info(fmt.Sprintf("%s is back: %s.", n.Hostname, count), node, addr)
		default:
			warn(fmt.Sprintf("%s is down: %s.", n.Hostname, count), node, addr)
		}
	}
	for id := range before {
		if _, still := m.nodes.ready[id]; !still {
			info(fmt.Sprintf("A node was taken off the list: %s.", count), zap.String("node", id))
		}
	}
}
