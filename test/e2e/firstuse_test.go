package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have no cluster key.

// What docs/security.md says of a cluster without a key, and the proof that the rogue bites.
func TestRogueLeadsFreshPisWithoutAKey(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	engines(t, l)
	pis, rogue := l.Pis[:2], l.Pis[2]
	if err := rogue.StartRogue("pretend"); err != nil {
		t.Fatal(err)
	}
	for _, pi := range pis {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
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
	l := lab.New(t, lab.Options{N: 4})
	engines(t, l)
	members, rogue := l.Pis[:3], l.Pis[3]
	leader := lowest(members)
	for _, pi := range members {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	awaitSwarm(t, time.Minute, leader, members)
	for _, pi := range members {
		if pi != leader {
			says(t, pi, "This board follows this manager from now on, and no other.")
		}
	}
	if err := rogue.StartRogue("pretend"); err != nil {
		t.Fatal(err)
	}
	leave := func(pi *lab.Pi) {
		t.Helper()
		if _, err := pi.Docker(t.Context(), "swarm", "leave", "--force"); err != nil {
			t.Fatal(err)
		}
	}
	for _, pi := range members {
		if pi == leader {
			continue
		}
		before := strings.Count(pi.Log(), "Joining the swarm of "+serialName(leader))
		leave(pi)
		await(t, time.Minute, func(ctx context.Context) error {
			if n := strings.Count(pi.Log(), "Joining the swarm of "+serialName(leader)); n <= before {
				return fmt.Errorf("%s does not join its manager again", pi.Name)
			}
			i, err := infoOf(ctx, pi)
			if err == nil && i.Swarm.LocalNodeState != "active" {
				err = fmt.Errorf("%s is %s", pi.Name, i.Swarm.LocalNodeState)
			}
			return err
		})
	}
	leave(leader)
	says(t, leader, "this board has let others into a swarm of its own and follows nobody")
	for _, pi := range members {
		if pi != leader && strings.Contains(pi.Log(), "Joining the swarm of pi-000001") {
			t.Errorf("%s wanted to join the rogue", pi.Name)
		}
	}
	if log := rogue.LogOf("rogue"); strings.Contains(log, "served /v1/join") {
		t.Errorf("the rogue was asked for a token:\n%s", log)
	}
}

// serialName is the name of a Pi in the others' logs.
func serialName(pi *lab.Pi) string { return "pi-" + pi.Serial[len(pi.Serial)-6:] }

func TestNewPiIsLetInForAWhile(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	leader, known, late := lowest(l.Pis), l.Pis[0], l.Pis[2]
	for _, pi := range []*lab.Pi{leader, known} {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	awaitSwarm(t, time.Minute, leader, []*lab.Pi{leader, known})

	// An hour passes, in which the leader's agent was restarted.
	if err := leader.StopAgent(); err != nil {
		t.Fatal(err)
	}
	if err := leader.WriteFile("/run/pi-agent/started", fmt.Sprint(-int64(time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := leader.StartAgent(); err != nil {
		t.Fatal(err)
	}
	if err := late.StartAgent(); err != nil {
		t.Fatal(err)
	}
	says(t, late, "new boards are let in for 15 minutes")
	says(t, leader, serialName(late)+" may not join")
	if i, err := infoOf(t.Context(), late); err != nil || i.Swarm.LocalNodeState != "inactive" {
		t.Errorf("the late Pi is %s, %v", i.Swarm.LocalNodeState, err)
	}
	if _, err := known.Docker(t.Context(), "swarm", "leave", "--force"); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error {
		i, err := infoOf(ctx, known)
		if err == nil && i.Swarm.LocalNodeState != "active" {
			err = fmt.Errorf("the Pi that was let in before is %s", i.Swarm.LocalNodeState)
		}
		return err
	})

	agent, err := l.AgentPath()
	if err != nil {
		t.Fatal(err)
	}
	out, err := leader.Exec(t.Context(), agent, "pair")
	if err != nil || !strings.Contains(string(out), "For 15 minutes this board lets new boards in") {
		t.Errorf("pi-agent pair: %s, %v", out, err)
	}
	await(t, time.Minute, func(ctx context.Context) error {
		i, err := infoOf(ctx, late)
		if err == nil && i.Swarm.LocalNodeState != "active" {
			err = fmt.Errorf("after pi-agent pair the late Pi is %s", i.Swarm.LocalNodeState)
		}
		return err
	})
	if n := strings.Count(leader.Log(), "Letting "+serialName(late)+" join"); n != 1 {
		t.Errorf("the admission has %d lines in the journal", n)
	}
}
