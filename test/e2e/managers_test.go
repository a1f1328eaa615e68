package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file wait for minutes, and so run beside each other.

// fourBoards are boards of which three become managers; the fourth has the highest serial.
func fourBoards(t *testing.T, pace int) (l *lab.Lab, first, second, third, fourth *lab.Pi) {
	t.Helper()
	l = withEngines(t, lab.Options{N: 4, Pace: pace, Config: "managers = 3", Serials: []string{
		"10000000aabbcc05", "10000000aabbcc02", "10000000aabbcc07", "10000000aabbcc08",
	}}, withKey(clusterkey.Generate()))
	return l, l.Pis[1], l.Pis[0], l.Pis[2], l.Pis[3]
}

// allRun holds when the service web has this many tasks, and all of them run.
func allRun(manager *lab.Pi, n int) check {
	return func(ctx context.Context) error {
		out, err := manager.Docker(ctx, "service", "ls", "--format", "{{.Replicas}}")
		if want := fmt.Sprintf("%d/%d", n, n); err == nil && strings.TrimSpace(string(out)) != want {
			tasks, _ := manager.Docker(ctx, "service", "ps", "--no-trunc",
				"--format", "{{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}", "web")
			err = fmt.Errorf("replicas are %s, want %s:\n%s", out, want, tasks)
		}
		return err
	}
}

// threeOfFour makes a lab of four Pis of which those with the lowest serials become managers: three, as the settings
// want.
func threeOfFour(t *testing.T, prepare ...preparation) (l *lab.Lab, first, second, third, fourth *lab.Pi) {
	t.Helper()
	l = withEngines(t, lab.Options{N: 4, Config: "expect = 4\nmanagers = 3"}, prepare...)
	startAgents(t, l.Pis...)
	all := bySerial(l.Pis)
	await(t, later, managed(all[:3]...))
	return l, all[0], all[1], all[2], all[3]
}

// The first of three managers loses its power: the swarm can still be changed, and a service that ran there runs on.
func TestThreeManagers(t *testing.T) {
	t.Parallel()
	l, first, second, third, _ := fourBoards(t, 1)
	startAgents(t, l.Pis[:3]...)
	began := time.Now()
	await(t, later, ready(first, 3))
	t.Logf("one swarm of three after %.1f s", time.Since(began).Seconds())
	await(t, later, managed(first, second, third))
	t.Logf("three managers after %.1f s", time.Since(began).Seconds())
	says(t, first, "Making "+second.Name+" a manager, for 3 are wanted.")
	says(t, first, "Making "+third.Name+" a manager, for 3 are wanted.")
	repaired(t, first, "more managers are wanted (`managers`) than there are",
		"makes the boards with the next lowest serials managers",
		"Making "+second.Name+" a manager, for 3 are wanted.", time.Since(began))
	says(t, third, "This board is a manager of swarm ")
	brief(t, logMax, nil, l.Pis[:3]...)

	withWeb(t, l)
	deployWeb(t, first, "--replicas=3")
	await(t, soon, allRun(first, 3))
	powerOff(t, first)
	took := await(t, soon, func(ctx context.Context) error {
		_, err := second.Docker(ctx, "service", "scale", "--detach", "web=4")
		return err
	})
	t.Logf("all tasks run on the other two after %v more", await(t, later, allRun(third, 4)))
	down := first.Name + " is down: "
	repaired(t, whoSays(t, down, second, third), "one of three managers loses its power, the first",
		"the other two go on, and the swarm can be changed", down, took)
	turnOn(t, first)
	t.Logf("the first is back after %v", await(t, soon, allOf(managed(first, second, third), ready(second, 3))))

	setConfig(t, l.Pis, "managers = 1")
	restartAgents(t, l.Pis[:3]...)
	t.Logf("one manager after %v", await(t, later, func(ctx context.Context) error {
		managers := managersAmong(ctx, l.Pis[:3])
		if len(managers) == 0 {
			return errors.New("no board is a manager")
		}
		return allOf(managed(managers[0]), ready(managers[0], 3))(ctx)
	}))
}

// Two of five managers lose their power, and the swarm can be changed. Then the number follows that of the boards.
func TestFiveManagers(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 5, Config: "expect = 5\nmanagers = 5"}, withKey(clusterkey.Generate()))
	startAgents(t, l.Pis...)
	all := bySerial(l.Pis)
	await(t, atLast, managed(all...))
	lost, left := all[:2], all[2:]
	powerOff(t, lost...)
	took := await(t, later, writable(left[0]))
	await(t, soon, ready(left[0], 3))
	down := lost[0].Name + " is down: "
	repaired(t, whoSays(t, down, left...), "two of five managers lose their power",
		"the other three go on, and the swarm can be changed", down, took)
	turnOn(t, lost...)
	await(t, later, managed(all...))

	setConfig(t, l.Pis, "managers = \"auto\"")
	restartAgents(t, l.Pis...)
	t.Logf("three managers of five boards after %v", await(t, atLast, func(ctx context.Context) error {
		managers := managersAmong(ctx, l.Pis)
		if len(managers) != 3 {
			return fmt.Errorf("%d of 5 boards are managers, want 3", len(managers))
		}
		return allOf(managed(managers...), ready(managers[0], 5))(ctx)
	}))
}

