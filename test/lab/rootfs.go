package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// systemPackages are what a whole machine has: of Raspberry Pi OS what matters to the agent, and what its package
// depends on, so that it installs without a network.
var systemPackages = []string{
	"adduser", "apt", "avahi-daemon", "avahi-utils", "ca-certificates", "curl", "dbus", "docker.io", "iproute2",
	"iptables",
	"kmod", "libnss-mdns", "network-manager", "procps", "systemd", "systemd-sysv",
}

// suitePackages are the further packages of each release that a machine can run.
var suitePackages = map[string][]string{
	"bookworm": nil,
	"trixie":   {"docker-cli"}, // split off from docker.io
}

// systemSetup turns what mmdebstrap makes into a system that boots well inside a container. Devices are not its own to
// manage, and what runs by the calendar would only disturb.
const systemSetup = `set -e
cd "$1"
mkdir -m 711 var/lib/docker
ln -sf /dev/null etc/systemd/system/systemd-udevd.service
for unit in systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
	systemd-networkd.service systemd-networkd-wait-online.service wpa_supplicant.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer; do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
cat >etc/NetworkManager/system-connections/wired.nmconnection <<EOF
[connection]
id=Wired connection 1
type=ethernet
interface-name=eth0
[ipv4]
method=auto
EOF
chmod 600 etc/NetworkManager/system-connections/wired.nmconnection
cat >etc/systemd/system/board.service <<EOF
[Unit]
Description=Show the serial number of the board where a Pi shows it
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/mount --bind /etc/cpuinfo /proc/cpuinfo
[Install]
WantedBy=sysinit.target
EOF
systemctl --root=. enable -q board.service
chroot . useradd --create-home --uid 1000 --shell /bin/bash pi
`

// RootFS returns the root file system of a whole machine with the given Debian release. It is made at first use, which
// takes half a minute, and kept in the user's cache directory: 0.5 GB, which may be removed while no lab is up. It must
// not be written to.
func RootFS(ctx context.Context, suite string) (string, error) {
	extra, ok := suitePackages[suite]
	if !ok {
		return "", fmt.Errorf("no whole machine with Debian %q: give bookworm or trixie", suite)
	}
	packages := strings.Join(append(extra, systemPackages...), ",")
	key := sha256.Sum256([]byte(packages + systemSetup))
	return cached("root-"+suite, "root-"+suite+"-"+hex.EncodeToString(key[:6]), func(root string) error {
		work := filepath.Join(filepath.Dir(root), "root-"+suite+".part") // a dead one's remains, too
		if err := os.RemoveAll(work); err != nil {
			return err
		}
		if err := debootstrap(ctx, suite, packages, work); err != nil {
			return errors.Join(fmt.Errorf("make the root file system of %s: %w", suite, err), os.RemoveAll(work))
		}
		return os.Rename(work, root)
	})
}

// debootstrap runs mmdebstrap in namespaces of its own, so that its death takes its mounts and children with it.
func debootstrap(ctx context.Context, suite, packages, dir string) error {
	setup := filepath.Join(filepath.Dir(dir), "root-"+suite+".setup")
	if err := os.WriteFile(setup, []byte("#!/bin/sh\n"+systemSetup), 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(setup)
	c := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"mmdebstrap", "--quiet", "--variant=minbase", "--include="+packages, "--customize-hook="+setup,
		suite, dir, machineMirror(ctx))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w: %s", err, out)
	}
	return nil
}
