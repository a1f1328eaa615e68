package bootstrap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Workers get new cards, and power fails at any moment of it: each new node has the labels and the availability of the
// old one, which is off the list. A node whose board never comes back stays.
func simNewCard(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 4)
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	leader := w.leader()
	w.run(t, nil, 30*time.Second, nil) // until all know their swarm's id
	var workers []*simBoard
	for _, b := range w.boards {
		if b != leader {
			workers = append(workers, b)
		}
	}
	drained, plain, gone := workers[0], workers[1], workers[2]
	given := map[string]string{"disk": "ssd", "pi.serial": "a person's", "room": "12"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(leader.engine.Label(t.Context(), drained.node, given))
	must(leader.engine.Label(t.Context(), drained.node, map[string]string{"pi.serial": string(drained.serial)}))
	must(leader.engine.SetAvailability(t.Context(), drained.node, swarm.Drained))
	old := map[*simBoard]string{drained: drained.node, plain: plain.node, gone: gone.node}
	var plan []event
	for _, b := range []*simBoard{drained, plain} {
		plan = append(plan, event{upTo(rnd, time.Minute), b, "new card",
			func() { w.reflash(t, b, upTo(rnd, 10*time.Second)) }})
	}
	plan = append(plan, event{upTo(rnd, time.Minute), gone, "power cut", gone.powerOff})
	cuts := rnd.IntN(4)
	for range cuts {
		at := upTo(rnd, 2*time.Minute)
		plan = append(plan, event{at, leader, "reboot", func() {
			leader.powerOff()
			leader.powerOn(t.Context(), upTo(rnd, 10*time.Second))
		}})
	}
	w.run(t, plan, 5*time.Minute, func() bool {
		nodes, err := leader.engine.Nodes(t.Context())
		return err == nil && len(nodes) == 4 && w.formed()
	})
	w.run(t, nil, time.Minute, nil)
	nodes, err := leader.engine.Nodes(t.Context())
	must(err)
	for _, n := range nodes {
		want := swarm.Node{Availability: swarm.Available, Labels: map[string]string{}}
		switch peer.Serial(n.Labels[manager.LabelSerial]) {
		case drained.serial:
			want.Availability = swarm.Drained
			want.Labels = map[string]string{"disk": "ssd", "room": "12"}
		case gone.serial:
			if n.ID != old[gone] {
				t.Errorf("the board that is gone was node %s and is %s", old[gone], n.ID)
			}
		}
		maps.DeleteFunc(n.Labels, func(k, _ string) bool { return k == manager.LabelSerial || k == manager.LabelModel })
		if n.Availability != want.Availability || !maps.Equal(n.Labels, want.Labels) {
			t.Errorf("%s is %s with %v, want %s with %v", n.Hostname, n.Availability, n.Labels, want.Availability, want.Labels)
		}
	}
	for b, said := range map[*simBoard]string{drained: ", and its labels and availability go to the new one.",
		plain: "."} {
		if text := fmt.Sprintf("%s has a new card: the node of the old one is removed from the swarm%s", b.serial.Name(),
			said); cuts == 0 && !leader.said(text) {
			t.Errorf("%s does not say %q", leader.serial.Name(), text)
		}
	}
}
