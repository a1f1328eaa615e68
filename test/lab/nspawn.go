package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// debianNamespaces are those around systemd-nspawn, which makes further ones for what it boots. All that it leaves
// behind when it is killed (mounts, directories in /run and /tmp, children) goes with them.
const debianNamespaces = lanNamespaces | unix.CLONE_NEWNS

// runDebian is process 1 around a whole machine. Its arguments are the name of the machine, its cgroup, its root file
// system and the directory that is its disk. It never returns, and ends when the lab or systemd-nspawn does.
func runDebian(args []string) {
	syscall.CloseOnExec(lifelineFD)
	syscall.CloseOnExec(readyFD)
	nspawn, err := bootDebian(args[0], args[1], args[2], args[3])
	tell(err)
	go reapOrphans(nspawn)
	liveOut()
}

// bootDebian starts systemd-nspawn and returns its process id.
func bootDebian(name, cgroup, system, disk string) (int, error) {
	const root = "/run/root"
	if err := mountDebian(system, disk, root); err != nil {
		return 0, err
	}
	groups, err := makeCgroups(cgroup)
	if err != nil {
		return 0, err
	}
	nspawn, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		return 0, err
	}
	// Process 1 itself stays outside: a cgroup with a process of its own cannot hand controllers down.
	const enter = `while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs"; shift; done; shift; exec "$@"`
	argv := append([]string{"sh", "-c", enter, "sh"}, groups...)
	argv = append(argv, "--", nspawn,
		"--quiet", "--boot", "--directory="+root, "--machine="+name, "--hostname="+factoryName,
		"--register=no", "--keep-unit", "--settings=no", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--network-namespace-path=/proc/self/ns/net",
		"--capability=all", "--system-call-filter=@keyring bpf add_key keyctl", // for dockerd
	)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	return syscall.ForkExec("/bin/sh", argv, &syscall.ProcAttr{
		Env: []string{
			"PATH=" + systemPath,
			"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
			// dockerd sets ip_forward. The rest of /sys stays read-only: NetworkManager then knows that there is no udev.
			"SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
		},
		Files: []uintptr{null.Fd(), 1, 2},
	})
}

// mountDebian mounts the file system of the machine at root, which is made in a /run of its own.
func mountDebian(system, disk, root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%[2]s/upper,workdir=%[2]s/work", system, disk)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay on %s: %w", root, err)
	}
	// Docker's own overlays cannot live on an overlay.
	docker := filepath.Join(root, "var/lib/docker")
	if err := unix.Mount(filepath.Join(disk, "docker"), docker, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /var/lib/docker: %w", err)
	}
	// Last, for the disk may be below it.
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// makeCgroups makes the cgroup of that name in the hierarchies that systemd-nspawn works in, and returns their
// directories: cgroup v2, or on a hybrid system its part of that and the one named systemd.
func makeCgroups(name string) ([]string, error) {
	hierarchies := []string{"/sys/fs/cgroup"}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		hierarchies = []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}
	}
	var groups []string
	for _, top := range hierarchies {
		if _, err := os.Stat(filepath.Join(top, "cgroup.procs")); err != nil {
			return nil, fmt.Errorf("systemd-nspawn wants cgroup v2, or v1 with both a systemd and a unified hierarchy: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(top, name), 0o755); err != nil {
			return nil, err
		}
		if err := delegate(filepath.Join(top, filepath.Dir(name))); err != nil {
			return nil, err
		}
		groups = append(groups, filepath.Join(top, name))
	}
	return groups, nil
}

// delegate makes every controller that a cgroup has available below it. The hierarchies of cgroup v1 have no such
// thing.
func delegate(group string) error {
	b, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(b)) {
		if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("hand down controller %s: %w", controller, err)
		}
	}
	return nil
}

// bootPatience is how long systemd may take to run at all.
const bootPatience = 2 * time.Minute

// awaitSystemd returns when systemd runs in a machine just booted, which is entered through it from then on.
func (m *machine) awaitSystemd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	return Wait(ctx, 20*time.Millisecond, func(context.Context) error {
		if pid := findSystemd(m.cmd.Process.Pid); pid != 0 {
			m.inside, m.kept = pid, piOnly
			return nil
		}
		select {
		case <-m.gone:
			return final{errors.New("systemd-nspawn has ended")}
		default:
			return errors.New("systemd does not run")
		}
	})
}

// findSystemd returns the first descendant of a process that runs systemd, or 0.
func findSystemd(ancestor int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", ancestor)) // the pattern is well-formed
	for _, path := range tasks {
		children, _ := os.ReadFile(path) // the thread may be gone by now
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				continue
			}
			if program, _ := os.Readlink("/proc/" + child + "/exe"); filepath.Base(program) == "systemd" {
				return pid
			}
			if pid = findSystemd(pid); pid != 0 {
				return pid
			}
		}
	}
	return 0
}
