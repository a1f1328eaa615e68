// Package e2e runs the real agent on virtual Pis with real Docker Engines.
package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/test/lab"
)

// node is a line of docker node ls.
type node struct {
	ID            string
	Hostname      string
	Status        string
	ManagerStatus string
}

// info is what we look at in docker info.
type info struct {
	Swarm struct {
		NodeID           string
		LocalNodeState   string
		ControlAvailable bool
		Cluster          *struct{ ID string }
	}
}

// engine is what runs docker commands: a Pi or a whole machine.
type engine interface {
	Docker(ctx context.Context, args ...string) ([]byte, error)
}

func infoOf(ctx context.Context, e engine) (i info, err error) {
	out, err := e.Docker(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return i, err
	}
	return i, json.Unmarshal(out, &i)
}

func nodesOf(ctx context.Context, manager engine) ([]node, error) {
	out, err := manager.Docker(ctx, "node", "ls", "--format", "{{json .}}")
	if err != nil {
		return nil, err
	}
	var nodes []node
	for line := range strings.Lines(string(out)) {
		var n node
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func lowest(pis []*lab.Pi) *lab.Pi {
	return slices.MinFunc(pis, func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
}

// oneSwarm checks that the Pis are the nodes of one swarm, all ready, led by leader, and that nothing else is.
func oneSwarm(ctx context.Context, leader *lab.Pi, pis []*lab.Pi) error {
	var want, got []string
	for _, pi := range pis {
		i, err := infoOf(ctx, pi)
		if err != nil {
			return err
		}
		if i.Swarm.LocalNodeState != "active" || i.Swarm.ControlAvailable != (pi == leader) {
			return fmt.Errorf("%s is %s, manager %v", pi.Name, i.Swarm.LocalNodeState, i.Swarm.ControlAvailable)
		}
		want = append(want, i.Swarm.NodeID+" "+pi.Name+" Ready")
	}
	nodes, err := nodesOf(ctx, leader)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		got = append(got, n.ID+" "+n.Hostname+" "+n.Status)
		if (n.ManagerStatus == "Leader") != (n.Hostname == leader.Name) {
			return fmt.Errorf("%s has manager status %q", n.Hostname, n.ManagerStatus)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("nodes\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return nil
}

// neverTwo fails the test as soon as two Pis manage different swarms. An agent that heals such a thing later would pass
// every look at the end.
func neverTwo(ctx context.Context, pis []*lab.Pi) error {
	swarms := map[string]string{}
	for _, pi := range pis {
		i, err := infoOf(ctx, pi)
		if err != nil || i.Swarm.Cluster == nil || i.Swarm.Cluster.ID == "" {
			continue
		}
		swarms[i.Swarm.Cluster.ID] = pi.Name
	}
	if len(swarms) > 1 {
		return fmt.Errorf("%w: %v", errTwo, swarms)
	}
	return nil
}

var errTwo = errors.New("two swarms")

// awaitSwarm waits until oneSwarm holds and returns how long that took.
func awaitSwarm(t *testing.T, limit time.Duration, leader *lab.Pi, pis []*lab.Pi) time.Duration {
	t.Helper()
	began := time.Now()
	await(t, limit, func(ctx context.Context) error {
		if err := neverTwo(ctx, pis); err != nil {
			t.Fatal(err)
		}
		return oneSwarm(ctx, leader, pis)
	})
	return time.Since(began)
}

// await repeats check every 200 ms until it succeeds, and fails the test when it has not in time.
func await(t *testing.T, limit time.Duration, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil {
			last = err // what a check says that was cut off in the middle tells nothing
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v: %v", limit, last)
		case <-tick.C:
		}
	}
}

// pause lets d pass for what runs in the lab, unless the test ends first.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func engines(t *testing.T, l *lab.Lab) {
	t.Helper()
	if err := l.StartEngines(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// blank puts freshly flashed cards into all Pis and starts their engines.
func blank(t *testing.T, l *lab.Lab) {
	t.Helper()
	var g errgroup.Group
	for _, pi := range l.Pis {
		g.Go(func() error {
			if err := pi.Reflash(); err != nil {
				return err
			}
			return pi.PowerOn()
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	engines(t, l)
}

// shuffled starts the agents in random order, spread at random over the given time, and returns when all run.
func shuffled(t *testing.T, rnd *rand.Rand, pis []*lab.Pi, spread time.Duration) {
	t.Helper()
	var g errgroup.Group
	for _, pi := range pis {
		delay := time.Duration(rnd.Int64N(int64(spread)))
		g.Go(func() error {
			timer := time.NewTimer(delay)
			defer timer.Stop()
			<-timer.C
			return pi.StartAgent()
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// random is a source whose seed is in the test's log, so that a failure can be looked into.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func setConfig(t *testing.T, pis []*lab.Pi, lines string) {
	t.Helper()
	for _, pi := range pis {
		if err := pi.SetConfig(lines); err != nil {
			t.Fatal(err)
		}
	}
}

// logLines counts what the agent has written.
func logLines(pi *lab.Pi) int { return strings.Count(pi.Log(), "\n") }
