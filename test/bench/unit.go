package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/test/lab"
)

// unit looks at pi-agent.service as systemd and the kernel do, in its own cgroup, on the machines of a swarm at rest.
func (b *bench) unit(ctx context.Context) (err error) {
	deb := os.Getenv("PI_AGENT_DEB")
	if deb == "" {
		return errors.New("PI_AGENT_DEB is not set; make bench does it")
	}
	l, err := lab.Start(lab.Options{Machines: []string{"trixie", "trixie", "bookworm"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := formMachines(ctx, l.Machines, deb); err != nil {
		return err
	}
	fmt.Printf("\npi-agent.service at rest for %v, after %v in a swarm of three machines\n", b.still, b.idle)
	if err := rest(ctx, b.idle); err != nil {
		return err
	}
	before := make([]float64, len(l.Machines))
	for i, m := range l.Machines {
		if before[i], err = cpuSeconds(ctx, m); err != nil {
			return err
		}
	}
	if err := rest(ctx, b.still); err != nil {
		return err
	}
	for i, m := range l.Machines {
		after, err := cpuSeconds(ctx, m)
		if err != nil {
			return err
		}
		on := fmt.Sprintf(" on %s (%s)", m.Name, m.Suite)
		figure("  CPU time"+on, 1000*(after-before[i]), "ms")
		figure("  of one core"+on, 100*(after-before[i])/b.still.Seconds(), "%")
		mb, err := residentUnit(ctx, m)
		if err != nil {
			return err
		}
		b.target("  resident memory"+on, mb, 20, "MB")
		for _, name := range []string{"memory.current", "memory.peak"} {
			out, err := inCgroup(ctx, m, "if test -e "+name+"; then cat "+name+"; fi")
			if err != nil {
				return err
			}
			if out == "" {
				fmt.Printf("%-62s the machine's cgroup has none\n", "  "+name+on)
				continue
			}
			bytes, err := strconv.ParseFloat(out, 64)
			if err != nil {
				return err
			}
			figure("  "+name+on, bytes/1e6, "MB")
		}
	}
	return nil
}

// bootMax is how long whole machines may take to boot and to install the package.
const bootMax = 3 * time.Minute

// formMachines installs the package everywhere and returns when the engine of some machine lists all as ready.
func formMachines(ctx context.Context, machines []*lab.Machine, deb string) error {
	ctx, cancel := context.WithTimeout(ctx, bootMax+formMax)
	defer cancel()
	g, installing := errgroup.WithContext(ctx)
	for _, m := range machines {
		g.Go(func() error {
			if err := m.WaitBoot(installing); err != nil {
				return err
			}
			return m.Install(installing, deb)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	leader := slices.MinFunc(machines, func(a, b *lab.Machine) int { return strings.Compare(a.Serial, b.Serial) })
	return lab.Wait(ctx, time.Second, func(ctx context.Context) error {
		out, err := leader.Exec(ctx, "docker", "node", "ls", "--format", "{{.Status}}")
		if err == nil && strings.Count(string(out), "Ready") != len(machines) {
			err = fmt.Errorf("no swarm of %d machines: they are %q", len(machines), out)
		}
		return err
	})
}

// inCgroup runs a script in the directory that is the unit's cgroup, and returns what it says.
func inCgroup(ctx context.Context, m *lab.Machine, script string) (string, error) {
	out, err := m.Exec(ctx, "sh", "-ec",
		`cd "/sys/fs/cgroup$(systemctl show --value --property=ControlGroup pi-agent.service)"; `+script)
	return strings.TrimSpace(string(out)), err
}

// cpuSeconds is the CPU time that the unit has used since it was started.
func cpuSeconds(ctx context.Context, m *lab.Machine) (float64, error) {
	out, err := inCgroup(ctx, m, "sed -n 's/^usage_usec //p' cpu.stat")
	if err != nil {
		return 0, err
	}
	usec, err := strconv.ParseFloat(out, 64)
	return usec / 1e6, err
}

// residentUnit is the resident memory of all processes of the unit in MB.
func residentUnit(ctx context.Context, m *lab.Machine) (float64, error) {
	out, err := inCgroup(ctx, m,
		"for pid in $(cat cgroup.procs); do sed -n 's/^VmRSS:[^0-9]*//p' /proc/$pid/status; done | tr -d kB")
	if err != nil {
		return 0, err
	}
	var kib float64
	for _, f := range strings.Fields(out) {
		one, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, err
		}
		kib += one
	}
	if kib == 0 {
		return 0, fmt.Errorf("%s: no process in the unit's cgroup", m.Name)
	}
	return kib * 1024 / 1e6, nil
}
