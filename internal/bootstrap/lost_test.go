package bootstrap

import (
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// reflash puts a new card into the leader, whose swarm ends with it.
func reflash(t *testing.T, w *world, old *simBoard) {
	t.Helper()
	old.powerOff()
	for _, b := range w.boards {
		b.doomed = true
	}
	old.node, old.swarm, w.swarms = "", "", nil
	old.engine.Reflash()
	old.kept, old.pins = peer.Membership{}, trust.Pins{}
	old.key[1]++
	old.powerOn(t.Context(), 0)
}

// texts are all that a picture says to a person.
func texts(t *testing.T, p picture.Picture) string {
	t.Helper()
	var b strings.Builder
	if err := p.Text(&b, time.Now()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Without a cluster key the only manager gets a new card: all who are looked at say the one thing that helps, and
// nothing else, also after docker swarm leave; done as it is said, it helps.
func TestLostSwarmWithoutAKey(t *testing.T) {
	for _, name := range []string{"stays", "leaves", "late"} {
		leaves, late := name == "leaves", name == "late"
		t.Run(name, func(t *testing.T) {
			formedWorld(t, 3, func(t *testing.T, w *world) {
				w.keyless, w.step = true, time.Second
				for _, b := range w.boards { // with trust on first use
					b.kill()
					b.start(t.Context())
				}
				w.run(t, nil, time.Minute, nil)
				leader := w.leader()
				lost := leader.swarm
				reflash(t, w, leader)
				w.run(t, nil, 3*time.Minute, nil)
				if leader.running().Claim().State != peer.Manager {
					t.Fatalf("the board with the new card is %s", leader.running().Claim().State)
				}
				if text := "is in a swarm that this board managed with another card: it is lost with its services, secrets and configs."; !leader.said(text) {
					t.Errorf("%s does not say that it %s", leader.serial.Name(), text)
				}
				var workers []*simBoard
				for _, b := range w.boards {
					if b != leader {
						workers = append(workers, b)
					}
				}
				if leaves {
					for _, b := range workers {
						if err := b.engine.Leave(t.Context(), false); err != nil {
							t.Fatal(err)
						}
					}
					w.run(t, nil, 2*time.Minute, nil)
				}
				for _, b := range workers {
					remedy := policy.AnotherKey(leader.serial.Name(), b.serial.Name()).En + "."
					if !b.said(remedy) {
						t.Errorf("the journal of %s lacks %q", b.serial.Name(), remedy)
					}
					if n := strings.Count(texts(t, b.running().draw(t.Context())), remedy); n != 1 {
						t.Errorf("%s says the remedy %d times:\n%s", b.serial.Name(), n, texts(t, b.running().draw(t.Context())))
					}
					if all := texts(t, leader.running().draw(t.Context())); !strings.Contains(all, remedy) {
						t.Errorf("the manager does not say %q:\n%s", remedy, all)
					}
					if b.engine.In() != "" && leaves {
						t.Errorf("%s is in a swarm of its own", b.serial.Name())
					}
				}
				if !leaves && !leader.said(`"sudo pi-agent pair" here and on each of them lets them join.`) {
					t.Error("the journal of the manager does not say what helps")
				}
				for _, b := range w.boards {
					all := texts(t, b.running().draw(t.Context()))
					for _, wrong := range []string{"docker swarm leave", "Switch the managers on", "does not answer", "The clock of",
						"starts the swarm alone"} {
						if strings.Contains(all, wrong) {
							t.Errorf("%s says %q:\n%s", b.serial.Name(), wrong, all)
						}
					}
				}
				if late { // the new manager was switched on long ago, and the command is given on the workers only
					leader.kill()
					leader.switched = time.Now().Add(-patient.Pair)
					leader.start(t.Context())
					w.run(t, nil, 30*time.Second, nil)
					for _, b := range workers {
						b.pair()
					}
					w.run(t, nil, 2*time.Minute, nil)
					for _, b := range append(workers, leader) {
						all := texts(t, b.running().draw(t.Context()))
						if want := `Its last attempt failed: move to the swarm of `; !strings.Contains(all, want) ||
							!strings.Contains(all, `"sudo pi-agent pair" on it.`) {
							t.Errorf("%s does not say what lacks:\n%s", b.serial.Name(), all)
						}
					}
				}
				for _, b := range w.boards {
					b.pair()
				}
				w.run(t, nil, 90*time.Second, func() bool {
					for _, b := range workers {
						if b.engine.In() != leader.engine.In() {
							return false
						}
					}
					return true
				})
				w.run(t, nil, 30*time.Second, nil)
				all := texts(t, workers[0].running().draw(t.Context()))
				note := "It has left swarm " + lost +
					", which is lost with its services, secrets and configs: deploy anew what shall run."
				if want := 1; !leaves && strings.Count(all, note) != want || leaves && strings.Contains(all, note) {
					t.Errorf("afterwards: %s", all)
				}
			})
		})
	}
}

// With a cluster key the workers move by themselves, and say what is lost before and after.
func TestLostSwarmWithAKey(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		w.step = time.Second
		leader := w.leader()
		lost := leader.swarm
		w.run(t, nil, time.Minute, nil)
		reflash(t, w, leader)
		before := "No manager of swarm " + lost + " is left: " + leader.serial.Name() +
			" does not know it any more, as after a new card or pi-agent yield, " +
			"and its services, secrets and configs are lost."
		shown := false
		w.run(t, nil, 3*time.Minute, func() bool {
			moved := true
			for _, b := range w.boards {
				if b != leader && b.running() != nil {
					shown = shown || strings.Contains(texts(t, b.running().draw(t.Context())), before)
				}
				moved = moved && b.engine.In() != "" && b.engine.In() == leader.engine.In()
			}
			return moved
		})
		w.run(t, nil, 30*time.Second, nil)
		if !shown {
			t.Error("no status says it before")
		}
		for _, b := range w.boards {
			after := "This board has left swarm " + lost +
				", which is lost with its services, secrets and configs: its containers are stopped."
			if b != leader && (!b.said(before) || !b.said(after)) {
				t.Errorf("the journal of %s lacks %q or %q", b.serial.Name(), before, after)
			}
			note := "It has left swarm " + lost +
				", which is lost with its services, secrets and configs: deploy anew what shall run."
			if all := texts(t, b.running().draw(t.Context())); strings.Count(all, note) != 1 {
				t.Errorf("%s says afterwards:\n%s", b.serial.Name(), all)
			}
		}
		w.run(t, nil, patient.LossTold+time.Minute, nil)
		if all := texts(t, leader.running().draw(t.Context())); strings.Contains(all, lost) {
			t.Errorf("an hour later:\n%s", all)
		}
	})
}
