package manager

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// shredder is an engine that removes nodes without force.
type shredder struct {
	Engine
	removed []string
}

func (s *shredder) Remove(_ context.Context, id string, force bool) error {
	if !force {
		s.removed = append(s.removed, id)
	}
	return nil
}

// A node that no board ever was is taken off the list, and no other.
func TestPhantoms(t *testing.T) {
	nodes := []swarm.Node{
		{ID: "self", Hostname: "pi1", Ready: true, Manager: true, Leader: true, Votes: true},
		{ID: "phantom"},
		{ID: "down", Hostname: "pi2"},
		{ID: "joining, and met"},
		{ID: "a board by its label", Labels: map[string]string{LabelSerial: string(low)}},
		{ID: "a manager to be", Manager: true},
	}
	peers := []policy.Peer{{Claim: peer.Claim{Node: "joining, and met"}}}
	engine := &shredder{}
	m := New(Options{Engine: engine, Timing: patient, Log: zap.NewNop()})
	look := func(at time.Duration, nodes []swarm.Node) {
		m.removePhantoms(t.Context(), Snapshot{Now: now.Add(at), Self: "self", Nodes: nodes, Peers: peers})
	}
	look(0, nodes)
	look(patient.Phantom-1, nodes)
	if len(engine.removed) > 0 {
		t.Errorf("removed %q too early", engine.removed)
	}
	look(patient.Phantom, nodes)
	if !slices.Equal(engine.removed, []string{"phantom"}) {
		t.Errorf("removed %q", engine.removed)
	}
	engine.removed = nil
	look(patient.Phantom, nodes[:1])
	look(patient.Phantom, nodes)
	if len(engine.removed) > 0 {
		t.Errorf("removed %q, which has just come", engine.removed)
	}
}
