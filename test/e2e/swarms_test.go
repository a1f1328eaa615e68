package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have two swarms of one cluster, or workers whose manager is gone.

// formedApart lets the Pis form a swarm each, on switches of their own: the first ones together, the last one alone.
func formedApart(t *testing.T, l *lab.Lab) (together []*lab.Pi, alone *lab.Pi) {
	t.Helper()
	together, alone = l.Pis[:len(l.Pis)-1], l.Pis[len(l.Pis)-1]
	if err := l.Partition(alone); err != nil {
		t.Fatal(err)
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for _, pis := range [][]*lab.Pi{together, {alone}} {
		await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, lowest(pis), pis) })
	}
	return together, alone
}

// gathered waits until all Pis are Ready nodes of the swarm of leader, which may list others, and returns how long that took.
func gathered(t *testing.T, limit time.Duration, leader *lab.Pi, pis []*lab.Pi) time.Duration {
	t.Helper()
	return since(t, limit, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, leader)
		if err != nil {
			return err
		}
		ready := map[string]bool{}
		for _, n := range nodes {
			ready[n.ID] = n.Status == "Ready"
		}
		for _, pi := range pis {
			i, err := infoOf(ctx, pi)
			if err != nil {
				return err
			}
			if !ready[i.Swarm.NodeID] {
				return fmt.Errorf("%s is %s as node %q, and not a ready one", pi.Name, i.Swarm.LocalNodeState, i.Swarm.NodeID)
			}
		}
		return nil
	})
}

// deploy gives the swarm something to lose.
func deploy(t *testing.T, manager *lab.Pi, name string) {
	t.Helper()
	_, err := manager.Docker(t.Context(), "service", "create", "--detach", "--no-resolve-image", "--replicas=0", "--name="+name, "nothing")
	if err != nil {
		t.Fatal(err)
	}
}

func TestEmptySwarmYields(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	together, alone := formedApart(t, l)
	leader := lowest(together)
	if err := alone.Mend(); err != nil {
		t.Fatal(err)
	}
	took := gathered(t, 2*time.Minute, leader, l.Pis)
	repaired(t, alone, "two swarms, formed apart, and one is empty", "the manager of the empty one leaves it and joins the other",
		"There are two swarms, and that of this board is empty: moving to the swarm of "+serialName(leader), took)
	says(t, alone, "This board is a worker in the swarm of "+serialName(leader))
	noPortTrouble(t, alone)
}

func TestOfTwoEmptySwarmsOneYields(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	_, alone := formedApart(t, l)
	if err := alone.Mend(); err != nil {
		t.Fatal(err)
	}
	leader, other := lowest(l.Pis), l.Pis[0]
	if other == leader {
		other = l.Pis[1]
	}
	took := gathered(t, 2*time.Minute, leader, l.Pis)
	repaired(t, other, "two swarms, formed apart, and both are empty", "the manager with the higher serial leaves its own and joins the other",
		"There are two swarms, and that of this board is empty: moving to the swarm of "+serialName(leader), took)
	noPortTrouble(t, other)
}

// noPortTrouble fails the test when the engine has joined so soon after it left that its ports were still taken, which
// leaves it without overlay networks.
func noPortTrouble(t *testing.T, pi *lab.Pi) {
	t.Helper()
	if strings.Contains(pi.LogOf("dockerd"), "address already in use") {
		t.Errorf("the engine of %s found its ports in use", pi.Name)
	}
}

