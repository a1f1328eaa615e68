package e2e

import (
	"context"
	"fmt"
	"regexp"
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
	must(t, l.Partition(alone))
	startAgents(t, l.Pis...)
	awaitSwarm(t, soon, lowest(together), together)
	awaitSwarm(t, soon, alone, []*lab.Pi{alone})
	return together, alone
}

func TestEmptySwarmYields(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: quick}, withKey(clusterkey.Generate()))
	together, alone := formedApart(t, l)
	leader := lowest(together)
	must(t, alone.Mend())
	took := gathered(t, later, leader, l.Pis)
	repaired(t, alone, "two swarms, formed apart, and one is empty",
		"the manager of the empty one leaves it and joins the other",
		"There are two swarms, and that of this board is empty: moving to the swarm of "+serialName(leader), took)
	says(t, alone, "This board is a worker in the swarm of "+serialName(leader))
	noPortTrouble(t, alone)
}

func TestOfTwoEmptySwarmsOneYields(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 2, Config: quick}, withKey(clusterkey.Generate()))
	_, alone := formedApart(t, l)
	must(t, alone.Mend())
	leader := lowest(l.Pis)
	other := others(leader, l.Pis)[0]
	took := gathered(t, later, leader, l.Pis)
	repaired(t, other, "two swarms, formed apart, and both are empty",
		"the manager with the higher serial leaves its own and joins the other",
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
	l := withEngines(t, lab.Options{N: 3, Config: quick}, withKey(clusterkey.Generate()))
	together, alone := formedApart(t, l)
	leader := lowest(together)
	deploy(t, leader, "one")
	deploy(t, alone, "two")
	must(t, alone.Mend())
	for _, pi := range l.Pis {
		saysWithin(t, later, pi, "There are two swarms and neither is empty: ")
		for _, manager := range []*lab.Pi{leader, alone} {
			says(t, pi, serialName(manager)+" manages "+swarmID(t, manager))
		}
	}
	repaired(t, leader, "two swarms, formed apart, and neither is empty",
		"touches nothing, and every node says which two, how much is in each, and the command",
		`"sudo pi-agent yield" on one of these two tells how to give its swarm up`, 0)
	mine := swarmID(t, leader)
	out, status, err := tell(t.Context(), leader, root, "yield")
	if err != nil || status != 0 || !strings.Contains(string(out), mine) ||
		!strings.Contains(string(out), "2 nodes, 1 service") {
		t.Errorf("pi-agent yield ends with %d, %v: %s", status, err, out)
	}
	if out, status, err := tell(t.Context(), leader, root, "yield", swarmID(t, alone)); err != nil || status == 0 {
		t.Errorf("the other swarm's id is taken, %v: %s", err, out)
	}
	if i, err := infoOf(t.Context(), leader); err != nil || i.Swarm.Cluster == nil || i.Swarm.Cluster.ID != mine {
		t.Fatalf("the swarm is left without a word: %+v, %v", i, err)
	}
	if out, status, err := tell(t.Context(), leader, root, "yield", mine); err != nil || status != 0 {
		t.Fatalf("pi-agent yield ends with %d, %v: %s", status, err, out)
	}
	took := gathered(t, atLast, alone, l.Pis)
	repaired(t, leader, "a person gives one of two swarms up (`pi-agent yield`)",
		"its manager and its workers move to the other",
		"A person has given swarm "+mine+" up: moving to the swarm of "+serialName(alone), took)
	for _, pi := range others(leader, together) {
		says(t, pi, "The manager of this board does not know it any more: moving to the swarm of "+serialName(alone))
	}
	for _, pi := range together {
		noPortTrouble(t, pi)
	}
}

// somethingToLose gives a swarm a service, waits until its workers remember it, and returns its id.
func somethingToLose(t *testing.T, c cluster) (id string) {
	t.Helper()
	deploy(t, c.leader, "web")
	id = swarmID(t, c.leader)
	for _, pi := range c.workers {
		remembers(t, pi, id)
	}
	return id
}

func TestWorkersOfAWipedManager(t *testing.T) {
	t.Parallel()
	key := clusterkey.Generate()
	l := formed(t, lab.Options{N: 3, Config: quick}, withKey(key))
	leader, workers := l.leader, l.workers
	lost := somethingToLose(t, l)
	newCard(t, leader, key)
	began := time.Now()
	before := "No manager of swarm " + lost + " is left: " + serialName(leader) +
		" does not know it any more, as after a new card or pi-agent yield, " +
		"and its services, secrets and configs are lost."
	told(t, workers[0], soon, before)
	gathered(t, atLast, leader, l.Pis)
	took := time.Since(began)
	says(t, leader, "is in a swarm that this board managed with another card: "+
		"it is lost with its services, secrets and configs.")
	for _, pi := range workers {
		repaired(t, pi, "the only manager gets a new card with the cluster key, and its swarm is gone for ever",
			"its workers say what is lost, leave, which stops their containers, and join the swarm that it makes then",
			"The manager of this board does not know it any more: moving to the swarm of "+serialName(leader), took)
		says(t, pi, before)
		says(t, pi, "This board has left swarm "+lost+", which is lost with its services, secrets and configs: "+
			"its containers are stopped.")
	}
	for _, pi := range l.Pis {
		await(t, soon, func(ctx context.Context) error {
			out, status, err := tell(ctx, pi, nobody, "status")
			after := "It has left swarm " + lost +
				", which is lost with its services, secrets and configs: deploy anew what shall run."
			if err != nil || status != 0 || strings.Count(string(out), after) != 1 {
				return fmt.Errorf("%s does not say what was lost, or not once, exit status %d, %v:\n%s", pi.Name, status, err, out)
			}
			return nil
		})
	}
}

