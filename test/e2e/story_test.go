package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// This file has what the tests share to tell their stories: how long they wait, how a swarm comes about, and what is
// done to boards.

// How long tests wait, on an idle machine; await allows several times as long, for a busy one. A wait ends as soon as
// its condition holds, so these are generous. What must be fast is measured instead.
const (
	// atOnce is for what has happened already, and only has to be seen.
	atOnce = 10 * time.Second
	// soon is for what boards do by themselves in seconds: form a swarm, join, say and show what they notice.
	soon = time.Minute
	// later is for what waits for an announcement, which boards in a swarm send once a minute, or for Docker, which takes
	// a while to miss a node and to start its tasks elsewhere.
	later = 2 * time.Minute
	// atLast is for what boards do only after minutes of patience, or in several steps of the above.
	atLast = 5 * time.Minute
)

// How long tests watch that nothing happens.
const (
	// downTime is longer than a swarm takes to call a silent node Down: by then a worker that has lost its manager is.
	downTime = 25 * time.Second
	// settledTime is twice the settle of quick: by then a board that would make a swarm has made it.
	settledTime = 10 * time.Second
)

// handTime is how long a class takes at most to switch on its boards, one after the other.
const handTime = 5 * time.Second

// quick is a setting with which boards wait for others only a third of the usual time.
const quick = `settle = "5s"`

// await repeats check until it succeeds, and returns how long that took. It fails the test when that is too long.
func await(t *testing.T, limit time.Duration, check func(context.Context) error) time.Duration {
	t.Helper()
	return lab.Await(t, limit, check)
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

// everySecond looks again and again until ctx ends.
func everySecond(ctx context.Context, look func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// must fails the test, which cannot go on, when something has failed.
func must(t *testing.T, errs ...error) {
	t.Helper()
	lab.Must(t, errs...)
}

// docker runs a docker command, which must succeed, and returns what it says.
func docker(t *testing.T, on engine, args ...string) string {
	t.Helper()
	out, err := on.Docker(t.Context(), args...)
	must(t, err)
	return strings.TrimSpace(string(out))
}

// run runs a program, which must succeed, on a Pi or a machine, and returns what it says.
func run(t *testing.T, on engine, argv ...string) string {
	t.Helper()
	out, err := on.Exec(t.Context(), argv...)
	must(t, err)
	return strings.TrimSpace(string(out))
}

// inPi runs a script in a Pi, which must succeed.
func inPi(t *testing.T, pi *lab.Pi, script string) {
	t.Helper()
	run(t, pi, "bash", "-ec", script)
}

// cluster is a lab whose Pis have become one swarm.
type cluster struct {
	*lab.Lab
	leader  *lab.Pi
	workers []*lab.Pi     // the others, pi1 first
	took    time.Duration // from the start of the agents
}

// formed makes a lab whose Pis become one swarm, led by the one with the lowest serial. Before their agents start they
// are prepared, such as with a key.
func formed(t *testing.T, o lab.Options, prepare ...preparation) cluster {
	t.Helper()
	c := cluster{Lab: withEngines(t, o, prepare...)}
	c.leader = lowest(c.Pis)
	c.workers = others(c.leader, c.Pis)
	c.took = becomeOne(t, soon, c.Pis)
	return c
}

// preparation is what is done to a lab whose engines run, before its agents start.
type preparation func(*testing.T, *lab.Lab)

// withEngines makes a lab in which the engines run, and the agents do not yet.
func withEngines(t *testing.T, o lab.Options, prepare ...preparation) *lab.Lab {
	t.Helper()
	l := lab.New(t, o)
	engines(t, l)
	for _, p := range prepare {
		p(t, l)
	}
	return l
}

// withKey gives all Pis this cluster key.
func withKey(key string) preparation {
	return func(t *testing.T, l *lab.Lab) {
		t.Helper()
		setKey(t, key, l.Pis...)
	}
}

// withWeb loads lab.WebImage into all engines.
func withWeb(t *testing.T, l *lab.Lab) {
	t.Helper()
	must(t, l.LoadWeb(t.Context()))
}

// becomeOne starts the agents of some Pis, which become one swarm led by the one with the lowest serial.
func becomeOne(t *testing.T, limit time.Duration, pis []*lab.Pi) (took time.Duration) {
	t.Helper()
	startAgents(t, pis...)
	return awaitSwarm(t, limit, lowest(pis), pis)
}

func lowest(pis []*lab.Pi) *lab.Pi { return bySerial(pis)[0] }

// bySerial sorts Pis by their serials.
func bySerial(pis []*lab.Pi) []*lab.Pi {
	return slices.SortedFunc(slices.Values(pis), func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
}

// others are the given Pis without one of them, in the same order.
func others(than *lab.Pi, pis []*lab.Pi) []*lab.Pi {
	return slices.DeleteFunc(slices.Clone(pis), func(pi *lab.Pi) bool { return pi == than })
}

// serialName is the name of a Pi in the others' logs.
func serialName(pi *lab.Pi) string { return peer.Serial(pi.Serial).Name() }

func engines(t *testing.T, l *lab.Lab) {
	t.Helper()
	must(t, l.StartEngines(t.Context()))
}

// startEngines starts the engines of these Pis, and waits until they answer.
func startEngines(t *testing.T, pis []*lab.Pi) {
	t.Helper()
	var g errgroup.Group
	for _, pi := range pis {
		g.Go(func() error {
			if err := pi.StartEngine(); err != nil {
				return err
			}
			return pi.WaitEngine(t.Context())
		})
	}
	must(t, g.Wait())
}

// awaitEngine waits until the engine of a Pi, which is being started, answers.
func awaitEngine(t *testing.T, pi *lab.Pi) {
	t.Helper()
	must(t, pi.WaitEngine(t.Context()))
}

func startAgents(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		must(t, pi.StartAgent())
	}
}

func stopAgents(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		must(t, pi.StopAgent())
	}
}

// restartAgents restarts the agents of these Pis one by one.
func restartAgents(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		stopAgents(t, pi)
		startAgents(t, pi)
	}
}

