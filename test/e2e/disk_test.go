package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// What happens to cards: they are full, worn out and read-only, or have a state file that is garbage or of a newer pi-agent.
// Both boards, a manager and a worker, say it and stay the nodes that they are.
func TestBadCards(t *testing.T) {
	l := lab.New(t, lab.Options{N: 2, Config: "expect = 2"})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	nodes := func() (all []string) {
		for _, pi := range l.Pis {
			i, err := infoOf(t.Context(), pi)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, i.Swarm.NodeID)
		}
		return all
	}
	before := nodes()
	const state = "/var/lib/pi-agent"
	for _, damage := range []struct{ name, script, says string }{
		{
			"full", "mkdir /run/card && cp -a DIR/. /run/card && mount -t tmpfs -o size=32k,mode=700 card DIR && cp -a /run/card/. DIR && " +
				"rm DIR/state.json && { head -c 100k /dev/zero >DIR/fill || true; }",
			"The state cannot be kept as it should: write state: the card is full, free some space",
		},
		{"mended", "umount DIR", ""},
		{
			"read-only", "mount --bind DIR DIR && mount -o remount,bind,ro DIR && ! touch DIR/x", "",
		},
		{"mended", "umount DIR", ""},
		{"garbage", "cp DIR/state.json /run/good && echo '}{' >DIR/state.json", "it is kept as DIR/state.json.bad"},
		{"cut short", "head -c 20 /run/good >DIR/state.json", "it is kept as DIR/state.json.bad"},
		{"newer", `sed 's/"version": 1/"version": 7, "news": true/' /run/good >DIR/state.json`, "DIR/state.json was written by a newer pi-agent"},
	} {
		for _, pi := range l.Pis {
			if err := pi.StopAgent(); err != nil {
				t.Fatal(err)
			}
			if _, err := pi.Exec(t.Context(), "sh", "-ec", strings.ReplaceAll(damage.script, "DIR", state)); err != nil {
				t.Fatalf("%s: %v", damage.name, err)
			}
			if err := pi.StartAgent(); err != nil {
				t.Fatal(err)
			}
		}
		for _, pi := range l.Pis {
			if damage.says != "" {
				says(t, pi, strings.ReplaceAll(damage.says, "DIR", state))
			}
		}
		await(t, time.Minute, func(ctx context.Context) error {
			if now := nodes(); !slices.Equal(now, before) {
				return fmt.Errorf("%s: the nodes are %q, were %q", damage.name, now, before)
			}
			return oneSwarm(ctx, leader, l.Pis)
		})
		for _, pi := range l.Pis {
			if !pi.Process("pi-agent").Running() {
				t.Errorf("%s: the agent of %s has ended", damage.name, pi.Name)
			}
		}
	}
	for _, pi := range l.Pis {
		if _, err := pi.Exec(t.Context(), "grep", "-q", `"news": true`, state+"/state.json"); err != nil {
			t.Errorf("%s has replaced the state of a newer pi-agent: %v", pi.Name, err)
		}
	}
}
