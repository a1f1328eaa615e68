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

// rounds is how often chance gets its chance: a few times whenever the tests run, and as often as PI_AGENT_ROUNDS says.
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

// logMax is how many lines a Pi may write while three of them become a swarm: a story, not a protocol.
const logMax = 15

func TestThreeStartedInRandomOrder(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	rnd := random(t)
	leader := lowest(l.Pis)
	for round := range rounds(t) {
		blank(t, l)
		before := map[*lab.Pi]int{}
		config := ""
		if round%4 != 0 { // the rest has the default settings, which wait 15 s for more boards
			config = "expect = 3"
		}
		setConfig(t, l.Pis, config)
		for _, pi := range l.Pis {
			before[pi] = logLines(pi)
		}
		shuffled(t, rnd, l.Pis, 5*time.Second)
		took := awaitSwarm(t, time.Minute, leader, l.Pis)
		t.Logf("round %2d (%s): one swarm of three, %s leads, %.1f s after the last start", round+1, config, leader.Name, took.Seconds())
		for _, pi := range l.Pis {
			if n := logLines(pi) - before[pi]; n > logMax {
				t.Errorf("%s wrote %d lines, want at most %d", pi.Name, n, logMax)
			}
		}
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
			if err := pi.KillAgent(); err != nil {
				t.Fatal(err)
			}
			if err := pi.StartAgent(); err != nil {
				t.Fatal(err)
			}
		}
		var leader *lab.Pi
		await(t, 2*time.Minute, func(ctx context.Context) error {
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
	l := lab.New(t, lab.Options{N: 4, Serials: []string{"10000000aabbcc05", "10000000aabbcc07", "10000000aabbcc06", "10000000aabbcc01"}})
	engines(t, l)
	first, late := l.Pis[:3], l.Pis[3]
	for _, pi := range first {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	leader := lowest(first)
	awaitSwarm(t, time.Minute, leader, first)

	t.Run("labels", func(t *testing.T) {
		await(t, time.Minute, func(ctx context.Context) error {
			for _, pi := range first {
				out, err := leader.Docker(ctx, "node", "ls", "--quiet", "--filter", "node.label=pi.serial="+pi.Serial)
				if err != nil || strings.TrimSpace(string(out)) == "" {
					return fmt.Errorf("no node is labelled with the serial of %s: %w", pi.Name, err)
				}
			}
			return nil
		})
	})
	t.Run("a lower serial joins later", func(t *testing.T) {
		if err := late.StartAgent(); err != nil {
			t.Fatal(err)
		}
		awaitSwarm(t, time.Minute, leader, l.Pis)
		await(t, time.Minute, func(ctx context.Context) error {
			out, err := leader.Docker(ctx, "node", "ls", "--quiet", "--filter", "node.label=pi.serial="+late.Serial)
			if err != nil || strings.TrimSpace(string(out)) == "" {
				return fmt.Errorf("no node is labelled with the serial of %s: %w", late.Name, err)
			}
			return nil
		})
	})
	t.Run("agents restart and change nothing", func(t *testing.T) {
		before := objects(t, leader)
		for _, pi := range l.Pis {
			if err := pi.StopAgent(); err != nil {
				t.Fatal(err)
			}
			if err := pi.StartAgent(); err != nil {
				t.Fatal(err)
			}
		}
		for _, pi := range l.Pis {
			await(t, time.Minute, func(context.Context) error {
				if log := pi.Log(); strings.Count(log, "a manager of swarm")+strings.Count(log, "in the swarm of") < 2 {
					return fmt.Errorf("%s has not found its place again", pi.Name)
				}
				return nil
			})
		}
		pause(t, 35*time.Second) // every worker says hello to the manager at least once more
		if diff := cmp.Diff(before, objects(t, leader)); diff != "" {
			t.Errorf("the swarm was changed (-before +after):\n%s", diff)
		}
	})
}

// objects are the versions of all that a swarm has: each change of a node or of the swarm counts one up.
func objects(t *testing.T, manager *lab.Pi) map[string]uint64 {
	t.Helper()
	versions := map[string]uint64{}
	ids, err := manager.Docker(t.Context(), "node", "ls", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	inspect := func(args ...string) {
		out, err := manager.Docker(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		var found []struct {
			ID      string
			Version struct{ Index uint64 }
		}
		if err := json.Unmarshal(out, &found); err != nil {
			t.Fatal(err)
		}
		for _, o := range found {
			versions[o.ID] = o.Version.Index
		}
	}
	inspect(append([]string{"node", "inspect"}, strings.Fields(string(ids))...)...)
	out, err := manager.Docker(t.Context(), "info", "--format", "{{json .Swarm.Cluster}}")
	if err != nil {
		t.Fatal(err)
	}
	var cluster struct {
		ID      string
		Version struct{ Index uint64 }
	}
	if err := json.Unmarshal(out, &cluster); err != nil {
		t.Fatal(err)
	}
	versions[cluster.ID] = cluster.Version.Index
	if len(versions) < 2 {
		t.Fatalf("objects %v", versions)
	}
	return versions
}

func TestTen(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 10})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	t.Logf("ten Pis are one swarm after %.1f s", awaitSwarm(t, 2*time.Minute, lowest(l.Pis), l.Pis).Seconds())
}

func TestNewerEngine(t *testing.T) {
	t.Parallel()
	lab.Need(t)
	engine, err := lab.FetchEngine(t.Context(), "trixie")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(t, lab.Options{N: 3, Engine: engine, Config: "expect = 3"})
	engines(t, l)
	out, err := l.Pis[0].Docker(t.Context(), "version", "--format", "{{.Server.Version}}")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	t.Logf("engine %s: one swarm after %.1f s", strings.TrimSpace(string(out)), awaitSwarm(t, time.Minute, lowest(l.Pis), l.Pis).Seconds())
}
