package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// A Pi is stolen, with its key, a join token and the certificate of its node. The others get a new key by their cards and
// deny it, as docs/security.md says, and the swarm goes on.
func TestStolenCard(t *testing.T) {
	t.Parallel()
	const quiet = "settle = \"5s\"\nhostname = \"keep\"\ndocker_without_sudo = false\n"
	l := lab.New(t, lab.Options{N: 3, Config: quiet})
	engines(t, l)
	leader, thief := lowest(l.Pis), l.Pis[2]
	members := []*lab.Pi{leader, l.Pis[0]}
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, time.Minute, leader, l.Pis)
	docker := func(pi *lab.Pi, args ...string) string {
		t.Helper()
		out, err := pi.Docker(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	nodes := func() []string {
		return strings.Fields(docker(leader, "node", "ls", "--format", "{{.ID}}/{{.Hostname}}/{{.Status}}"))
	}
	before := nodes()
	stolen := docker(thief, "info", "--format", "{{.Swarm.NodeID}}")
	await(t, time.Minute, func(context.Context) error {
		if is := docker(leader, "node", "inspect", "--format", `{{index .Spec.Labels "pi.serial"}}`, stolen); is != thief.Serial {
			return fmt.Errorf("the node is not labelled yet: %q", is)
		}
		return nil
	})
	token := docker(leader, "swarm", "join-token", "--quiet", "worker")

	// He has pulled the plug, and it takes a while until that is noticed.
	if err := thief.PowerOff(); err != nil {
		t.Fatal(err)
	}
	key := clusterkey.Generate()
	l.Secret(key)
	setConfig(t, members, quiet+"deny = [\""+strings.ToUpper(thief.Serial)+"\"]")
	agent, err := l.AgentPath()
	if err != nil {
		t.Fatal(err)
	}
	for i, pi := range members {
		card := "/boot/firmware/" + []string{"pi-agent.key.txt", "PI-AGENT.KEY"}[i] // as people call it
		if err := pi.WriteFile(card, "\ufeff"+key+"\r\n", 0o644); err != nil {
			t.Fatal(err)
		}
		if err := pi.StopAgent(); err != nil {
			t.Fatal(err)
		}
		out, err := pi.Exec(t.Context(), "sh", "-ec", `"$1" prepare 2>&1; [ ! -e "$2" ]; stat -c %a /etc/pi-agent/key`, "sh", agent, card)
		if err != nil || !strings.Contains(string(out), card+" replaces the one in "+clusterkey.Path) || !strings.Contains(string(out), "600") {
			t.Fatalf("%s takes the key: %s, %v", pi.Name, out, err)
		}
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	says(t, leader, serialName(thief)+" is denied by the settings: its node is removed from the swarm.")
	docker(leader, "swarm", "join-token", "--rotate", "--quiet", "worker")
	want := slices.DeleteFunc(slices.Clone(before), func(n string) bool { return strings.HasPrefix(n, stolen) })
	same := func(when string) {
		t.Helper()
		await(t, time.Minute, func(context.Context) error {
			if got := nodes(); !slices.Equal(got, want) {
				return fmt.Errorf("%s the nodes are %q, want %q", when, got, want)
			}
			return nil
		})
	}
	same("without the stolen Pi")
	for _, pi := range members {
		await(t, time.Minute, func(context.Context) error {
			if log := pi.Log(); strings.Count(log, "a manager of swarm")+strings.Count(log, "in the swarm of "+serialName(leader)) < 2 {
				return fmt.Errorf("%s has not found its place again:\n%s", pi.Name, log)
			}
			return nil
		})
	}

	// He comes back with all that he has.
	if err := thief.PowerOn(); err != nil {
		t.Fatal(err)
	}
	if err := thief.StartEngine(); err != nil {
		t.Fatal(err)
	}
	if err := thief.WaitEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := thief.StartAgent(); err != nil {
		t.Fatal(err)
	}
	says(t, leader, "1 other cluster nearby")
	pause(t, 10*time.Second) // in which his engine would be back
	same("with his old certificate")

	docker(thief, "swarm", "leave", "--force")
	if out, err := thief.Docker(t.Context(), "swarm", "join", "--token", token, netip.AddrPortFrom(leader.Addr.Addr(), 2377).String()); err == nil {
		t.Errorf("the old token lets him in: %s", out)
	}
	await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, thief, []*lab.Pi{thief}) })
	same("with his old key")

	// Even the new key does not help the Pi as it is.
	if err := thief.StopAgent(); err != nil {
		t.Fatal(err)
	}
	docker(thief, "swarm", "leave", "--force")
	setKey(t, key, thief)
	if err := thief.StartAgent(); err != nil {
		t.Fatal(err)
	}
	says(t, leader, serialName(thief)+" is denied by the settings, and kept out.")
	await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, thief, []*lab.Pi{thief}) })
	same("with the new key")
	for _, line := range []string{"and kept out", "its node is removed"} {
		if n := strings.Count(leader.Log(), line); n != 1 {
			t.Errorf("%q has %d lines in the journal", line, n)
		}
	}
}