// anHourLater restarts the agents of these Pis so that they believe they have been up for an hour.
func anHourLater(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		stopAgents(t, pi)
		must(t, pi.WriteFile("/run/pi-agent/started", fmt.Sprint(-int64(time.Hour)), 0o600))
		startAgents(t, pi)
	}
}

// restartEngine stops the engine of a Pi, lets something be done, and waits until it answers again.
func restartEngine(t *testing.T, pi *lab.Pi, meanwhile func()) {
	t.Helper()
	must(t, pi.StopEngine())
	meanwhile()
	must(t, pi.StartEngine())
	awaitEngine(t, pi)
}

// stillRun fails the test when the agent of one of these Pis has ended.
func stillRun(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if !pi.Process("pi-agent").Running() {
			t.Errorf("the agent of %s has ended", pi.Name)
		}
	}
}

// powerOff pulls the plugs of these Pis or machines.
func powerOff[C interface{ PowerOff() error }](t *testing.T, computers ...C) {
	t.Helper()
	for _, c := range computers {
		must(t, c.PowerOff())
	}
}

// turnOn gives these Pis power: their agents start, and their engines after that.
func turnOn(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		must(t, pi.PowerOn())
		must(t, pi.StartAgent())
		must(t, pi.StartEngine())
	}
}

// leaveSwarm takes a Pi out of its swarm, as a person can by hand.
func leaveSwarm(t *testing.T, pi *lab.Pi) {
	t.Helper()
	docker(t, pi, "swarm", "leave", "--force")
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
	must(t, g.Wait())
	engines(t, l)
}

// newCard puts a freshly flashed card into a Pi, with the cluster key where there is one, and turns it on.
func newCard(t *testing.T, pi *lab.Pi, key string) {
	t.Helper()
	must(t, pi.Reflash())
	must(t, pi.PowerOn())
	must(t, pi.StartEngine())
	awaitEngine(t, pi)
	if key != "" {
		setKey(t, key, pi)
	}
	startAgents(t, pi)
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
	must(t, g.Wait())
}

// random is a source whose seed is in the test's log, so that a failure can be repeated.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func setConfig(t *testing.T, pis []*lab.Pi, lines string) {
	t.Helper()
	for _, pi := range pis {
		must(t, pi.SetConfig(lines))
	}
}

// naming is the setting that names the address of this Pi as one of a peer.
func naming(pi *lab.Pi) string { return fmt.Sprintf("peers = [%q]", pi.Addr.Addr()) }

