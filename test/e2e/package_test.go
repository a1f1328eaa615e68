package e2e

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file look at the Debian packages: the one for this CPU through its whole life on machines, and in
// an image that is being built, and the others as far as that goes without a board.

// needDeb returns the package whose path is the environment's PI_AGENT_DEB. Without one the test is skipped.
func needDeb(t *testing.T) string {
	t.Helper()
	deb := os.Getenv("PI_AGENT_DEB")
	switch {
	case deb != "":
	case os.Getenv("CI") == "true":
		t.Fatal("PI_AGENT_DEB is not set")
	default:
		t.Skip("PI_AGENT_DEB is not set; make test does it")
	}
	return deb
}

// here runs a program on this machine and returns what it says on its standard output, without the last line break.
func here(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("%v: %v", argv, err)
	}
	return strings.TrimRight(string(out), "\n")
}

// versionOf is the version of a package file.
func versionOf(t *testing.T, deb string) string {
	t.Helper()
	return here(t, "dpkg-deb", "--field", deb, "Version")
}

// repacked returns a package of a later version with the same content, in which a script has made a change.
func repacked(t *testing.T, deb, version, script string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	here(t, "dpkg-deb", "--raw-extract", deb, tree)
	here(t, "sh", "-ec", "cd "+tree+"; sed -i 's/^Version: .*/Version: "+version+"/' DEBIAN/control; "+script)
	to := filepath.Join(filepath.Dir(tree), "pi-agent_"+version+"_amd64.deb")
	here(t, "dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, to)
	return to
}

// not ends a script, for which the shell has nothing, when a command succeeds.
const not = `not() { if "$@"; then exit 1; fi; }
`

func TestPackage(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l, ids := form(t, "trixie", "trixie", "trixie")
	onAll := func(script string) {
		t.Helper()
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			out, err := m.Command(ctx, "sh", "-euxc", not+script).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: %w: %s", m.Name, err, out)
			}
			return err
		})
	}
	installAll := func(deb string) {
		t.Helper()
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.Install(ctx, deb) })
	}

	tasks := serve(t, l)
	untouched := func() {
		t.Helper()
		awaitSame(t, soon, l.Machines, ids)
		for m, before := range tasks {
			if now, err := containers(t.Context(), m); err != nil || now != before {
				t.Errorf("%s ran container %s, runs %q, %v", m.Name, before, now, err)
			}
		}
	}
	running := func() {
		t.Helper()
		for _, m := range l.Machines {
			holds(t, isUp(m, 0))
		}
	}
	const conffile = "/etc/pi-agent/pi-agent.toml"
	edited := "tail -1 " + conffile + " | grep -x 'settle = \"20s\"'\n"

	t.Run("install", func(t *testing.T) {
		onAll(`dpkg --verify pi-agent; id pi-agent; pidof pi-agent; getent group docker
			systemctl is-enabled pi-agent.service pi-agent-prepare.service pi-agent-prepare.path
			[ "$(pi-agent version | cut -d' ' -f2)" = "` + versionOf(t, deb) + `" ]`)
		running()
	})

	t.Run("upgrade", func(t *testing.T) {
		onAll(`echo 'settle = "20s"' >>` + conffile + `
			systemctl show --property=MainPID pi-agent >/run/before`)
		installAll(repacked(t, deb, "99.1", ":"))
		running()
		onAll(edited + `systemctl show --property=MainPID pi-agent >/run/after; not cmp -s /run/before /run/after`)
		untouched()
	})

	next := repacked(t, deb, "99.2", "echo '# New.' >>."+conffile)
	t.Run("upgrade with new settings", func(t *testing.T) {
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error {
			if err := m.CopyIn(next, "/root/next.deb", 0o644); err != nil {
				return err
			}
			// The empty line is what a person answers who does not know.
			_, err := shell(ctx, m, "echo | dpkg --install /root/next.deb")
			return err
		})
		running()
		onAll(edited + `tail -1 ` + conffile + `.dpkg-dist | grep -x '# New.'`)
		untouched()
	})

	t.Run("remove", func(t *testing.T) {
		onAll(edited + `apt-get remove --yes pi-agent
			not pidof pi-agent; not systemctl is-active pi-agent.service; not systemctl is-active pi-agent-prepare.path
			[ ! -e /usr/bin/pi-agent ]; [ -s /var/lib/pi-agent/state.json ]
			` + edited)
		untouched()
	})

	t.Run("install again", func(t *testing.T) {
		installAll(next)
		running()
		onAll(edited)
		untouched()
	})

	t.Run("purge", func(t *testing.T) {
		onAll(`apt-get purge --yes pi-agent
			[ ! -e /etc/pi-agent ]; [ ! -e /var/lib/pi-agent ]; not getent passwd pi-agent; not getent group pi-agent
			left=$(find /etc /run /usr /var -xdev -name '*pi-agent*' ! -path '/var/cache/apt/*')
			echo "left: $left"; [ -z "$left" ]`)
		untouched()
	})

	t.Run("install after purge", func(t *testing.T) {
		installAll(deb)
		running()
		untouched()
		for _, m := range l.Machines {
			await(t, soon, statusSays(m, "swarm"))
		}
	})
}

