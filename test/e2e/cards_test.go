package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file run machines that were flashed with one image, and look at what makes each a board of its own:
// its name, a user who may use docker, settings written to the card by another computer.

const bootSettings = "/boot/firmware/pi-agent.toml"

// nodeNames waits until the swarm of these machines has nodes with these names, whoever has which.
func nodeNames(t *testing.T, machines []*lab.Machine, want ...string) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
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

// shell runs a script on a machine and returns what it says, without the last line break.
func shell(ctx context.Context, m *lab.Machine, script string) (string, error) {
	out, err := m.Exec(ctx, "sh", "-ec", script)
	return strings.TrimRight(string(out), "\n"), err
}

// shellWants waits until a script says what is wanted.
func shellWants(t *testing.T, m *lab.Machine, script, want string) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
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
	typo, late := l.Machines[0], l.Machines[2]
	install(t, l.Machines, deb, func(ctx context.Context, m *lab.Machine) (err error) {
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
		awaitMachines(t, later, others)
		await(t, soon, allOf(statusSays(typo, wrong), isUp(typo, 0)))
		journalHas(t, typo, service, wrong)
		journalHas(t, others[0], service, name(typo)+" cannot take part")
		journalHas(t, others[1], service, wrong)
		if i := infoNow(t, typo); i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("its engine is %q", i.Swarm.LocalNodeState)
		}
		// A person takes the card out, corrects the file on a laptop and puts it back.
		each(t, []*lab.Machine{typo}, func(ctx context.Context, m *lab.Machine) error {
			if _, err := shell(ctx, m, "sed -i s/expcet/expect/ "+bootSettings+"; sync"); err != nil {
				return err
			}
			return replug(ctx, m)
		})
		awaitMachines(t, soon, l.Machines)
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
		shellWants(t, l.Machines[0], "avahi-resolve -4 -n "+name(l.Machines[1])+".local | cut -f1",
			name(l.Machines[1])+".local")
	})

	t.Run("docker without sudo", func(t *testing.T) {
		const version = "runuser -l pi -c 'docker version --format {{.Server.Os}}'"
		shellWants(t, l.Machines[1], version, "linux")
		run(t, late, "useradd", "--create-home", "--uid=1000", "--shell=/bin/bash", "pi")
		shellWants(t, late, version, "linux")
	})

	t.Run("the same name given to all", func(t *testing.T) {
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			if err := m.Reflash(); err != nil {
				return err
			}
			return m.Boot(ctx)
		})
		install(t, l.Machines, deb, func(ctx context.Context, m *lab.Machine) error {
			_, err := m.Exec(ctx, "hostnamectl", "set-hostname", "kitchen")
			return err
		})
		awaitMachines(t, soon, l.Machines)
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

// cloudInit stands in for what cloud-init does at every boot of a card from Raspberry Pi Imager (manage_etc_hosts:
// true), in the order of the unit of that name: it calls the machine kitchen, and takes its time. Where it finds that a
// person has changed the hostname it writes hosts only, as the unit cloud-init.service does here.
func cloudInit(unit string) string {
	order := "DefaultDependencies=no\nConflicts=shutdown.target\n" +
		"Before=sysinit.target network-online.target shutdown.target\n"
	if unit == "cloud-config.service" {
		order = "After=network-online.target\nWants=network-online.target\n"
	}
	return "mkdir -p /etc/systemd/system\n" +
		"cat >/usr/local/sbin/stand-in <<'END'\n" + `#!/bin/sh -e
sleep 2
if [ "$1" != cloud-init.service ]; then echo kitchen >/etc/hostname; hostname kitchen; fi
printf '127.0.1.1 kitchen kitchen\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
` + "END\nchmod 755 /usr/local/sbin/stand-in\n" +
		"cat >/etc/systemd/system/" + unit + " <<'END'\n[Unit]\n" + order +
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/sbin/stand-in %N.service\n" +
		"[Install]\nWantedBy=multi-user.target\nEND\n" +
		"systemctl enable " + unit + " 2>&1\n/usr/local/sbin/stand-in\n"
}

// Three boards have one name from Raspberry Pi Imager, and cloud-init gives it to them again at every boot.
func TestNamesAreResetAtEveryBoot(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{Machines: []string{"trixie", "trixie", "trixie"}})
	units := []string{"cloud-init.service", "cloud-init-network.service", "cloud-config.service"}
	slices.SortFunc(l.Machines, func(a, b *lab.Machine) int { return strings.Compare(a.Serial, b.Serial) })
	lowest := l.Machines[0]
	install(t, l.Machines, deb, func(ctx context.Context, m *lab.Machine) error {
		unit := units[(slices.Index(l.Machines, m)+1)%len(units)] // the lowest serial keeps its name
		out, err := shell(ctx, m, cloudInit(unit))
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
	nodes := awaitMachines(t, later, l.Machines)
	name := func(m *lab.Machine) string {
		if m == lowest {
			return "kitchen"
		}
		return "kitchen" + strings.TrimPrefix(peer.Serial(m.Serial).Name(), "pi")
	}
	named := func() {
		t.Helper()
		var want []string
		for _, m := range l.Machines {
			want = append(want, name(m))
			shellWants(t, m, "cat /etc/hostname", name(m))
			shellWants(t, m, "hostname", name(m))
			shellWants(t, m, "getent hosts $(hostname) | tr -s ' ' | cut -d' ' -f1,2", "127.0.1.1 "+name(m))
			shellWants(t, m, "grep ^127.0.1.1 /etc/hosts | tr -s ' \\t' ' ' | cut -d' ' -f2", name(m))
		}
		nodeNames(t, l.Machines, want...)
	}
	named()
	for range 2 {
		each(t, l.Machines, replug)
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.WaitBoot(ctx) })
		awaitSame(t, later, l.Machines, nodes)
		named()
		for _, m := range l.Machines[1:] {
			want := "This board is called " + name(m) + " again: it had been called kitchen"
			if m == l.Machines[2] {
				want = "/etc/hosts has the name of this board again: " + name(m)
			}
			journalHas(t, m, prepareService, want)
		}
	}

	last := l.Machines[2]
	run(t, last, "sh", "-ec", `printf 'k\374che\n' >/etc/hostname`)
	shellWants(t, last, "hostname", peer.Serial(last.Serial).Name())
	shellWants(t, last, "getent hosts $(hostname) | tr -s ' ' | cut -d' ' -f1,2",
		"127.0.1.1 "+peer.Serial(last.Serial).Name())
	nodeNames(t, l.Machines, name(lowest), name(l.Machines[1]), peer.Serial(last.Serial).Name())
}