// Without a cluster key a person must say that the board with another node key is theirs. Journal, status and doctor
// say so, on the workers and on the manager, also after docker swarm leave; typed as it is shown, it helps.
func TestWipedManagerWithoutAKey(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Pace: paceOf(3), Config: quick})
	leader, workers := l.leader, l.workers
	lost := somethingToLose(t, l)
	newCard(t, leader, "")
	await(t, atLast, func(ctx context.Context) error {
		i, err := infoOf(ctx, leader)
		if err == nil && !i.Swarm.ControlAvailable {
			err = fmt.Errorf("the board with the new card makes no swarm, it is %s", i.Swarm.LocalNodeState)
		}
		return err
	})
	remedy := func(pi *lab.Pi) string {
		return serialName(leader) + " has another node key than the manager that " + serialName(pi) +
			" follows, as after a new card. If its card " +
			"is new, the swarm of the old one is lost with its services, secrets and configs: \"sudo pi-agent pair\" on both"
	}
	everywhere := func() {
		t.Helper()
		for _, pi := range workers {
			told(t, pi, later, remedy(pi))
			says(t, pi, remedy(pi))
			holds(t, tells(pi, root, "doctor", 3, "FAIL  agent"), tells(pi, root, "doctor", 3, "sudo pi-agent pair"))
		}
		told(t, leader, later, remedy(workers[0]), remedy(workers[1]))
	}
	everywhere()
	says(t, leader, "\"sudo pi-agent pair\" here and on each of them lets them join.")
	repaired(t, workers[0], "the only manager gets a new card, there is no cluster key, and its swarm is gone for ever",
		"its workers do not follow a board with another node key, and every board says what helps", remedy(workers[0]), 0)

	// What looks as if it helped is no dead end.
	docker(t, workers[1], "swarm", "leave")
	await(t, soon, func(ctx context.Context) error {
		p, _, err := seen(ctx, workers[1])
		if err == nil && (p.Swarm != nil || !p.Needs || !strings.HasPrefix(p.Doing.En, remedy(workers[1]))) {
			err = fmt.Errorf("%s is in swarm %+v and says %q", workers[1].Name, p.Swarm, p.Doing)
		}
		return err
	})
	everywhere()

	out, _, err := tell(t.Context(), workers[0], nobody, "status")
	shown := regexp.MustCompile(`"sudo pi-agent ([a-z ]+)" on both`).FindSubmatch(out)
	if err != nil || shown == nil {
		t.Fatalf("no command is shown, %v:\n%s", err, out)
	}
	for _, pi := range l.Pis {
		if out, status, err := tell(t.Context(), pi, root, strings.Fields(string(shown[1]))...); err != nil || status != 0 {
			t.Fatalf("%s: exit status %d, %v: %s", pi.Name, status, err, out)
		}
	}
	took := gathered(t, later, leader, l.Pis)
	repaired(t, workers[0], "a person says that the new card is theirs (`pi-agent pair` on both)",
		"its workers leave the lost swarm, which stops their containers, and join the new one",
		"The manager of this board does not know it any more: moving to the swarm of "+serialName(leader), took)
	says(t, workers[0], "This board has left swarm "+lost+", which is lost with its services, secrets and configs: "+
		"its containers are stopped.")
}

// The manager of a worker is off for a minute, while that of another swarm of the cluster is there: the worker stays.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	pace := paceOf(4)
	l := withEngines(t, lab.Options{N: 3, Pace: pace, Config: quick}, withKey(clusterkey.Generate()))
	together, alone := formedApart(t, l)
	leader := lowest(together)
	worker := others(leader, together)[0]
	deploy(t, leader, "one")
	deploy(t, alone, "two")
	must(t, alone.Mend())
	saysWithin(t, later, worker, "There are two swarms and neither is empty: ") // it has met the other manager
	was := infoNow(t, worker)
	powerOff(t, leader)
	pause(t, (timing.Product().ManagerSilent+15*time.Second)/time.Duration(pace)) // they would move by then, if they did
	turnOn(t, leader)
	took := gathered(t, soon, leader, together)
	repaired(t, worker, "the manager is off for a minute",
		"its workers stay, though another swarm of the cluster is there",
		" does not answer; containers go on running.", took)
	now, err := infoOf(t.Context(), worker)
	if err != nil || now.Swarm.NodeID != was.Swarm.NodeID || strings.Contains(worker.Log(), "moving to") {
		t.Errorf("the worker is node %q, was %q, %v:\n%s", now.Swarm.NodeID, was.Swarm.NodeID, err, worker.Log())
	}
}
