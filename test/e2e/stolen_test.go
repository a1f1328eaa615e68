package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// A Pi is stolen, with its key, a join token and the certificate of its node. The others get a new key by their cards
// and deny it, as docs/security.md says, and the swarm goes on.
func TestStolenCard(t *testing.T) {
	t.Parallel()
	const quiet = quick + "\nhostname = \"keep\"\ndocker_without_sudo = false\n"
	l := formed(t, lab.Options{N: 3, Config: quiet}, withKey(clusterkey.Generate()))
	leader, thief := l.leader, l.Pis[2]
	members := []*lab.Pi{leader, l.Pis[0]}
	nodes := func() []string {
		return strings.Fields(docker(t, leader, "node", "ls", "--format", "{{.ID}}/{{.Hostname}}/{{.Status}}"))
	}
	before := nodes()
	stolen := infoNow(t, thief).Swarm.NodeID
	labelled(t, leader, thief)
	token := docker(t, leader, "swarm", "join-token", "--quiet", "worker")

	// He has pulled the plug, and it takes a while until that is noticed.
	powerOff(t, thief)
	key := clusterkey.Generate()
	l.Secret(key)
	setConfig(t, members, quiet+"deny = [\""+strings.ToUpper(thief.Serial)+"\"]")
	agent, err := l.AgentPath()
	must(t, err)
	for i, pi := range members {
		card := "/boot/firmware/" + []string{"pi-agent.key.txt", "PI-AGENT.KEY"}[i] // as people call it
		must(t, pi.WriteFile(card, "\ufeff"+key+"\r\n", 0o644))
		stopAgents(t, pi)
		out, err := pi.Exec(t.Context(), "sh", "-ec", `"$1" prepare 2>&1; [ ! -e "$2" ]; stat -c %a /etc/pi-agent/key`, "sh",
			agent, card)
		if err != nil || !strings.Contains(string(out), card+" replaces the one in "+clusterkey.Path) ||
			!strings.Contains(string(out), "600") {
			t.Fatalf("%s takes the key: %s, %v", pi.Name, out, err)
		}
		startAgents(t, pi)
	}
	says(t, leader, serialName(thief)+" is denied by the settings: its node is removed from the swarm.")
	docker(t, leader, "swarm", "join-token", "--rotate", "--quiet", "worker")
	want := slices.DeleteFunc(slices.Clone(before), func(n string) bool { return strings.HasPrefix(n, stolen) })
	same := func(when string) {
		t.Helper()
		await(t, soon, func(context.Context) error {
			if got := nodes(); !slices.Equal(got, want) {
				return fmt.Errorf("%s the nodes are %q, want %q", when, got, want)
			}
			return nil
		})
	}
	same("without the stolen Pi")
	for _, pi := range members {
		found(t, pi, leader, 2)
	}

	// He comes back with all that he has.
	must(t, thief.PowerOn())
	startEngines(t, []*lab.Pi{thief})
	startAgents(t, thief)
	says(t, leader, "1 other cluster nearby")
	pause(t, downTime) // in which his engine would be back
	same("with his old certificate")

	leaveSwarm(t, thief)
	if out, err := thief.Docker(t.Context(), "swarm", "join", "--token", token,
		netip.AddrPortFrom(leader.Addr.Addr(), 2377).String()); err == nil {
		t.Errorf("the old token lets him in: %s", out)
	}
	awaitSwarm(t, soon, thief, []*lab.Pi{thief})
	same("with his old key")

	// Even the new key does not help the Pi as it is.
	stopAgents(t, thief)
	leaveSwarm(t, thief)
	setKey(t, key, thief)
	startAgents(t, thief)
	says(t, leader, serialName(thief)+" is denied by the settings, and kept out.")
	pause(t, downTime) // in which it would be let in; a hello may have told it of the manager, and then it waits for that one
	same("with the new key")
	for _, line := range []string{"and kept out", "its node is removed"} {
		if n := strings.Count(leader.Log(), line); n != 1 {
			t.Errorf("%q has %d lines in the journal", line, n)
		}
	}
}