// A manager is gone for good: a fourth board takes its place, and when it comes back after all it is a worker.
func TestManagerIsReplaced(t *testing.T) {
	t.Parallel()
	// A swarm knows after 20 s that a node is down; a fifth of the five minutes is still three times as long.
	pace := paceOf(5)
	patience := timing.Product().ManagerGone / time.Duration(pace)
	l, first, second, third, fourth := fourBoards(t, pace)
	startAgents(t, l.Pis...)
	await(t, later, managed(first, second, third))
	await(t, soon, ready(second, 4))
	powerOff(t, first)
	lost := time.Now()
	await(t, atLast+patience, managed(second, third, fourth))
	took := time.Since(lost)
	if took < patience {
		t.Errorf("it was replaced after %v: it could have been a reboot", took)
	}
	said := first.Name + ", a manager, is gone and will be replaced by " + fourth.Name
	repaired(t, whoSays(t, said, second, third), "one of three managers is gone for good",
		"after five minutes, in which it could be back, another board takes its place", said, took)
	turnOn(t, first)
	t.Logf("the first is back as a worker after %v", await(t, later, allOf(isWorker(first), ready(second, 4))))
	holds(t, managed(second, third, fourth)) // also with the first back
}

// A manager, through which all others have joined, is taken out for good. An engine that joined through it cannot
// become a manager any more, and joins anew.
func TestManagerIsTakenOut(t *testing.T) {
	t.Parallel()
	l, first, second, third, fourth := threeOfFour(t, withKey(clusterkey.Generate()))
	reset(t, l, first, "", "-yes")
	took := await(t, atLast, allOf(managed(second, third, fourth), ready(second, 3)))
	repaired(t, fourth, "a manager is taken out for good (`pi-agent reset`)",
		"it is made a worker first, and another board takes its place; where its engine cannot, it joins anew",
		"The Docker Engine cannot become a manager, for it asks one that is gone: leaving the swarm to join it anew", took)
}

// Without a cluster key a board follows the managers that its manager has named, and no others: when the first one is
// lost for good, the boards that it let in still find their way back.
func TestThreeManagersWithoutAKey(t *testing.T) {
	t.Parallel()
	l, first, second, third, worker := threeOfFour(t)
	await(t, later, func(context.Context) error { // the worker has met the others as managers
		var state struct {
			Pins struct {
				OtherManagers []string `json:"other_managers"`
			}
		}
		err := readState(worker, &state)
		if err == nil && len(state.Pins.OtherManagers) != 2 {
			err = fmt.Errorf("%s follows %d managers beside the first", worker.Name, len(state.Pins.OtherManagers))
		}
		return err
	})
	// The first is gone, an hour passes, and the worker loses its swarm: it finds it again.
	powerOff(t, first)
	anHourLater(t, second, third)
	await(t, soon, writable(second))
	was := infoNow(t, worker)
	leaveSwarm(t, worker)
	t.Logf("the worker is in the swarm again after %v", await(t, later, newNode(worker, was)))
	if log := worker.Log(); strings.Contains(log, "two swarms") || strings.Contains(log, "not understood") {
		t.Errorf("the worker takes a manager for a stranger:\n%s", log)
	}

	// Boards leave for good, as long as the swarm can do without.
	reset(t, l, third, "too few managers of its swarm are reachable", "-yes")
	reset(t, l, worker, "nothing was done")
	reset(t, l, worker, "", "-yes")
	turnOn(t, first)
	await(t, soon, managed(first, second, third))
	reset(t, l, third, "", "-yes")
	var last *lab.Pi
	await(t, soon, func(ctx context.Context) error { // nobody is left to make up three, and two are no better than one
		last = first
		if i, err := infoOf(ctx, second); err == nil && i.Swarm.ControlAvailable {
			last = second
		}
		return managed(last)(ctx)
	})
	for _, pi := range []*lab.Pi{worker, third} {
		says(t, pi, "This board was reset and stays out of any swarm")
		inNoSwarm(t, pi)
	}
	i := infoNow(t, last)
	reset(t, l, last, "sudo pi-agent reset -swarm "+i.Swarm.Cluster.ID, "-yes")
	reset(t, l, last, "", "-yes", "-swarm", i.Swarm.Cluster.ID)
}

// reset runs pi-agent reset, which is to refuse with these words, or to do it when there are none.
func reset(t *testing.T, l *lab.Lab, pi *lab.Pi, refusal string, args ...string) {
	t.Helper()
	agent, err := l.AgentPath()
	must(t, err)
	out, err := pi.Exec(t.Context(), append([]string{agent, "reset"}, args...)...)
	switch {
	case refusal == "" && (err != nil || !strings.Contains(string(out), "This board has left its swarm")):
		t.Errorf("reset on %s: %s, %v", pi.Name, out, err)
	case refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)):
		t.Errorf("reset on %s: %s, %v; want %q", pi.Name, out, err, refusal)
	}
}
