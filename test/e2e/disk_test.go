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

// What happens to cards: they are full, worn out and read-only, or have a state file that is garbage or of a newer
// pi-agent. Both boards, a manager and a worker, say it and stay the nodes that they are.
func TestBadCards(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 2, Config: "expect = 2"}, withKey(clusterkey.Generate()))
	leader := l.leader
	nodes := func() (all []string) {
		for _, pi := range l.Pis {
			all = append(all, infoNow(t, pi).Swarm.NodeID)
		}
		return all
	}
	before := nodes()
	const state = "/var/lib/pi-agent"
	for _, damage := range []struct{ name, script, says, fault, does string }{
		{
			"full", "mkdir /run/card && cp -a DIR/. /run/card && mount -t tmpfs -o size=32k,mode=700 card DIR && " +
				"cp -a /run/card/. DIR && rm DIR/state.json && { head -c 100k /dev/zero >DIR/fill || true; }",
			"The state cannot be kept as it should: write state: the card is full, free some space, " +
				"for example with docker system prune",
			"the card is full before the state could be written", "goes on in memory, and writes it when there is space",
		},
		{name: "mended", script: "umount DIR"},
		{
			"read-only", "mount --bind DIR DIR && mount -o remount,bind,ro DIR && ! touch DIR/x",
			"This board can keep nothing now: the card is read-only, which is how worn cards fail, " +
				"restart the board and replace the card",
			"the card is read-only, as worn ones become", "goes on as the node that it is, with what is on the card",
		},
		{name: "mended", script: "umount DIR"},
		{
			"garbage", "cp DIR/state.json /run/good && echo '}{' >DIR/state.json", "it is kept as DIR/state.json.bad",
			"the state file is garbage", "puts it aside and asks its engine where it is",
		},
		{
			"cut short", "head -c 20 /run/good >DIR/state.json", "it is kept as DIR/state.json.bad",
			"the state file is cut short", "puts it aside and asks its engine where it is",
		},
		{
			"newer", `sed 's/"version": 1/"version": 7, "news": true/' /run/good >DIR/state.json`,
			"DIR/state.json was written by a newer pi-agent",
			"the state file is of a newer version",
			"takes what it understands, above all the node key, and leaves the file alone",
		},
	} {
		for _, pi := range l.Pis {
			stopAgents(t, pi)
			if _, err := pi.Exec(t.Context(), "sh", "-ec", strings.ReplaceAll(damage.script, "DIR", state)); err != nil {
				t.Fatalf("make the card of %s %s: %v", pi.Name, damage.name, err)
			}
			startAgents(t, pi)
		}
		took := await(t, soon, func(ctx context.Context) error {
			if now := nodes(); !slices.Equal(now, before) {
				return fmt.Errorf("%s: the nodes are %q, were %q", damage.name, now, before)
			}
			return oneSwarm(leader, l.Pis)(ctx)
		})
		for _, pi := range l.Pis {
			if damage.says != "" {
				repaired(t, pi, damage.fault, damage.does, strings.ReplaceAll(damage.says, "DIR", state), took)
			}
		}
		t.Logf("the card is %s", damage.name)
		stillRun(t, l.Pis...)
	}
	for _, pi := range l.Pis {
		if _, err := pi.Exec(t.Context(), "grep", "-q", `"news": true`, state+"/state.json"); err != nil {
			t.Errorf("%s has replaced the state of a newer pi-agent: %v", pi.Name, err)
		}
	}
}

// The card of a manager is full, with what the engine needs, too: nothing is lost, and it goes on when there is space
// again.
func TestFullCardOfAManager(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 2, Config: "expect = 2"}, withKey(clusterkey.Generate()))
	leader := lowest(l.Pis)
	restartEngine(t, leader, func() {
		inPi(t, leader, `mkdir -p /run/card /var/lib/pi-agent && mount -t tmpfs -o size=400m card /run/card &&
			cp -a /var/lib/docker /run/card/docker &&
			mkdir -m 700 /run/card/agent && mount --bind /run/card/docker /var/lib/docker &&
			mount --bind /run/card/agent /var/lib/pi-agent`)
	})
	becomeOne(t, soon, l.Pis)
	deploy(t, leader, "web")
	before := swarmID(t, leader)
	inPi(t, leader,
		"head -c 400m /dev/zero >/run/card/fill || true; ! head -c 1m /dev/zero >/run/card/more; rm -f /run/card/more")
	saysWithin(t, later, leader, "This board can keep nothing now: the card is full")
	must(t, leader.StopAgent(), leader.StopEngine(), leader.StartAgent(), leader.StartEngine())
	pause(t, downTime)
	stillRun(t, leader)
	inPi(t, leader, "rm /run/card/fill")
	freed := time.Now()
	if !leader.Process("dockerd").Running() { // as systemd does
		must(t, leader.StartEngine())
	}
	await(t, later, func(ctx context.Context) error {
		if out, err := leader.Docker(ctx, "service", "ls", "--quiet"); err != nil || len(out) == 0 {
			return fmt.Errorf("the service is %q, %v", out, err)
		}
		return oneSwarm(leader, l.Pis)(ctx)
	})
	if after := swarmID(t, leader); after != before {
		t.Errorf("the swarm is %s, was %s", after, before)
	}
	repaired(t, leader, "the card of a manager is full, for its engine too",
		"waits; nothing is left or made anew, and all is there when space is freed",
		"This board can keep nothing now: the card is full, free some space, for example with docker system prune",
		time.Since(freed))
}
