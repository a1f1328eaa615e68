package e2e

import (
	"context"
	"errors"
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

// each calls f for all machines at once, which have a few minutes for it: what it takes on a busy machine.
func each(t *testing.T, machines []*lab.Machine, f func(context.Context, *lab.Machine) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range machines {
		g.Go(func() error { return f(ctx, m) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// swarmOf returns the node id of each machine, if they are the nodes of one swarm, all ready, and nothing else is, and
// the one with the lowest serial leads.
func swarmOf(ctx context.Context, machines []*lab.Machine) (map[string]string, error) {
	ids := map[string]string{}
	leader := slices.MinFunc(machines, func(a, b *lab.Machine) int { return strings.Compare(a.Serial, b.Serial) })
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

// awaitSame waits until the machines are the nodes of one swarm that they were before.
func awaitSame(t *testing.T, limit time.Duration, machines []*lab.Machine, before map[string]string) {
	t.Helper()
	await(t, limit, func(ctx context.Context) error {
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

// isUp is an error unless the agent runs and systemd has restarted it so often since the machine was booted.
func isUp(ctx context.Context, m *lab.Machine, restarts int) error {
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

// form installs the agent everywhere and returns the nodes of the swarm that comes of it.
func form(t *testing.T, suites ...string) (*lab.Lab, map[string]string) {
	t.Helper()
	return formOn(t, nil, suites...)
}

// formOn is form on machines that a person has set up before, each by this script.
func formOn(t *testing.T, script map[int]string, suites ...string) (*lab.Lab, map[string]string) {
	t.Helper()
	deb := needDeb(t)
	began := time.Now()
	l := lab.New(t, lab.Options{Machines: suites})
	each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.WaitBoot(ctx) })
	t.Logf("%v have booted after %v", suites, time.Since(began))
	for i, text := range script {
		if out, err := l.Machines[i].Command(t.Context(), "sh", "-euxc", text).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	began = time.Now()
	each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.Install(ctx, deb) })
	t.Logf("the agent is installed after %v", time.Since(began))
	ids := awaitMachines(t, 3*time.Minute, l.Machines)
	t.Logf("one swarm after %v", time.Since(began))
	return l, ids
}

// readable checks what a person sees who looks after the service once there is a swarm.
func readable(t *testing.T, machines []*lab.Machine) {
	t.Helper()
	ctx := t.Context()
	pause(t, 5*time.Second) // for what the agents still have to say about it
	for _, m := range machines {
		story, err := m.Journal(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, serial %s:\n%s", m.Name, m.Serial, strings.Join(story, "\n"))
		if len(story) > 15 {
			t.Errorf("the journal of %s has %d lines", m.Name, len(story))
		}
		status, err := m.Exec(ctx, "systemctl", "status", "--no-pager", service)
		if err != nil || !strings.Contains(string(status), "Status: \"") {
			t.Errorf("%v, no status line in\n%s", err, status)
		}
		shown, err := m.Exec(ctx, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "pi-agent", "status")
		if want := fmt.Sprintf("%d of %[1]d boards ready", len(machines)); err != nil || !strings.Contains(string(shown), want) {
			t.Errorf("%v, everybody on %s should be shown %q:\n%s", err, m.Name, want, shown)
		}
	}
}

// screens checks that a monitor and an ssh login show where each machine stands, and that its page is there for the others.
func screens(t *testing.T, machines []*lab.Machine) {
	t.Helper()
	for _, m := range machines {
		for _, show := range [][]string{{"script", "--quiet", "--command", "agetty --show-issue", "/dev/null"}, {"cat", "/etc/motd.d/pi-agent"}} {
			out, err := m.Exec(t.Context(), show...)
			if err != nil || !strings.Contains(string(out), "the swarm") || !strings.Contains(string(out), ":7380/") {
				t.Errorf("%s: %v shows %s, %v", m.Name, show, out, err)
			}
		}
		const get = `exec 3<>/dev/tcp/$1/7380; printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' "$1" >&3; cat <&3`
		addr, err := m.Addr(t.Context())
		if err != nil {
			t.Fatal(err)
		}
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
		awaitSame(t, time.Minute, l.Machines, ids)
		for _, m := range l.Machines {
			if err := isUp(ctx, m, 0); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("hang and late docker", func(t *testing.T) { // at once, for both take more than a minute
		hung, late := l.Machines[0], l.Machines[1]
		if _, err := hung.Exec(ctx, "systemctl", "kill", "--signal=STOP", service); err != nil {
			t.Fatal(err)
		}
		each(t, []*lab.Machine{late}, func(ctx context.Context, m *lab.Machine) error {
			if _, err := m.Exec(ctx, "systemctl", "mask", "docker.socket", "docker.service"); err != nil {
				return err
			}
			if err := errors.Join(m.PowerOff(), m.Boot(ctx)); err != nil {
				return err
			}
			return m.WaitUnit(ctx, service)
		})
		pause(t, 70*time.Second) // longer than the watchdog waits
		if status, err := property(ctx, late, "StatusText"); err != nil || !strings.Contains(status, "Docker") {
			t.Errorf("status without an engine is %q, %v", status, err)
		}
		each(t, []*lab.Machine{late}, func(ctx context.Context, m *lab.Machine) error {
			_, err := m.Exec(ctx, "systemctl", "unmask", "docker.socket", "docker.service")
			if err == nil {
				_, err = m.Exec(ctx, "systemctl", "start", "docker.socket", "docker.service")
			}
			return err
		})
		await(t, time.Minute, func(ctx context.Context) error { return isUp(ctx, hung, 1) })
		awaitSame(t, time.Minute, l.Machines, ids)
		if err := isUp(ctx, late, 0); err != nil {
			t.Error(err)
		}
	})

	t.Run("stack on the boot partition, power cuts", func(t *testing.T) {
		if err := l.LoadWeb(ctx); err != nil {
			t.Fatal(err)
		}
		if err := lowestOf(l.Machines).WriteFile(bootfile.Stack.Paths()[0], everywhere, 0o644); err != nil {
			t.Fatal(err)
		}
		awaitTasks(t, l)
		rnd := random(t)
		for round := range 5 {
			for _, m := range l.Machines {
				if err := m.PowerOff(); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			for _, i := range rnd.Perm(len(l.Machines)) {
				pause(t, time.Duration(rnd.Int64N(int64(2*time.Second))))
				if err := l.Machines[i].Boot(ctx); err != nil {
					t.Fatal(err)
				}
			}
			each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.WaitUnit(ctx, service) })
			awaitSame(t, time.Minute, l.Machines, ids)
			t.Logf("round %d: all ready after %v", round+1, time.Since(began))
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
