package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/test/lab"
)

// managersAre checks that these Pis are the managers that the swarm of one of them has, all reachable, and one leads.
func managersAre(ctx context.Context, pis ...*lab.Pi) error {
	nodes, err := nodesOf(ctx, pis[0])
	if err != nil {
		return err
	}
	var want, got []string
	leaders := 0
	for _, pi := range pis {
		want = append(want, pi.Name)
	}
	for _, n := range nodes {
		switch n.ManagerStatus {
		case "Leader":
			leaders++
			got = append(got, n.Hostname)
		case "Reachable":
			got = append(got, n.Hostname)
		case "":
		default:
			return fmt.Errorf("%s is %s", n.Hostname, n.ManagerStatus)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) || leaders != 1 {
		return fmt.Errorf("managers are %v, want %v; %d lead", got, want, leaders)
	}
	return nil
}

// writable checks that the swarm can be changed on this Pi.
func writable(ctx context.Context, pi *lab.Pi) error {
	_, err := pi.Docker(ctx, "node", "update", "--label-add", "probe="+fmt.Sprint(time.Now().UnixNano()), pi.Name)
	return err
}

// allReady checks that so many nodes of the swarm are ready.
func allReady(ctx context.Context, manager *lab.Pi, n int) error {
	nodes, err := nodesOf(ctx, manager)
	if err != nil {
		return err
	}
	up := 0
	for _, n := range nodes {
		if n.Status == "Ready" {
			up++
		}
	}
	if up != n {
		return fmt.Errorf("%d of %d nodes are ready, want %d", up, len(nodes), n)
	}
	return nil
}

func turnOn(t *testing.T, pi *lab.Pi) {
	t.Helper()
	if err := pi.PowerOn(); err != nil {
		t.Fatal(err)
	}
	if err := pi.StartAgent(); err != nil {
		t.Fatal(err)
	}
	if err := pi.StartEngine(); err != nil {
		t.Fatal(err)
	}
}

// The tests in this file wait for minutes, and do so beside each other.

// fourBoards are boards of which three become managers; the fourth has the highest serial.
func fourBoards(t *testing.T, pace int) (l *lab.Lab, first, second, third, fourth *lab.Pi) {
	t.Helper()
	l = lab.New(t, lab.Options{N: 4, Pace: pace, Config: "managers = 3", Serials: []string{
		"10000000aabbcc05", "10000000aabbcc02", "10000000aabbcc07", "10000000aabbcc08",
	}})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	return l, l.Pis[1], l.Pis[0], l.Pis[2], l.Pis[3]
}

// allRun checks that the service web has so many tasks, and all of them run.
func allRun(ctx context.Context, manager *lab.Pi, n int) error {
	out, err := manager.Docker(ctx, "service", "ls", "--format", "{{.Replicas}}")
	if want := fmt.Sprintf("%d/%d", n, n); err == nil && strings.TrimSpace(string(out)) != want {
		tasks, _ := manager.Docker(ctx, "service", "ps", "--no-trunc", "--format", "{{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}", "web")
		err = fmt.Errorf("replicas are %s, want %s:\n%s", out, want, tasks)
	}
	return err
}

// The first of three managers loses its power: the swarm can be changed, and a service that ran there runs on.
func TestThreeManagers(t *testing.T) {
	t.Parallel()
	l, first, second, third, _ := fourBoards(t, 1)
	for _, pi := range l.Pis[:3] {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	await(t, 2*time.Minute, func(ctx context.Context) error { return allReady(ctx, first, 3) })
	t.Logf("one swarm of three after %.1f s", time.Since(began).Seconds())
	three := func(ctx context.Context) error { return managersAre(ctx, first, second, third) }
	await(t, 2*time.Minute, three)
	t.Logf("three managers after %.1f s", time.Since(began).Seconds())
	says(t, first, "Making "+second.Name+" a manager, for 3 are wanted.")
	says(t, first, "Making "+third.Name+" a manager, for 3 are wanted.")
	repaired(t, first, "more managers are wanted (`managers`) than there are", "makes the boards with the next lowest serials managers",
		"Making "+second.Name+" a manager, for 3 are wanted.", time.Since(began))
	says(t, third, "This board is a manager of swarm ")
	for _, pi := range l.Pis[:3] {
		if n := logLines(pi); n > logMax {
			t.Errorf("%s wrote %d lines, want at most %d", pi.Name, n, logMax)
		}
	}

	if err := l.LoadWeb(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Docker(t.Context(), "service", "create", "--detach", "--name", "web", "--no-resolve-image", "--replicas=3",
		"--mount", "type=bind,src=/etc/hostname,dst=/etc/hostname,readonly", lab.WebImage); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error { return allRun(ctx, first, 3) })
	if err := first.PowerOff(); err != nil {
		t.Fatal(err)
	}
	took := await(t, time.Minute, func(ctx context.Context) error {
		_, err := second.Docker(ctx, "service", "scale", "--detach", "web=4")
		return err
	})
	t.Logf("all tasks run on the other two after %v more", await(t, 2*time.Minute, func(ctx context.Context) error {
		return allRun(ctx, third, 4)
	}))
	down := first.Name + " is down: "
	repaired(t, whoSays(t, down, second, third), "one of three managers loses its power, the first",
		"the other two go on, and the swarm can be changed", down, took)
	turnOn(t, first)
	t.Logf("the first is back after %v", await(t, time.Minute, func(ctx context.Context) error {
		if err := three(ctx); err != nil {
			return err
		}
		return allReady(ctx, second, 3)
	}))

	setConfig(t, l.Pis, "managers = 1")
	for _, pi := range l.Pis[:3] {
		if err := pi.StopAgent(); err != nil {
			t.Fatal(err)
		}
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("one manager after %v", await(t, 2*time.Minute, func(ctx context.Context) error {
		for _, pi := range l.Pis[:3] {
			if i, err := infoOf(ctx, pi); err == nil && i.Swarm.ControlAvailable {
				if err := managersAre(ctx, pi); err != nil {
					return err
				}
				return allReady(ctx, pi, 3)
			}
		}
		return fmt.Errorf("nobody manages")
	}))
}

// Two of five managers lose their power, and the swarm can be changed. Then the number follows that of the boards.
func TestFiveManagers(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 5, Config: "expect = 5\nmanagers = 5"})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	bySerial := slices.SortedFunc(slices.Values(l.Pis), func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
	await(t, 4*time.Minute, func(ctx context.Context) error { return managersAre(ctx, bySerial...) })
	lost, left := bySerial[:2], bySerial[2:]
	for _, pi := range lost {
		if err := pi.PowerOff(); err != nil {
			t.Fatal(err)
		}
	}
	took := await(t, 2*time.Minute, func(ctx context.Context) error { return writable(ctx, left[0]) })
	await(t, time.Minute, func(ctx context.Context) error { return allReady(ctx, left[0], 3) })
	down := lost[0].Name + " is down: "
	repaired(t, whoSays(t, down, left...), "two of five managers lose their power", "the other three go on, and the swarm can be changed", down, took)
	for _, pi := range lost {
		turnOn(t, pi)
	}
	await(t, 2*time.Minute, func(ctx context.Context) error { return managersAre(ctx, bySerial...) })

	setConfig(t, l.Pis, "managers = \"auto\"")
	for _, pi := range l.Pis {
		if err := errors.Join(pi.StopAgent(), pi.StartAgent()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("three managers of five boards after %v", await(t, 3*time.Minute, func(ctx context.Context) error {
		var managers []*lab.Pi
		for _, pi := range l.Pis {
			if i, err := infoOf(ctx, pi); err == nil && i.Swarm.ControlAvailable {
				managers = append(managers, pi)
			}
		}
		if len(managers) != 3 {
			return fmt.Errorf("%d boards manage, want 3 of 5", len(managers))
		}
		if err := managersAre(ctx, managers...); err != nil {
			return err
		}
		return allReady(ctx, managers[0], 5)
	}))
}

// A manager is gone for good: a fourth board takes its place, and when it comes back after all it is a worker.
func TestManagerIsReplaced(t *testing.T) {
	t.Parallel()
	// A swarm knows after 20 s that a node is down; a fifth of the five minutes is still three times as long.
	pace := paceOf(5)
	patience := timing.Product().ManagerGone / time.Duration(pace)
	l, first, second, third, fourth := fourBoards(t, pace)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	await(t, 2*time.Minute, func(ctx context.Context) error { return managersAre(ctx, first, second, third) })
	await(t, time.Minute, func(ctx context.Context) error { return allReady(ctx, second, 4) })
	if err := first.PowerOff(); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	replaced := func(ctx context.Context) error { return managersAre(ctx, second, third, fourth) }
	await(t, 4*time.Minute+patience, replaced)
	took := time.Since(lost)
	if took < patience {
		t.Errorf("it was replaced after %v: it could have been a reboot", took)
	}
	said := first.Name + ", a manager, is gone and will be replaced by " + fourth.Name
	repaired(t, whoSays(t, said, second, third), "one of three managers is gone for good",
		"after five minutes, in which it could be back, another board takes its place", said, took)
	turnOn(t, first)
	t.Logf("the first is back as a worker after %v", await(t, 2*time.Minute, func(ctx context.Context) error {
		i, err := infoOf(ctx, first)
		if err == nil && (i.Swarm.ControlAvailable || i.Swarm.LocalNodeState != "active") {
			return fmt.Errorf("the first is %s, manager %v", i.Swarm.LocalNodeState, i.Swarm.ControlAvailable)
		}
		if err == nil {
			err = allReady(ctx, second, 4)
		}
		return err
	}))
	if err := replaced(t.Context()); err != nil {
		t.Errorf("with the first back: %v", err)
	}
}

// A manager, through which all others have joined, is taken out for good. An engine that joined through it cannot become
// a manager any more, and joins anew.
func TestManagerIsTakenOut(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 4, Config: "expect = 4\nmanagers = 3"})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	bySerial := slices.SortedFunc(slices.Values(l.Pis), func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
	first, second, third, fourth := bySerial[0], bySerial[1], bySerial[2], bySerial[3]
	await(t, 2*time.Minute, func(ctx context.Context) error { return managersAre(ctx, first, second, third) })
	reset(t, l, first, "", "-yes")
	took := await(t, 3*time.Minute, func(ctx context.Context) error {
		if err := managersAre(ctx, second, third, fourth); err != nil {
			return err
		}
		return allReady(ctx, second, 3)
	})
	repaired(t, fourth, "a manager is taken out for good (`pi-agent reset`)", "it is made a worker first, and another board takes its place; where its engine cannot, it joins anew",
		"The Docker Engine cannot become a manager, for it asks one that is gone: leaving the swarm to join it anew", took)
}

// Without a cluster key a board follows the managers that its manager has named, and no others: when the first one is lost
// for good, the boards that it let in still find their way back.
func TestThreeManagersWithoutAKey(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 4, Config: "expect = 4\nmanagers = 3"})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	bySerial := slices.SortedFunc(slices.Values(l.Pis), func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
	first, second, third, worker := bySerial[0], bySerial[1], bySerial[2], bySerial[3]
	await(t, 2*time.Minute, func(ctx context.Context) error { return managersAre(ctx, first, second, third) })
	await(t, 2*time.Minute, func(context.Context) error { // the worker has met the others as managers
		var state struct {
			Pins struct{ Fellows []string }
		}
		b, err := os.ReadFile(worker.Path("/var/lib/pi-agent/state.json"))
		if err == nil {
			err = json.Unmarshal(b, &state)
		}
		if err == nil && len(state.Pins.Fellows) != 2 {
			err = fmt.Errorf("%s follows %d managers beside the first", worker.Name, len(state.Pins.Fellows))
		}
		return err
	})
	// The first is gone, an hour passes, and the worker loses its swarm: it finds it again.
	if err := first.PowerOff(); err != nil {
		t.Fatal(err)
	}
	for _, pi := range []*lab.Pi{second, third} {
		if err := pi.StopAgent(); err != nil {
			t.Fatal(err)
		}
		if err := pi.WriteFile("/run/pi-agent/started", fmt.Sprint(-int64(time.Hour)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	await(t, time.Minute, func(ctx context.Context) error { return writable(ctx, second) })
	was, err := infoOf(t.Context(), worker)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Docker(t.Context(), "swarm", "leave", "--force"); err != nil {
		t.Fatal(err)
	}
	t.Logf("the worker is in the swarm again after %v", await(t, 2*time.Minute, func(ctx context.Context) error {
		i, err := infoOf(ctx, worker)
		if err == nil && (i.Swarm.LocalNodeState != "active" || i.Swarm.NodeID == was.Swarm.NodeID) {
			err = fmt.Errorf("the worker is %s", i.Swarm.LocalNodeState)
		}
		return err
	}))
	if log := worker.Log(); strings.Contains(log, "two swarms") || strings.Contains(log, "not understood") {
		t.Errorf("the worker takes a manager for a stranger:\n%s", log)
	}

	// Boards leave for good, as long as the swarm can do without.
	reset(t, l, third, "too few managers of its swarm are reachable", "-yes")
	reset(t, l, worker, "nothing was done")
	reset(t, l, worker, "", "-yes")
	turnOn(t, first)
	await(t, time.Minute, func(ctx context.Context) error { return managersAre(ctx, first, second, third) })
	reset(t, l, third, "", "-yes")
	var last *lab.Pi
	await(t, time.Minute, func(ctx context.Context) error { // nobody is left to make up three, and two are no better than one
		last = first
		if i, err := infoOf(ctx, second); err == nil && i.Swarm.ControlAvailable {
			last = second
		}
		return managersAre(ctx, last)
	})
	for _, pi := range []*lab.Pi{worker, third} {
		says(t, pi, "This board was reset and stays out of any swarm")
		if i, err := infoOf(t.Context(), pi); err != nil || i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("%s was reset and is %s, %v", pi.Name, i.Swarm.LocalNodeState, err)
		}
	}
	i, err := infoOf(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	reset(t, l, last, "sudo pi-agent reset -swarm "+i.Swarm.Cluster.ID, "-yes")
	reset(t, l, last, "", "-yes", "-swarm", i.Swarm.Cluster.ID)
}

// reset runs pi-agent reset, which is to refuse with these words, or to do it when there are none.
func reset(t *testing.T, l *lab.Lab, pi *lab.Pi, refusal string, args ...string) {
	t.Helper()
	agent, err := l.AgentPath()
	if err != nil {
		t.Fatal(err)
	}
	out, err := pi.Exec(t.Context(), append([]string{agent, "reset"}, args...)...)
	switch {
	case refusal == "" && (err != nil || !strings.Contains(string(out), "This board has left its swarm")):
		t.Errorf("reset on %s: %s, %v", pi.Name, out, err)
	case refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)):
		t.Errorf("reset on %s: %s, %v; want %q", pi.Name, out, err, refusal)
	}
}
