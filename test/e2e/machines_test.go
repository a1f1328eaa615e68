package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file run the agent as users do: as a service of systemd, on whole Debian machines that all call
// themselves raspberrypi, behind a DHCP server.

const service = "pi-agent.service"

const prepareService = "pi-agent-prepare.service"

const (
	// eachMax is how long what is done to all machines at once may take on a busy one.
	eachMax = 4 * time.Minute
	// hungTime is longer than the watchdog of the agent's unit waits.
	hungTime = 70 * time.Second
	// saidTime is for what the agents still have to say once there is a swarm.
	saidTime = 5 * time.Second
)

// each calls f for all machines at once.
func each(t *testing.T, machines []*lab.Machine, f func(context.Context, *lab.Machine) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), eachMax)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range machines {
		g.Go(func() error { return f(ctx, m) })
	}
	must(t, g.Wait())
}

// lowestOf is the machine with the lowest serial, which leads.
func lowestOf(machines []*lab.Machine) *lab.Machine {
	return slices.MinFunc(machines, func(a, b *lab.Machine) int { return strings.Compare(a.Serial, b.Serial) })
}

// swarmOf returns the node id of each machine, if they are the nodes of one swarm, all ready, and nothing else is, and
// the one with the lowest serial leads.
func swarmOf(ctx context.Context, machines []*lab.Machine) (map[string]string, error) {
	ids := map[string]string{}
	leader := lowestOf(machines)
	for _, m := range machines {
		i, err := infoOf(ctx, m)
		if err != nil {
			return nil, err
		}
		if i.Swarm.LocalNodeState != "active" || i.Swarm.ControlAvailable != (m == leader) {
			return nil, fmt.Errorf("%s is %s, manager %v", m.Name, i.Swarm.LocalNodeState, i.Swarm.ControlAvailable)
		}
		ids[m.Name] = i.Swarm.NodeID
	}
	nodes, err := nodesOf(ctx, leader)
	if err != nil {
		return nil, err
	}
	var got []string
	for _, n := range nodes {
		if n.Status != "Ready" {
			return nil, fmt.Errorf("node %s is %s", n.ID, n.Status)
		}
		got = append(got, n.ID)
	}
	if want := slices.Sorted(maps.Values(ids)); !slices.Equal(want, slices.Sorted(slices.Values(got))) {
		return nil, fmt.Errorf("nodes are %v, want %v", got, want)
	}
	return ids, nil
}

// awaitMachines waits until swarmOf has something to return.
func awaitMachines(t *testing.T, limit time.Duration, machines []*lab.Machine) (ids map[string]string) {
	t.Helper()
	await(t, limit, func(ctx context.Context) (err error) {
		ids, err = swarmOf(ctx, machines)
		return err
	})
	return ids
}

// awaitSame waits until the machines are the nodes of one swarm that they were before, and returns how long that took.
func awaitSame(t *testing.T, limit time.Duration, machines []*lab.Machine, before map[string]string) time.Duration {
	t.Helper()
	return await(t, limit, func(ctx context.Context) error {
		now, err := swarmOf(ctx, machines)
		if err == nil && !maps.Equal(now, before) {
			t.Fatalf("nodes were %v, are %v", before, now)
		}
		return err
	})
}

// property is one of "systemctl show" of the agent's unit.
func property(ctx context.Context, m *lab.Machine, name string) (string, error) {
	out, err := m.Exec(ctx, "systemctl", "show", "--value", "--property="+name, service)
	return strings.TrimSpace(string(out)), err
}

// statusSays holds when systemd shows these words as the status of the agent.
func statusSays(m *lab.Machine, words string) check {
	return func(ctx context.Context) error {
		status, err := property(ctx, m, "StatusText")
		if err == nil && !strings.Contains(status, words) {
			err = fmt.Errorf("the status of %s is %q, and does not say %q", m.Name, status, words)
		}
		return err
	}
}

