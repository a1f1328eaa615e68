package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The first thread of a process ends with the process only, and once it has entered a machine it would hold the mounts
// of that for as long. So it is kept for main: no other goroutine runs on it.
func init() { runtime.LockOSThread() }

// enter calls f on a thread that is inside the machine: files it opens, sockets it makes and programs it starts belong
// there. f must not start goroutines for such work, nor end its own (as t.Fatal does).
func (m *machine) enter(f func() error) error {
	return enterPid(m.inside, m.kept, f)
}

func enterPid(pid int, namespaces []string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread has left this process's namespaces and must end here
		err := setns(pid, namespaces)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func setns(pid int, namespaces []string) error {
	// Threads share root and working directory, and a mount namespace cannot be entered while they do.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	var files []*os.File
	for _, name := range namespaces {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	for _, f := range files {
		if err := unix.Setns(int(f.Fd()), 0); err != nil {
			return fmt.Errorf("enter %s: %w", f.Name(), err)
		}
	}
	return nil
}

// Cmd is an exec.Cmd whose program runs inside a Pi. It dies with the Pi.
type Cmd struct {
	*exec.Cmd
	enter func(func() error) error
}

func command(ctx context.Context, enter func(func() error) error, argv []string) *Cmd {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.WaitDelay = 5 * time.Second // for grandchildren that keep the output open
	return &Cmd{Cmd: c, enter: enter}
}

// Start is exec.Cmd.Start inside the Pi.
func (c *Cmd) Start() error { return c.enter(c.Cmd.Start) }

// Run is exec.Cmd.Run inside the Pi.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output is like exec.Cmd.Output inside the Pi, but the error has in its text what the program wrote to standard error.
func (c *Cmd) Output() ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if said := bytes.TrimSpace(stderr.Bytes()); err != nil && len(said) > 0 {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return stdout.Bytes(), err
}

// CombinedOutput is exec.Cmd.CombinedOutput inside the Pi.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
