package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/test/lab"
)

// rounds is how often a test with random timing is repeated: a few times, or as often as PI_AGENT_ROUNDS says.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PI_AGENT_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 2 {
		t.Fatalf("PI_AGENT_ROUNDS is %q: give a number of rounds, at least 2", text)
	}
	return n
}

func TestThreeStartedInRandomOrder(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	rnd := random(t)
	leader := lowest(l.Pis)
	for round := range rounds(t) {
		blank(t, l)
		config := ""
		if round%4 != 0 { // the rest has the default settings, which wait 15 s for more boards
			config = "expect = 3"
		}
		setConfig(t, l.Pis, config)
		before := logLinesOf(l.Pis)
		shuffled(t, rnd, l.Pis, handTime)
		took := awaitSwarm(t, soon, leader, l.Pis)
		t.Logf("round %2d (%s): one swarm of three, %s leads, %v after the last start", round+1, config, leader.Name, took)
		brief(t, logMax, before, l.Pis...)
	}
}

func TestAgentsKilledDuringFormation(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	rnd := random(t)
	for round := range rounds(t) {
		blank(t, l)
		shuffled(t, rnd, l.Pis, time.Second)
		kills := 2 + rnd.IntN(4)
		for range kills {
			pause(t, time.Duration(rnd.Int64N(int64(1500*time.Millisecond))))
			pi := l.Pis[rnd.IntN(len(l.Pis))]
			must(t, pi.KillAgent())
			startAgents(t, pi)
		}
		var leader *lab.Pi
		await(t, later, func(ctx context.Context) error {
			// A board that is killed in its turn may lose it: whoever leads, it is one swarm.
			infos, err := infosOf(ctx, l.Pis)
			neverTwo(t, infos)
			if err != nil {
				return err
			}
			err = errors.New("no manager")
			for pi, i := range infos {
				if i.Swarm.ControlAvailable {
					leader, err = pi, areOneSwarm(ctx, pi, infos)
				}
			}
			return err
		})
		t.Logf("round %2d: %d kills, one swarm of three, %s leads", round+1, kills, leader.Name)
	}
}

func TestFormedSwarmIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 4, Serials: lastIsLowest})
	first, late := l.Pis[:3], l.Pis[3]
	leader := lowest(first)
	becomeOne(t, soon, first)

	t.Run("labels", func(t *testing.T) { labelled(t, leader, first...) })
	t.Run("a lower serial joins later", func(t *testing.T) {
		startAgents(t, late)
		awaitSwarm(t, soon, leader, l.Pis)
		labelled(t, leader, late)
	})
	t.Run("agents restart and change nothing", func(t *testing.T) {
		before := objects(t, leader)
		restartAgents(t, l.Pis...)
		for _, pi := range l.Pis {
			found(t, pi, leader, 2)
		}
		pause(t, helloTime)
		if diff := cmp.Diff(before, objects(t, leader)); diff != "" {
			t.Errorf("the swarm was changed (-before +after):\n%s", diff)
		}
	})
}

// helloTime is how long it takes at most until every worker has said hello to its manager once more.
const helloTime = 35 * time.Second

// lastIsLowest are the serials of four Pis of which the last would lead, had it been there in time.
var lastIsLowest = []string{"10000000aabbcc05", "10000000aabbcc07", "10000000aabbcc06", "10000000aabbcc01"}

// labelled waits until each of these Pis has a node with its serial for a label.
func labelled(t *testing.T, manager *lab.Pi, pis ...*lab.Pi) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
		for _, pi := range pis {
			out, err := manager.Docker(ctx, "node", "ls", "--quiet", "--filter", "node.label=pi.serial="+pi.Serial)
			if err != nil || strings.TrimSpace(string(out)) == "" {
				return fmt.Errorf("no node is labelled with the serial of %s: %v", pi.Name, err)
			}
		}
		return nil
	})
}

// objects are the versions of a swarm and its nodes: each change increases that of what is changed.
func objects(t *testing.T, manager *lab.Pi) map[string]uint64 {
	t.Helper()
	versions := map[string]uint64{}
	ids := strings.Fields(docker(t, manager, "node", "ls", "--quiet"))
	inspect := func(args ...string) {
		out := []byte(docker(t, manager, args...))
		var found []struct {
			ID      string
			Version struct{ Index uint64 }
		}
		must(t, json.Unmarshal(out, &found))
		for _, o := range found {
			versions[o.ID] = o.Version.Index
		}
	}
	inspect(append([]string{"node", "inspect"}, ids...)...)
	out := []byte(docker(t, manager, "info", "--format", "{{json .Swarm.Cluster}}"))
	var cluster struct {
		ID      string
		Version struct{ Index uint64 }
	}
	must(t, json.Unmarshal(out, &cluster))
	versions[cluster.ID] = cluster.Version.Index
	if len(versions) < 2 {
		t.Fatalf("the swarm has only the objects %v", versions)
	}
	return versions
}

func TestTen(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 10})
	t.Logf("ten Pis are one swarm after %v", becomeOne(t, later, l.Pis))
}

func TestNewerEngine(t *testing.T) {
	t.Parallel()
	lab.Need(t)
	engine, err := lab.FetchEngine(t.Context(), "trixie")
	must(t, err)
	l := formed(t, lab.Options{N: 3, Engine: engine, Config: "expect = 3"})
	t.Logf("engine %s: one swarm after %v", docker(t, l.leader, "version", "--format", "{{.Server.Version}}"), l.took)
}
