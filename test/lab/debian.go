package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Machine is a whole Debian on the LAN, as a freshly flashed Raspberry Pi: systemd is its process 1, NetworkManager
// gets its address by DHCP, and docker.io, avahi-daemon and a user pi are there. Every machine calls itself raspberrypi
// at first; machine id, hardware address and the serial in /proc/cpuinfo are its own.
//
// What is written to its disk, the journal and /var/lib/docker too, stays through power cuts.
type Machine struct {
	Computer
	Suite string // its Debian release
}

const (
	factoryName = "raspberrypi"
	systemPath  = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

func (l *Lab) newMachine(i int, suite string) (*Machine, error) {
	m := &Machine{
		Computer: Computer{
			Name:   fmt.Sprintf("m%d", i+1),
			Serial: defaultSerial(i),
			MAC:    fmt.Sprintf("dc:a6:32:77:00:%02x", i+1),
			lab:    l,
			// Programs are looked for inside, and with the environment of a login there.
			launcher: []string{"/usr/bin/env", "-i", "PATH=" + systemPath, "HOME=/root", "LANG=C.UTF-8"},
		},
		Suite: suite,
	}
	m.Dir = filepath.Join(l.Dir, m.Name)
	if err := os.MkdirAll(filepath.Join(m.Dir, "log"), 0o755); err != nil {
		return nil, err
	}
	return m, m.flash()
}

func (m *Machine) disk() string { return filepath.Join(m.Dir, "disk") }

// flash makes the disk of a machine as a new card: the system, and what is of this board.
func (m *Machine) flash() error {
	if err := os.RemoveAll(m.disk()); err != nil {
		return err
	}
	etc := filepath.Join(m.disk(), "upper/etc")
	for _, dir := range []string{etc, filepath.Join(m.disk(), "work"), filepath.Join(m.disk(), "docker")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	id := sha256.Sum256([]byte(m.lab.ID + m.Name))
	files := map[string]string{
		"hostname":   factoryName + "\n",
		"hosts":      "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 " + factoryName + "\n",
		"machine-id": hex.EncodeToString(id[:16]) + "\n",
		"cpuinfo":    "Serial\t\t: " + m.Serial + "\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
	}
	if m.Suite == "bookworm" {
		// Its systemd gives a service with ProtectProc= a new /proc, without what is mounted in the old one.
		for _, unit := range []string{"pi-agent.service", "pi-agent-prepare.service"} {
			files["systemd/system/"+unit+".d/board.conf"] = "[Service]\nBindReadOnlyPaths=/etc/cpuinfo:/proc/cpuinfo\n"
		}
	}
	for name, text := range files {
		path := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Boot turns the power on and returns as soon as systemd runs.
func (m *Machine) Boot(ctx context.Context) error {
	if m.On() {
		return fmt.Errorf("%s is on already", m.Name)
	}
	system, err := RootFS(ctx, m.Suite)
	if err != nil {
		return err
	}
	group := filepath.Join(cgroup(m.lab.ID), m.Name)
	box, err := m.lab.boot(m.Dir, debianNamespaces, debianName, m.Name, group, system, m.disk())
	if err != nil {
		return fmt.Errorf("boot %s: %w", m.Name, err)
	}
	if err := box.awaitSystemd(ctx); err != nil {
		box.kill()
		return fmt.Errorf("boot %s: %w (see %s)", m.Name, err, filepath.Join(m.Dir, "init.log"))
	}
	m.powered(box)
	if err := m.plugIn(); err != nil {
		return fmt.Errorf("connect %s: %w", m.Name, err)
	}
	return nil
}

// Shutdown lets systemd stop everything in good order, and returns when the power is off.
func (m *Machine) Shutdown(ctx context.Context) error {
	box, err := m.on()
	if err != nil {
		return err
	}
	// systemctl may die with the machine before it can say that all is well.
	_, said := m.Exec(ctx, "systemctl", "poweroff")
	select {
	case <-box.gone:
		return m.PowerOff()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), said)
	}
}

// Reflash pulls the plug if need be and puts a new card in: everything the machine has written is gone, its serial is
// the same.
func (m *Machine) Reflash() error {
	if m.On() {
		if err := m.PowerOff(); err != nil {
			return err
		}
	}
	return m.flash()
}

// WaitBoot returns when the machine has booted: docker.service and everything else runs or has failed.
func (m *Machine) WaitBoot(ctx context.Context) error { return m.WaitUnit(ctx, "multi-user.target") }

// WaitUnit returns when a unit is active.
func (m *Machine) WaitUnit(ctx context.Context, unit string) error {
	return Wait(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		out, err := m.Exec(ctx, "systemctl", "is-active", unit)
		if err != nil {
			return fmt.Errorf("%s: %s is %q: %w", m.Name, unit, strings.TrimSpace(string(out)), err)
		}
		return nil
	})
}

// Journal returns what a unit has written since the machine was flashed, a line each, without time and sender.
func (m *Machine) Journal(ctx context.Context, unit string) ([]string, error) {
	out, err := m.Exec(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--unit="+unit)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), nil
}

// CopyIn puts a copy of a file of this machine at a path of the other one, whose directory must exist.
func (m *Machine) CopyIn(from, to string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return m.Enter(func() error {
		if err := os.WriteFile(to, b, mode); err != nil {
			return err
		}
		return os.Chmod(to, mode) // whatever the umask
	})
}

// Install is "apt install ./x.deb" for a package file of this machine. There is no Debian mirror on the LAN, so all it
// depends on must be installed. What apt says is in the error.
func (m *Machine) Install(ctx context.Context, deb string) error {
	to := "/var/cache/apt/archives/" + filepath.Base(deb)
	if err := m.CopyIn(deb, to, 0o644); err != nil {
		return err
	}
	out, err := m.Command(ctx, "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: install %s: %w: %s", m.Name, filepath.Base(deb), err, out)
	}
	return nil
}

// bake mounts the root file system of a machine that is off, for as long as it runs apt there.
const bake = `cd "$1"; mkdir -p ../root
mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work" ../root
mount -t proc proc ../root/proc
cp "$3" ../root/var/cache/apt/archives/
DEBIAN_FRONTEND=noninteractive chroot ../root apt-get install --yes "/var/cache/apt/archives/${3##*/}"`

// Bake is Install on the card of a machine that is off, as into an image that is being built: nothing of the package
// runs before the first boot.
func (m *Machine) Bake(ctx context.Context, deb string) error {
	if m.On() {
		return fmt.Errorf("%s is on", m.Name)
	}
	system, err := RootFS(ctx, m.Suite)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child",
		"sh", "-euc", bake, "sh", m.disk(), system, deb)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: bake %s: %w: %s", m.Name, filepath.Base(deb), err, out)
	}
	return nil
}

// Addr returns the address that DHCP has given, or an error when there is none at the moment.
func (m *Machine) Addr(ctx context.Context) (netip.Addr, error) {
	out, err := m.Exec(ctx, "ip", "-4", "-oneline", "address", "show", "dev", "eth0", "scope", "global")
	if err != nil {
		return netip.Addr{}, err
	}
	fields := strings.Fields(string(out)) // 2: eth0 inet 10.77.0.123/24 ...
	if len(fields) < 4 {
		return netip.Addr{}, fmt.Errorf("%s has no address", m.Name)
	}
	prefix, err := netip.ParsePrefix(fields[3])
	return prefix.Addr(), err
}