// setKey gives the Pis a cluster key.
func setKey(t *testing.T, key string, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		must(t, pi.SetKey(key))
	}
}

// deploy gives the swarm something to lose.
func deploy(t *testing.T, manager engine, name string) {
	t.Helper()
	docker(t, manager, "service", "create", "--detach", "--no-resolve-image", "--replicas=0", "--name="+name, "nothing")
}

// deployWeb runs lab.WebImage, which is loaded, as the service web.
func deployWeb(t *testing.T, manager engine, how ...string) {
	t.Helper()
	args := append([]string{"service", "create", "--detach", "--quiet", "--name=web", "--no-resolve-image",
		"--mount=type=bind,src=/etc/hostname,dst=/etc/hostname,readonly"}, how...)
	docker(t, manager, append(args, lab.WebImage)...)
}

// logMax is how many lines a Pi may write while three of them become a swarm: a story, not a protocol.
const logMax = 15

// logLines counts what the agent has written.
func logLines(pi *lab.Pi) int { return strings.Count(pi.Log(), "\n") }

// logLinesOf counts what the agents of these Pis have written.
func logLinesOf(pis []*lab.Pi) map[*lab.Pi]int {
	lines := map[*lab.Pi]int{}
	for _, pi := range pis {
		lines[pi] = logLines(pi)
	}
	return lines
}

// showLogs puts what the agents of these Pis have written into the test's log.
func showLogs(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		t.Logf("%s:\n%s", pi.Name, pi.Log())
	}
}

// brief fails the test when one of these agents has written more than most lines since it had written those before, or
// ever where there are none.
func brief(t *testing.T, most int, before map[*lab.Pi]int, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if n := logLines(pi) - before[pi]; n > most {
			t.Errorf("%s wrote %d lines, want at most %d", pi.Name, n, most)
		}
	}
}

// readState decodes the state file of a Pi.
func readState(pi *lab.Pi, state any) error {
	b, err := os.ReadFile(pi.Path("/var/lib/pi-agent/state.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, state)
}

// remembers waits until the state file of a Pi or a machine contains this, such as the id of its node.
func remembers(t *testing.T, board engine, what string) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
		_, err := board.Exec(ctx, "grep", "--quiet", what, "/var/lib/pi-agent/state.json")
		return err
	})
}

// says waits until the agent of a Pi has written a sentence.
func says(t *testing.T, pi *lab.Pi, sentence string) {
	t.Helper()
	saysWithin(t, soon, pi, sentence)
}

// saysWithin is says with a limit of its own. It returns how long it took.
func saysWithin(t *testing.T, limit time.Duration, pi *lab.Pi, sentence string) (took time.Duration) {
	t.Helper()
	return await(t, limit, func(context.Context) error {
		if !strings.Contains(pi.Log(), sentence) {
			return fmt.Errorf("%s does not say %q", pi.Name, sentence)
		}
		return nil
	})
}

// unitSays waits until a unit of a machine has written these words.
func unitSays(t *testing.T, m *lab.Machine, unit, words string) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
		story, err := m.Journal(ctx, unit)
		if err == nil && !strings.Contains(strings.Join(story, "\n"), words) {
			err = fmt.Errorf("the journal of %s on %s does not say %q:\n%s", unit, m.Name, words, strings.Join(story, "\n"))
		}
		return err
	})
}

// whoSays waits until one of the Pis has written a sentence, and returns it.
func whoSays(t *testing.T, sentence string, pis ...*lab.Pi) (who *lab.Pi) {
	t.Helper()
	await(t, soon, func(context.Context) error {
		i := slices.IndexFunc(pis, func(pi *lab.Pi) bool { return strings.Contains(pi.Log(), sentence) })
		if i < 0 {
			return fmt.Errorf("nobody says %q", sentence)
		}
		who = pis[i]
		return nil
	})
	return who
}

// found waits until the agent of a Pi has said this many times, once after each start, which place it has in the swarm
// of leader.
func found(t *testing.T, pi, leader *lab.Pi, times int) {
	t.Helper()
	await(t, soon, func(context.Context) error {
		log := pi.Log()
		if strings.Count(log, "a manager of swarm")+strings.Count(log, "in the swarm of "+serialName(leader)) < times {
			return fmt.Errorf("%s has not found its place again:\n%s", pi.Name, log)
		}
		return nil
	})
}
