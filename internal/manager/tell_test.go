package manager

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

func TestTellNodes(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	m := New(Options{Timing: patient, Show: func(string) {}, Log: zap.New(core)})
	tell := func(nodes []swarm.Node) { m.tell(Snapshot{Self: "n1", Nodes: nodes}) }
	self := swarm.Node{ID: "n1", Hostname: "pi1", Ready: true}
	node := func(id, name string, ready bool) swarm.Node { return swarm.Node{ID: id, Hostname: name, Ready: ready} }
	tests := []struct {
		name  string
		nodes []swarm.Node // beside self
		want  []string
	}{
		{"alone", nil, nil},
		{"on its way in", []swarm.Node{node("n2", "", false)}, nil},
		{"in", []swarm.Node{node("n2", "pi2", true)}, []string{"pi2 is in the swarm: 2 of 2 nodes ready."}},
		{"nothing new", []swarm.Node{node("n2", "pi2", true)}, nil},
		{"down", []swarm.Node{node("n2", "pi2", false)}, []string{"pi2 is down: 1 of 2 nodes ready."}},
		{"still down", []swarm.Node{node("n2", "pi2", false)}, nil},
		{"back", []swarm.Node{node("n2", "pi2", true)}, []string{"pi2 is back: 2 of 2 nodes ready."}},
		{"removed", nil, []string{"A node was taken off the list: 1 of 1 nodes ready."}},
	}
	for _, tt := range tests {
		tell(append([]swarm.Node{self}, tt.nodes...))
		var got []string
		for _, e := range logs.TakeAll() {
			got = append(got, e.Message)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}

	// The agent was restarted: it tells how the swarm stands, the boards that are down included, and not one on its way
	// in.
	m.nodes = nodes{}
	tell([]swarm.Node{self, node("n2", "pi2", true), node("n3", "pi3", false), node("n4", "", false)})
	var got []string
	for _, e := range logs.TakeAll() {
		got = append(got, e.Message)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"pi2 is in the swarm: 2 of 4 nodes ready.", "pi3 is down: 2 of 4 nodes ready."},
		got); diff != "" {
		t.Errorf("restarted (-want +got):\n%s", diff)
	}
}
