package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have no cluster key.

// What docs/security.md says of a cluster without a key, and the proof that the rogue bites.
func TestRogueLeadsFreshPisWithoutAKey(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3})
	pis, rogue := l.Pis[:2], l.Pis[2]
	must(t, rogue.StartRogue("pretend"))
	startAgents(t, pis...)
	for _, pi := range pis {
		says(t, pi, "There is no cluster key")
		says(t, pi, "Joining the swarm of pi-000001")
	}
	if log := rogue.LogOf("rogue"); !strings.Contains(log, "served /v1/join") {
		t.Errorf("the rogue was not asked for a token:\n%s", log)
	}
}

func TestRogueTakesOverNoPiThatHasAManager(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 4})
	members, rogue := l.Pis[:3], l.Pis[3]
	leader := lowest(members)
	workers := others(leader, members)
	becomeOne(t, soon, members)
	for _, pi := range workers {
		says(t, pi, "This board follows this manager from now on, and no other.")
	}
	must(t, rogue.StartRogue("pretend"))
	for _, pi := range workers {
		before := strings.Count(pi.Log(), "Joining the swarm of "+serialName(leader))
		leaveSwarm(t, pi)
		await(t, soon, func(ctx context.Context) error {
			if n := strings.Count(pi.Log(), "Joining the swarm of "+serialName(leader)); n <= before {
				return fmt.Errorf("%s does not join its manager again", pi.Name)
			}
			return inSwarm(pi)(ctx)
		})
	}
	leaveSwarm(t, leader)
	says(t, leader, "this board has let others into a swarm of its own and follows nobody")
	for _, pi := range workers {
		if strings.Contains(pi.Log(), "Joining the swarm of pi-000001") {
			t.Errorf("%s wanted to join the rogue", pi.Name)
		}
	}
	if log := rogue.LogOf("rogue"); strings.Contains(log, "served /v1/join") {
		t.Errorf("the rogue was asked for a token:\n%s", log)
	}
}

func TestNewPiIsLetInForAWhile(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: quick})
	leader, known, late := lowest(l.Pis), l.Pis[0], l.Pis[2]
	becomeOne(t, soon, []*lab.Pi{leader, known})

	anHourLater(t, leader)
	startAgents(t, late)
	says(t, late, "new boards are let in for 15 minutes")
	says(t, leader, serialName(late)+" may not join")
	inNoSwarm(t, late)
	leaveSwarm(t, known)
	await(t, soon, inSwarm(known)) // it was let in before

	out, status, err := tell(t.Context(), leader, root, "pair")
	if err != nil || status != 0 || !strings.Contains(string(out), "For 15 minutes this board lets new boards in") {
		t.Errorf("pi-agent pair: exit status %d, %v: %s", status, err, out)
	}
	await(t, soon, inSwarm(late))
	if n := strings.Count(leader.Log(), "Letting "+serialName(late)+" join"); n != 1 {
		t.Errorf("the admission has %d lines in the journal", n)
	}
}