func TestTwoSwarmsAreLeftAlone(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	together, alone := formedApart(t, l)
	leader := lowest(together)
	deploy(t, leader, "one")
	deploy(t, alone, "two")
	if err := alone.Mend(); err != nil {
		t.Fatal(err)
	}
	for _, pi := range l.Pis {
		await(t, 2*time.Minute, func(context.Context) error { // boards in a swarm announce themselves once a minute
			if !strings.Contains(pi.Log(), "There are two swarms and neither is empty: ") {
				return fmt.Errorf("%s does not tell of two swarms", pi.Name)
			}
			return nil
		})
		for _, manager := range []*lab.Pi{leader, alone} {
			says(t, pi, serialName(manager)+" manages "+swarmID(t, manager))
		}
	}
	repaired(t, leader, "two swarms, formed apart, and neither is empty", "touches nothing, and every node says which two, how much is in each, and the command",
		`"sudo pi-agent yield" on one of these two tells how to give its swarm up`, 0)
	agent, err := l.AgentPath()
	if err != nil {
		t.Fatal(err)
	}
	mine := swarmID(t, leader)
	if out, err := leader.Exec(t.Context(), agent, "yield"); err != nil || !strings.Contains(string(out), mine) ||
		!strings.Contains(string(out), "2 nodes, 1 service") {
		t.Errorf("pi-agent yield says %s, %v", out, err)
	}
	if out, err := leader.Exec(t.Context(), agent, "yield", swarmID(t, alone)); err == nil {
		t.Errorf("the other swarm's id is taken: %s", out)
	}
	if i, err := infoOf(t.Context(), leader); err != nil || i.Swarm.Cluster == nil || i.Swarm.Cluster.ID != mine {
		t.Fatalf("the swarm is left without a word: %+v, %v", i, err)
	}
	if out, err := leader.Exec(t.Context(), agent, "yield", mine); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	took := gathered(t, 3*time.Minute, alone, l.Pis)
	repaired(t, leader, "a person gives one of two swarms up (`pi-agent yield`)", "its manager and its workers move to the other",
		"A person has given swarm "+mine+" up: moving to the swarm of "+serialName(alone), took)
	for _, pi := range together {
		if pi != leader {
			says(t, pi, "The manager of this board does not know it any more: moving to the swarm of "+serialName(alone))
		}
		noPortTrouble(t, pi)
	}
}

func swarmID(t *testing.T, manager *lab.Pi) string {
	t.Helper()
	i, err := infoOf(t.Context(), manager)
	if err != nil || i.Swarm.Cluster == nil {
		t.Fatalf("%s manages no swarm: %v", manager.Name, err)
	}
	return i.Swarm.Cluster.ID
}

func TestWorkersOfAWipedManager(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	key := clusterkey.Generate()
	setKey(t, key, l.Pis...)
	leader := lowest(l.Pis)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, time.Minute, leader, l.Pis)
	pause(t, 5*time.Second) // until the workers have learned their swarm's id
	newCard(t, leader, key)
	took := gathered(t, 5*time.Minute, leader, l.Pis)
	for _, pi := range l.Pis {
		if pi != leader {
			repaired(t, pi, "the only manager gets a new card, and its swarm is gone for ever", "its workers leave and join the swarm that it makes then",
				"The manager of this board does not know it any more: moving to the swarm of "+serialName(leader), took)
		}
	}
}

// The manager of a worker is off for a minute, while that of another swarm of the cluster is there: the worker stays.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	pace := paceOf(4)
	l := lab.New(t, lab.Options{N: 3, Pace: pace, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	together, alone := formedApart(t, l)
	leader, worker := lowest(together), together[0]
	if worker == leader {
		worker = together[1]
	}
	deploy(t, leader, "one")
	deploy(t, alone, "two")
	if err := alone.Mend(); err != nil {
		t.Fatal(err)
	}
	await(t, 2*time.Minute, func(context.Context) error {
		if !strings.Contains(worker.Log(), "There are two swarms and neither is empty: ") {
			return fmt.Errorf("%s has not met the other manager", worker.Name)
		}
		return nil
	})
	was, err := infoOf(t.Context(), worker)
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.PowerOff(); err != nil {
		t.Fatal(err)
	}
	pause(t, (timing.Product().ManagerSilent+15*time.Second)/time.Duration(pace))
	turnOn(t, leader)
	took := gathered(t, time.Minute, leader, together)
	repaired(t, worker, "the manager is off for a minute", "its workers stay, though another swarm of the cluster is there",
		" does not answer; containers go on running.", took)
	now, err := infoOf(t.Context(), worker)
	if err != nil || now.Swarm.NodeID != was.Swarm.NodeID || strings.Contains(worker.Log(), "moving to") {
		t.Errorf("the worker is node %q, was %q, %v:\n%s", now.Swarm.NodeID, was.Swarm.NodeID, err, worker.Log())
	}
}