// serve starts a service with a task on every machine and returns the ids of the containers.
func serve(t *testing.T, l *lab.Lab) map[*lab.Machine]string {
	t.Helper()
	withWeb(t, l)
	deployWeb(t, lowestOf(l.Machines), "--mode=global", "--network=host")
	return awaitTasks(t, l)
}

// awaitTasks waits until every machine runs a container and returns their ids.
func awaitTasks(t *testing.T, l *lab.Lab) map[*lab.Machine]string {
	t.Helper()
	tasks := map[*lab.Machine]string{}
	for _, m := range l.Machines {
		await(t, soon, func(ctx context.Context) (err error) {
			tasks[m], err = containers(ctx, m)
			if err == nil && tasks[m] == "" {
				err = fmt.Errorf("%s runs no container", m.Name)
			}
			return err
		})
	}
	return tasks
}

// containers returns the ids of those that run.
func containers(ctx context.Context, m *lab.Machine) (string, error) {
	out, err := m.Docker(ctx, "ps", "--quiet", "--no-trunc")
	return strings.TrimSpace(string(out)), err
}

const passphrase = "four red raspberries"

// TestPackageInImage installs the package in a Debian that is not running: as images are built, and without an engine.
func TestPackageInImage(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	lab.NeedMachines(t)
	system, err := lab.RootFS(t.Context(), "trixie")
	must(t, err)
	key := clusterkey.Generate()
	preseed := func(key string) string {
		return `echo "pi-agent pi-agent/key password ` + key + `" | debconf-set-selections
			export DEBIAN_FRONTEND=noninteractive
			`
	}
	for name, install := range map[string]string{
		"with a key": preseed(key) + `apt-get install --yes /root/pi-agent.deb
			check() {
				[ "$(cat /etc/pi-agent/key)" = "$1" ]; [ "$(stat -c %a /etc/pi-agent/key)" = 600 ]
				not grep -rF "$1" /var/cache/debconf --exclude='*-old'; not grep -rF "$1" /var/log /var/lib/dpkg
			}
			check ` + key + `
			dpkg-reconfigure pi-agent; apt-get install --reinstall --yes /root/pi-agent.deb; check ` + key + `
			` + preseed(passphrase) + `dpkg-reconfigure pi-agent; check "` + passphrase + `"`,
		"with a key that is none": preseed("himbeere") + `not apt-get install --yes /root/pi-agent.deb >/root/said 2>&1
			grep -F 'this is no cluster key: it has 8 characters' /root/said; not grep -F himbeere /root/said
			[ ! -e /etc/pi-agent/key ]
			not dpkg --configure -a
			` + preseed("") + `dpkg --configure -a; [ ! -e /etc/pi-agent/key ]`,
		"with an engine": `DEBIAN_FRONTEND=noninteractive apt-get install --yes /root/pi-agent.deb`,
		"without an engine": `dpkg --purge --force-depends docker.io; if getent group docker; then delgroup docker; fi
			not command -v dockerd
			dpkg --install --force-depends /root/pi-agent.deb`,
	} {
		t.Run(name, func(t *testing.T) {
			disk := t.TempDir()
			c := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", `
				cd "$1"; mkdir upper work root
				mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work" root
				mount -t proc proc root/proc
				cp "$3" root/root/pi-agent.deb
				chroot root sh -euxc "$4"`, "sh", disk, system, deb,
				not+install+`
				pi-agent version; id pi-agent; getent group docker
				for unit in pi-agent.service pi-agent-prepare.service pi-agent-prepare.path; do
					[ -e "$(readlink /etc/systemd/system/multi-user.target.wants/$unit)" ]
				done
				not pidof pi-agent`)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestPackagedPrograms looks into the program of each package, and runs it on the oldest CPU it is for.
func TestPackagedPrograms(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	for arch, tt := range map[string]struct {
		cpu      elf.Machine
		emulator []string
		says     string
	}{
		"arm64": {elf.EM_AARCH64, []string{"qemu-aarch64", "-cpu", "cortex-a53"}, "linux/arm64"},
		"armhf": {elf.EM_ARM, []string{"qemu-arm", "-cpu", "arm1176"}, "linux/arm"}, // Pi 1 and Zero
		"amd64": {elf.EM_X86_64, nil, "linux/amd64"},
	} {
		t.Run(arch, func(t *testing.T) {
			file := strings.TrimSuffix(deb, "amd64.deb") + arch + ".deb"
			dir := t.TempDir()
			here(t, "dpkg-deb", "--extract", file, dir)
			path := filepath.Join(dir, "usr/bin/pi-agent")
			program, err := elf.Open(path)
			must(t, err)
			defer func() { _ = program.Close() }() // it was only read
			if program.Machine != tt.cpu || program.Type != elf.ET_EXEC {
				t.Errorf("%v for %v, want a program for %v", program.Type, program.Machine, tt.cpu)
			}
			for _, p := range program.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("it has %v: it is not static", p.Type)
				}
			}
			info, err := buildinfo.ReadFile(path)
			must(t, err)
			licences, err := os.ReadFile(filepath.Join(dir, "usr/share/doc/pi-agent/copyright"))
			must(t, err)
			for _, m := range info.Deps {
				if !strings.Contains(string(licences), " "+m.Path+"@"+m.Version+"/*\n") {
					t.Errorf("%s is linked in, and not in the copyright file", m.Path)
				}
			}
			says := here(t, append(tt.emulator, path, "version")...)
			if want := "pi-agent " + versionOf(t, file) + " " + tt.says + " "; !strings.HasPrefix(says, want) {
				t.Errorf("it says %q, want %q", says, want)
			}
		})
	}
}

// TestPackageRefuses runs what looks at the CPU before anything is unpacked.
func TestPackageRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arch, machine string
		refused       bool
	}{
		{"armhf", "armv5tejl", true},
		{"armhf", "armv6l", false},
		{"armhf", "armv7l", false},
		{"armhf", "aarch64", false}, // a 32-bit system with a 64-bit kernel
		{"armhf", "x86_64", false},  // an image that is built on another machine
		{"arm64", "aarch64", false},
		{"amd64", "x86_64", false},
	} {
		bin := t.TempDir()
		must(t, os.WriteFile(filepath.Join(bin, "uname"), []byte("#!/bin/sh\necho "+tt.machine+"\n"), 0o755))
		c := exec.CommandContext(t.Context(), "sh", "../../packaging/debian/pi-agent.preinst", "install")
		c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "DPKG_MAINTSCRIPT_ARCH=" + tt.arch}
		out, err := c.CombinedOutput()
		if (err != nil) != tt.refused ||
			tt.refused != strings.Contains(string(out), "cannot run on this CPU ("+tt.machine+")") {
			t.Errorf("%s on %s: %v, says %q", tt.arch, tt.machine, err, out)
		}
	}
}