// isUp holds when the agent runs, and systemd has restarted it exactly this often since the machine was booted.
func isUp(m *lab.Machine, restarts int) check {
	return func(ctx context.Context) error {
		for name, want := range map[string]string{"ActiveState": "active", "NRestarts": strconv.Itoa(restarts)} {
			got, err := property(ctx, m, name)
			if err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("%s: %s of %s is %q, want %q", m.Name, name, service, got, want)
			}
		}
		return nil
	}
}

// install waits until machines have booted, lets something be done on each, and installs the package.
func install(t *testing.T, machines []*lab.Machine, deb string, first func(context.Context, *lab.Machine) error) {
	t.Helper()
	each(t, machines, func(ctx context.Context, m *lab.Machine) error {
		if err := m.WaitBoot(ctx); err != nil {
			return err
		}
		if err := first(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		return m.Install(ctx, deb)
	})
}

// nothingFirst is for machines on which nothing is to be done before the package is installed.
func nothingFirst(context.Context, *lab.Machine) error { return nil }

// replug pulls the plug of a machine and puts it in again.
func replug(ctx context.Context, m *lab.Machine) error {
	if err := m.PowerOff(); err != nil {
		return err
	}
	return m.Boot(ctx)
}

// journalHas fails the test unless a unit has written these words.
func journalHas(t *testing.T, m *lab.Machine, unit, words string) {
	t.Helper()
	story, err := m.Journal(t.Context(), unit)
	if err != nil || !strings.Contains(strings.Join(story, "\n"), words) {
		t.Errorf("%v, the journal of %s on %s does not say %q:\n%s", err, unit, m.Name, words, strings.Join(story, "\n"))
	}
}

// form installs the agent everywhere and returns the nodes of the swarm that comes of it.
func form(t *testing.T, suites ...string) (*lab.Lab, map[string]string) {
	t.Helper()
	return formOn(t, nil, suites...)
}

// formOn is form on machines that a person has set up before, each by this script.
func formOn(t *testing.T, script map[int]string, suites ...string) (*lab.Lab, map[string]string) {
	t.Helper()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{Machines: suites})
	began := time.Now()
	install(t, l.Machines, deb, func(ctx context.Context, m *lab.Machine) error {
		text := script[slices.Index(l.Machines, m)]
		if out, err := m.Command(ctx, "sh", "-euxc", text).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	t.Logf("the agent is installed %v after the machines were switched on", time.Since(began).Round(time.Second))
	ids := awaitMachines(t, atLast, l.Machines)
	t.Logf("one swarm after %v", time.Since(began).Round(time.Second))
	return l, ids
}

// readable checks what somebody sees who looks at the service once there is a swarm.
func readable(t *testing.T, machines []*lab.Machine) {
	t.Helper()
	ctx := t.Context()
	pause(t, saidTime)
	for _, m := range machines {
		story, err := m.Journal(ctx, service)
		must(t, err)
		t.Logf("%s, serial %s:\n%s", m.Name, m.Serial, strings.Join(story, "\n"))
		if len(story) > logMax {
			t.Errorf("the journal of %s has %d lines, want at most %d", m.Name, len(story), logMax)
		}
		status, err := m.Exec(ctx, "systemctl", "status", "--no-pager", service)
		if err != nil || !strings.Contains(string(status), "Status: \"") {
			t.Errorf("%s: %v, no status line in\n%s", m.Name, err, status)
		}
		shown, err := m.Exec(ctx, as(nobody, "pi-agent", "status")...)
		if want := fmt.Sprintf("%d of %[1]d boards ready", len(machines)); err != nil ||
			!strings.Contains(string(shown), want) {
			t.Errorf("%v, everybody on %s should be shown %q:\n%s", err, m.Name, want, shown)
		}
	}
}

// screens checks that a monitor and an ssh login show where each machine stands, and that its page is there for the
// others.
func screens(t *testing.T, machines []*lab.Machine) {
	t.Helper()
	for _, m := range machines {
		for _, show := range [][]string{{"script", "--quiet", "--command", "agetty --show-issue", "/dev/null"},
			{"cat", "/etc/motd.d/pi-agent"}} {
			out, err := m.Exec(t.Context(), show...)
			if err != nil || !strings.Contains(string(out), "the swarm") || !strings.Contains(string(out), ":7380/") {
				t.Errorf("%s: %v shows %s, %v", m.Name, show, out, err)
			}
		}
		const get = `exec 3<>/dev/tcp/$1/7380; printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' "$1" >&3; cat <&3`
		addr, err := m.Addr(t.Context())
		must(t, err)
		out, err := machines[0].Exec(t.Context(), "bash", "-c", get, "bash", addr.String())
		if err != nil || !strings.HasPrefix(string(out), "HTTP/1.0 200") || !strings.Contains(string(out), "<html") {
			t.Errorf("the page of %s: %.200s, %v", m.Name, out, err)
		}
	}
}

// everywhere is a Compose file for a service with a task on every machine.
const everywhere = `version: "3.8"
services:
  web:
    image: ` + lab.WebImage + `
    deploy: {mode: global}
    networks: [host]
    volumes: ["/etc/hostname:/etc/hostname:ro"]
networks:
  host: {external: true}
`

func TestMachines(t *testing.T) {
	t.Parallel()
	l, ids := form(t, "trixie", "trixie", "trixie")
	ctx := t.Context()

	readable(t, l.Machines)
	screens(t, l.Machines)

	t.Run("docker restarts", func(t *testing.T) {
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			_, err := m.Exec(ctx, "systemctl", "restart", "docker")
			return err
		})
		awaitSame(t, soon, l.Machines, ids)
		for _, m := range l.Machines {
			holds(t, isUp(m, 0))
		}
	})

	t.Run("hang and late docker", func(t *testing.T) { // at once, for both take more than a minute
		hung, late := l.Machines[0], l.Machines[1]
		run(t, hung, "systemctl", "kill", "--signal=STOP", service)
		each(t, []*lab.Machine{late}, func(ctx context.Context, m *lab.Machine) error {
			if _, err := m.Exec(ctx, "systemctl", "mask", "docker.socket", "docker.service"); err != nil {
				return err
			}
			if err := replug(ctx, m); err != nil {
				return err
			}
			return m.WaitUnit(ctx, service)
		})
		pause(t, hungTime)
		holds(t, statusSays(late, "Docker")) // there is no engine
		each(t, []*lab.Machine{late}, func(ctx context.Context, m *lab.Machine) error {
			_, err := m.Exec(ctx, "systemctl", "unmask", "docker.socket", "docker.service")
			if err == nil {
				_, err = m.Exec(ctx, "systemctl", "start", "docker.socket", "docker.service")
			}
			return err
		})
		await(t, soon, isUp(hung, 1))
		awaitSame(t, soon, l.Machines, ids)
		holds(t, isUp(late, 0))
	})

	t.Run("stack on the boot partition, power cuts", func(t *testing.T) {
		withWeb(t, l)
		must(t, lowestOf(l.Machines).WriteFile(bootfile.Stack.Paths()[0], everywhere, 0o644))
		awaitTasks(t, l)
		rnd := random(t)
		for round := range 5 {
			powerOff(t, l.Machines...)
			began := time.Now()
			for _, i := range rnd.Perm(len(l.Machines)) {
				pause(t, time.Duration(rnd.Int64N(int64(2*time.Second))))
				must(t, l.Machines[i].Boot(ctx))
			}
			each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.WaitUnit(ctx, service) })
			awaitSame(t, soon, l.Machines, ids)
			t.Logf("round %d: all ready after %v", round+1, time.Since(began).Round(time.Second))
			awaitTasks(t, l)
		}
	})
}

func TestOtherMachines(t *testing.T) {
	t.Parallel()
	for name, suites := range map[string][]string{
		"bookworm": {"bookworm", "bookworm", "bookworm"},
		"mixed":    {"bookworm", "trixie", "bookworm"},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := form(t, suites...)
			readable(t, l.Machines)
		})
	}
}
