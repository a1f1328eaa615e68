package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The lab starts its own program again for the work that must be done in another process. The first argument, which no
// caller of a real program uses, says which.
const (
	initName    = "pi-agent-lab-init"    // process 1 of a machine
	debianName  = "pi-agent-lab-debian"  // the same, around a whole Debian
	janitorName = "pi-agent-lab-janitor" // cleans up after the lab
)

func init() {
	switch os.Args[0] {
	case initName:
		runInit(os.Args[1:])
	case debianName:
		runDebian(os.Args[1:])
	case janitorName:
		runJanitor(os.Args[1])
	}
}

// The files that boot gives to process 1 beside the usual three.
const (
	lifelineFD = 3 // ends when the lab closes it or is dead
	readyFD    = 4 // takes the one word that boot waits for
)

// machine is a process that keeps namespaces alive.
type machine struct {
	cmd    *exec.Cmd
	gone   chan struct{} // closed when every process in it is dead
	inside int           // the process by which it is entered
	kept   []string      // the namespaces of that one to enter, as named in /proc/PID/ns, in this order
}

const (
	lanNamespaces = unix.CLONE_NEWNET | unix.CLONE_NEWPID
	piNamespaces  = lanNamespaces | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
)

// piOnly are the namespaces a Pi has of its own, in the order to enter them.
var piOnly = []string{"ipc", "uts", "net", "pid", "mnt"}

// boot starts a machine that keeps its notes in dir. Program is initName or debianName, with the arguments of runInit
// or runDebian.
func (l *Lab) boot(dir string, namespaces uintptr, program string, args ...string) (*machine, error) {
	log, err := os.OpenFile(filepath.Join(dir, "init.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ready, readyEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{program}, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{l.lifeline, readyEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	err = cmd.Start()
	readyEnd.Close()
	if err != nil {
		return nil, err
	}
	m := &machine{cmd: cmd, gone: make(chan struct{}), inside: cmd.Process.Pid, kept: []string{"net"}}
	if namespaces == piNamespaces {
		m.kept = piOnly
	}
	go func() {
		_ = cmd.Wait() // always "killed" or the like
		close(m.gone)
	}()
	word, err := io.ReadAll(ready)
	if err == nil && string(word) != "ready" {
		err = fmt.Errorf("init: %s (see %s)", word, log.Name())
	}
	if err == nil {
		err = writePid(dir, cmd.Process.Pid)
	}
	if err != nil {
		m.kill()
		return nil, err
	}
	return m, nil
}

// kill is the power cut. It returns when every process in the machine is dead.
func (m *machine) kill() {
	_ = m.cmd.Process.Kill() // may be dead already
	<-m.gone
}

// runInit is process 1 of a machine. Its arguments are a hostname and the directory that is the machine's disk, or none
// for a machine that is only a network. It never returns, and ends when the lab does.
func runInit(args []string) {
	var err error
	if len(args) == 2 {
		err = setUp(args[0], args[1])
	}
	tell(err)
	go reapOrphans(0)
	liveOut()
}

// tell says the one word that boot waits for.
func tell(err error) {
	ready, word := os.NewFile(readyFD, "ready"), "ready"
	if err != nil {
		word = err.Error()
	}
	_, _ = ready.WriteString(word) // a reader that is gone has closed the lifeline, too
	ready.Close()
}

// liveOut returns never: this process ends when the lab closes its lifeline or is dead.
func liveOut() {
	_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline"))
	unix.Exit(0) // at once; os.Exit lets the race detector linger for a second
}

// reapOrphans does the one duty of a process 1. It ends the machine when the process main does, if there is one.
func reapOrphans(main int) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	for {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid > 0 && pid == main {
				unix.Exit(0)
			}
			if pid <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
		}
		<-died
	}
}

// overlaid are the directories in which a Pi sees the machine's files and may write its own.
var overlaid = []string{"/etc", "/var/lib", "/boot"}

// layer is where on a Pi's disk the changes to an overlaid directory are kept.
func layer(disk, dir string) string {
	return filepath.Join(disk, strings.ReplaceAll(strings.TrimPrefix(dir, "/"), "/", "-"))
}

// setUp makes the file system of a Pi, seen from inside its new namespaces.
func setUp(hostname, disk string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, dir := range overlaid {
		options := fmt.Sprintf("lowerdir=%s,upperdir=%[2]s/upper,workdir=%[2]s/work", dir, layer(disk, dir))
		if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
			return fmt.Errorf("mount overlay on %s: %w", dir, err)
		}
	}
	// Docker's own overlays cannot live on an overlay.
	if err := os.MkdirAll("/var/lib/docker", 0o711); err != nil {
		return err
	}
	if err := unix.Mount(filepath.Join(disk, "docker"), "/var/lib/docker", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /var/lib/docker: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return mountSys()
}

// mountSys gives the Pi a /sys that shows its own interfaces and the machine's cgroups.
func mountSys() error {
	const cgroups, aside = "/sys/fs/cgroup", "/run/cgroup"
	if err := os.Mkdir(aside, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(cgroups, aside, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep %s: %w", cgroups, err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.Mount(aside, cgroups, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("mount %s: %w", cgroups, err)
	}
	return os.Remove(aside)
}
