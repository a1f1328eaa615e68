package manager

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// remover is an engine that only removes nodes, and stubborn ones not.
type remover struct {
	Engine
	removed, stubborn, demoted []string
}

func (r *remover) SetRole(_ context.Context, id string, manager bool) error {
	if manager {
		return errors.New("promoted")
	}
	r.demoted = append(r.demoted, id)
	return nil
}

func (r *remover) Remove(_ context.Context, id string, force bool) error {
	if !force || slices.Contains(r.stubborn, id) {
		return errors.New("it must be demoted to worker before removal")
	}
	r.removed = append(r.removed, id)
	return nil
}

func TestExpel(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	engine := &remover{stubborn: []string{"n4"}}
	const own = peer.Serial("10000000aabbcc01")
	m := New(Options{Engine: engine, Log: zap.New(core), Deny: []peer.Serial{own, "10000000aabbcc03", "10000000aabbcc04"}})
	expel := func(nodes []swarm.Node) { m.expel(t.Context(), Snapshot{Self: "n1", Nodes: nodes}) }
	var nodes []swarm.Node
	for _, n := range []string{"1", "2", "3", "4"} {
		nodes = append(nodes, swarm.Node{ID: "n" + n, Labels: map[string]string{LabelSerial: "10000000aabbcc0" + n}})
	}
	nodes = append(nodes, swarm.Node{ID: "n5"}) // not known yet
	nodes[2].Manager, nodes[2].Votes = true, true
	expel(nodes)
	if len(engine.removed) > 0 || !slices.Equal(engine.demoted, []string{"n3"}) {
		t.Errorf("a manager: removed %q, demoted %q", engine.removed, engine.demoted)
	}
	nodes[2].Manager, nodes[2].Votes = false, false
	expel(nodes)
	expel(slices.Delete(nodes, 2, 3))
	if diff := cmp.Diff([]string{"n3"}, engine.removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	var said []string
	for _, e := range logs.All() {
		said = append(said, e.Message)
	}
	if diff := cmp.Diff([]string{
		"pi-bbcc03 is denied by the settings: it is made a worker, and then its node is removed from the swarm.",
		"pi-bbcc04 is denied by the settings, and its node cannot be removed from the swarm: it must be demoted to worker " +
			"before removal.",
		"pi-bbcc03 is denied by the settings: its node is removed from the swarm.",
	}, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}
