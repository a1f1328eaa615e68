package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	janitorLog = "janitor.log"
	lockName   = "lock" // held by the lab, then by its janitor: a directory whose lock is free is litter
	pidName    = "pid"  // process id and start time of a machine's process 1

	patience = 2 * time.Minute // how long a dead lab's processes and cgroups may take to vanish
)

// Base is the directory in which every lab has its own, named by its id: PI_LAB_DIR, or /var/tmp/pi-agent-lab. It
// must not be below /etc, /var/lib, /boot or /run.
func Base() string {
	if dir := os.Getenv("PI_LAB_DIR"); dir != "" {
		return dir
	}
	return "/var/tmp/pi-agent-lab"
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,40}$`)

// claim makes the directory of the lab, its lifeline and its janitor, and sweeps what dead labs have left.
func (l *Lab) claim() error {
	if !idForm.MatchString(l.ID) {
		return fmt.Errorf("lab id %q: give 1 to 40 letters, digits and -", l.ID)
	}
	if err := os.MkdirAll(Base(), 0o755); err != nil {
		return err
	}
	// One at a time, so that nobody sweeps a directory between its making and its locking.
	gate, err := lock(filepath.Join(Base(), ".gate"), os.O_CREATE, 0)
	if err != nil {
		return err
	}
	defer gate.Close()
	if err := sweep(); err != nil {
		return err
	}
	l.Dir = filepath.Join(Base(), l.ID)
	if err := os.Mkdir(l.Dir, 0o755); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("lab %s is up already", l.ID)
	} else if err != nil {
		return err
	}
	held, err := lock(filepath.Join(l.Dir, lockName), os.O_CREATE, unix.LOCK_NB)
	if err != nil {
		return err
	}
	defer held.Close() // the janitor has its copy
	if l.lifeline, l.lifelineEnd, err = os.Pipe(); err != nil {
		return err
	}
	return l.startJanitor(held)
}

func (l *Lab) startJanitor(held *os.File) error {
	log, err := os.Create(filepath.Join(l.Dir, janitorLog))
	if err != nil {
		return err
	}
	defer log.Close()
	l.janitor = exec.Command("/proc/self/exe")
	l.janitor.Args = []string{janitorName, l.Dir}
	l.janitor.Stdout, l.janitor.Stderr = log, log
	l.janitor.ExtraFiles = []*os.File{l.lifeline, held}
	l.janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the keyboard is not for it
	return l.janitor.Start()
}

// runJanitor waits for the end of the lab in dir, even a violent one, and removes what the kernel does not.
func runJanitor(dir string) {
	_, _ = io.Copy(io.Discard, os.NewFile(3, "lifeline"))
	if err := wipe(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		unix.Exit(1)
	}
	unix.Exit(0)
}

// sweep wipes the labs whose holder and janitor are both dead.
func sweep() error {
	labs, err := filepath.Glob(filepath.Join(Base(), "*", lockName))
	if err != nil {
		return err
	}
	for _, path := range labs {
		held, err := lock(path, 0, unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = wipe(filepath.Dir(path))
		held.Close()
		if err != nil {
			return fmt.Errorf("sweep a dead lab: %w", err)
		}
	}
	return nil
}

// lock opens path and takes its lock, which ends when every copy of the open file is closed.
func lock(path string, openFlags, lockFlags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|openFlags, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|lockFlags)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// wipe waits for the death of the machines of the lab in dir, then removes its cgroups and the directory.
func wipe(dir string) error {
	pids, err := filepath.Glob(filepath.Join(dir, "*", pidName))
	if err != nil {
		return err
	}
	for _, path := range pids {
		if err := awaitDeath(filepath.Dir(path)); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		groups, err := filepath.Glob(filepath.Join(pattern, cgroup(filepath.Base(dir))))
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := removeCgroup(g); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}

// cgroup is the name of the cgroup, in every hierarchy, above all cgroups of a lab.
func cgroup(id string) string { return "pi-agent-lab-" + id }

// removeCgroup removes a tree of cgroups. One that has just lost its last process stays busy for a moment.
func removeCgroup(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, dir := range slices.Backward(dirs) {
		err := Wait(ctx, 20*time.Millisecond, func(context.Context) error {
			switch err := unix.Rmdir(dir); {
			case errors.Is(err, unix.ENOENT):
				return nil
			case err == nil || errors.Is(err, unix.EBUSY):
				return err
			default:
				return final{err}
			}
		})
		if err != nil {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// writePid notes which process keeps the machine in dir. The start time tells it from a later process of the same id.
func writePid(dir string, pid int) error {
	start, err := startTime(pid)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, pidName), []byte(fmt.Sprintf("%d %s\n", pid, start)), 0o644)
}

// readPid returns the process that keeps the machine in dir, or 0 if that one is dead.
func readPid(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, pidName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var pid int
	var start string
	if _, err := fmt.Sscan(string(b), &pid, &start); err != nil {
		return 0, fmt.Errorf("read %s: %w", filepath.Join(dir, pidName), err)
	}
	if now, err := startTime(pid); err != nil || now != start {
		return 0, nil
	}
	return pid, nil
}

// startTime is when a process was started, in clock ticks since the machine booted (proc_pid_stat(5), field 22).
func startTime(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:]) // the name before it may contain anything
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", fmt.Errorf("process %d: strange stat %q", pid, b)
	}
	return fields[19], nil
}

// awaitDeath waits until every process of the machine in dir is dead.
func awaitDeath(dir string) error {
	pid, err := readPid(dir)
	if pid == 0 || err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("process %d of %s does not die", pid, dir)
		}
		// Process 1 of a pid namespace is dead only after all others in it.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch process %d: %w", pid, err)
		}
	}
}
