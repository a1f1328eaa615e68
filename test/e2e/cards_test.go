package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file run machines that were flashed with one image, and look at what makes boards of them: names of
// their own, a user who may use docker, settings written to the card from another computer.

const bootSettings = "/boot/firmware/pi-agent.toml"

// nodeNames waits until the swarm of these machines has nodes with these names, whoever has which.
func nodeNames(t *testing.T, machines []*lab.Machine, want ...string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		if _, err := swarmOf(ctx, machines); err != nil {
			return err
		}
		nodes, err := nodesOf(ctx, lowestOf(machines))
		if err != nil {
			return err
		}
		var got []string
		for _, n := range nodes {
			got = append(got, n.Hostname)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("nodes are %q, want %q", got, want)
		}
		return nil
	})
}

func lowestOf(machines []*lab.Machine) *lab.Machine {
	return slices.MinFunc(machines, func(a, b *lab.Machine) int { return strings.Compare(a.Serial, b.Serial) })
}

// shell runs a script on a machine and returns what it says, without the last line break.
func shell(ctx context.Context, m *lab.Machine, script string) (string, error) {
	out, err := m.Exec(ctx, "sh", "-ec", script)
	return strings.TrimRight(string(out), "\n"), err
}

// shellWants waits until a script says what is wanted.
func shellWants(t *testing.T, m *lab.Machine, script, want string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		got, err := shell(ctx, m, script)
		if err == nil && got != want {
			err = fmt.Errorf("%s: %s says %q, want %q", m.Name, script, got, want)
		}
		return err
	})
}

func TestCardsOfOneImage(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{Machines: []string{"trixie", "trixie", "trixie"}})
	ctx := t.Context()
	prepared := func(change func(context.Context, *lab.Machine) error) {
		t.Helper()
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			if err := m.WaitBoot(ctx); err != nil {
				return err
			}
			if err := change(ctx, m); err != nil {
				return err
			}
			return m.Install(ctx, deb)
		})
	}
	typo, late := l.Machines[0], l.Machines[2]
	prepared(func(ctx context.Context, m *lab.Machine) (err error) {
		switch m {
		case typo:
			_, err = shell(ctx, m, `mkdir -p /boot/firmware; printf 'cluster = "pi"\nexpcet = 3\n' >`+bootSettings)
		case late:
			_, err = shell(ctx, m, "userdel --remove pi 2>&1")
		}
		return err
	})
	name := func(m *lab.Machine) string { return peer.Serial(m.Serial).Name() }

	t.Run("a typo on the boot partition", func(t *testing.T) {
		const wrong = bootSettings + `:2: there is no setting "expcet"`
		others := l.Machines[1:]
		awaitMachines(t, 2*time.Minute, others)
		await(t, time.Minute, func(ctx context.Context) error {
			if status, err := property(ctx, typo, "StatusText"); err != nil || !strings.Contains(status, wrong) {
				return fmt.Errorf("status is %q, %w", status, err)
			}
			return isUp(ctx, typo, 0)
		})
		for m, words := range map[*lab.Machine]string{typo: wrong, others[0]: name(typo) + " cannot take part", others[1]: wrong} {
			story, err := m.Journal(ctx, service)
			if err != nil || !strings.Contains(strings.Join(story, "\n"), words) {
				t.Errorf("%v, the journal of %s does not say %q:\n%s", err, m.Name, words, strings.Join(story, "\n"))
			}
		}
		if i, err := infoOf(ctx, typo); err != nil || i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("its engine is %q, %v", i.Swarm.LocalNodeState, err)
		}
		// A person takes the card out, corrects the file on a laptop and puts it back.
		each(t, []*lab.Machine{typo}, func(ctx context.Context, m *lab.Machine) error {
			if _, err := shell(ctx, m, "sed -i s/expcet/expect/ "+bootSettings+"; sync"); err != nil {
				return err
			}
			if err := m.PowerOff(); err != nil {
				return err
			}
			return m.Boot(ctx)
		})
		awaitMachines(t, time.Minute, l.Machines)
	})

	t.Run("names", func(t *testing.T) {
		var want []string
		for _, m := range l.Machines {
			want = append(want, name(m))
		}
		nodeNames(t, l.Machines, want...)
		for _, m := range l.Machines {
			shellWants(t, m, "cat /etc/hostname", name(m))
			shellWants(t, m, "hostname", name(m))
			shellWants(t, m, "getent hosts $(hostname) | tr -s ' '", "127.0.1.1 "+name(m))
		}
		// The other machines see it at once under its new name, though avahi ran before.
		shellWants(t, l.Machines[0], "avahi-resolve -4 -n "+name(l.Machines[1])+".local | cut -f1", name(l.Machines[1])+".local")
	})

	t.Run("docker without sudo", func(t *testing.T) {
		const version = "runuser -l pi -c 'docker version --format {{.Server.Os}}'"
		shellWants(t, l.Machines[1], version, "linux")
		if _, err := shell(ctx, late, "useradd --create-home --uid 1000 --shell /bin/bash pi"); err != nil {
			t.Fatal(err)
		}
		shellWants(t, late, version, "linux")
	})

	t.Run("the same name given to all", func(t *testing.T) {
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			if err := m.Reflash(); err != nil {
				return err
			}
			return m.Boot(ctx)
		})
		prepared(func(ctx context.Context, m *lab.Machine) error {
			_, err := m.Exec(ctx, "hostnamectl", "set-hostname", "kitchen")
			return err
		})
		awaitMachines(t, time.Minute, l.Machines)
		var want []string
		for _, m := range l.Machines {
			n := "kitchen"
			if m != lowestOf(l.Machines) {
				n += strings.TrimPrefix(name(m), "pi")
			}
			want = append(want, n)
			shellWants(t, m, "hostname", n)
		}
		nodeNames(t, l.Machines, want...)
	})
}
