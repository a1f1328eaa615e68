// Package e2e runs the real agent on virtual Pis with real Docker Engines.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/test/lab"
)

// node is a line of docker node ls.
type node struct {
	ID            string
	Hostname      string
	Status        string // Ready, Down or Unknown
	ManagerStatus string // Leader, Reachable or Unreachable; empty for a worker
}

// engine is what runs docker commands, and is looked at through its API: a Pi or a whole machine.
type engine interface {
	Docker(ctx context.Context, args ...string) ([]byte, error)
	API() (*client.Client, error)
}

// infoOf is docker info.
func infoOf(ctx context.Context, e engine) (system.Info, error) {
	c, err := e.API()
	if err != nil {
		return system.Info{}, err
	}
	return c.Info(ctx)
}

// nodesOf is docker node ls.
func nodesOf(ctx context.Context, manager engine) ([]node, error) {
	c, err := manager.API()
	if err != nil {
		return nil, err
	}
	list, err := c.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, err
	}
	title := func(state string) string {
		return strings.ToUpper(state[:min(1, len(state))]) + state[min(1, len(state)):]
	}
	var nodes []node
	for _, n := range list {
		is := node{ID: n.ID, Hostname: n.Description.Hostname, Status: title(string(n.Status.State))}
		if m := n.ManagerStatus; m != nil && m.Leader {
			is.ManagerStatus = "Leader"
		} else if m != nil {
			is.ManagerStatus = title(string(m.Reachability))
		}
		nodes = append(nodes, is)
	}
	return nodes, nil
}

func lowest(pis []*lab.Pi) *lab.Pi {
	return slices.MinFunc(pis, func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
}

// oneSwarm checks that the Pis are the nodes of one swarm, all ready, led by leader, and that nothing else is.
func oneSwarm(ctx context.Context, leader *lab.Pi, pis []*lab.Pi) error {
	infos, err := infosOf(ctx, pis)
	if err != nil {
		return err
	}
	return areOneSwarm(ctx, leader, infos)
}

// infosOf is infoOf of all that answer, and what the others say instead.
func infosOf(ctx context.Context, pis []*lab.Pi) (infos map[*lab.Pi]system.Info, errs error) {
	infos = map[*lab.Pi]system.Info{}
	for _, pi := range pis {
		i, err := infoOf(ctx, pi)
		if err == nil {
			infos[pi] = i
		}
		errs = errors.Join(errs, err)
	}
	return infos, errs
}

func areOneSwarm(ctx context.Context, leader *lab.Pi, infos map[*lab.Pi]system.Info) error {
	var want, got []string
	for pi, i := range infos {
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

// neverTwo fails the test when two Pis manage different swarms. An agent that heals such a thing later would pass every look
// at the end.
func neverTwo(t *testing.T, infos map[*lab.Pi]system.Info) {
	t.Helper()
	swarms := map[string]string{}
	for pi, i := range infos {
		if i.Swarm.Cluster != nil && i.Swarm.Cluster.ID != "" {
			swarms[i.Swarm.Cluster.ID] = pi.Name
		}
	}
	if len(swarms) > 1 {
		t.Fatalf("two swarms: %v", swarms)
	}
}

// awaitSwarm waits until oneSwarm holds and returns how long that took.
func awaitSwarm(t *testing.T, limit time.Duration, leader *lab.Pi, pis []*lab.Pi) time.Duration {
	t.Helper()
	return await(t, limit, func(ctx context.Context) error {
		infos, err := infosOf(ctx, pis)
		neverTwo(t, infos)
		if err != nil {
			return err
		}
		return areOneSwarm(ctx, leader, infos)
	})
}

// await repeats check until it succeeds, and returns how long that took. It fails the test when that is too long.
func await(t *testing.T, limit time.Duration, check func(context.Context) error) time.Duration {
	t.Helper()
	return lab.Await(t, limit, check)
}

// limited is the test's context, for so long.
func limited(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
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
