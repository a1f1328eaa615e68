package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long Stop waits after SIGTERM before it kills.
const stopPatience = 20 * time.Second

// Process is a long-running program inside a Pi. Its output goes to the Pi's log of that name.
type Process struct {
	Name string

	cmd  *Cmd
	done chan struct{}
	err  error // how it ended; valid after done
}

// Start starts a long-running program inside the computer, such as avahi-daemon or tcpdump. Its output is appended to
// the log of that name. One name runs once at a time.
func (c *Computer) Start(name string, argv ...string) (*Process, error) {
	return c.start(name, c.Command(context.Background(), argv...))
}

func (c *Computer) start(name string, cmd *Cmd) (*Process, error) {
	if old := c.Process(name); old != nil && old.Running() {
		return nil, fmt.Errorf("%s: %s runs already", c.Name, name)
	}
	log, err := os.OpenFile(c.logPath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	proc, err := startProcess(name, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	c.mu.Lock()
	c.processes[name] = proc
	c.mu.Unlock()
	return proc, nil
}

func startProcess(name string, cmd *Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	proc := &Process{Name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		proc.err = cmd.Wait()
		close(proc.done)
	}()
	return proc, nil
}

// Process returns the last process of that name since it was booted, or nil.
func (c *Computer) Process(name string) *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name]
}

// Running names the programs started with Start, StartEngine and StartAgent that are alive, in alphabetical order.
func (c *Computer) Running() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name, proc := range c.processes {
		if proc.Running() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Running reports whether the process is alive.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal. A process that has ended is an error.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait waits for the end of the process and says how it ended, as exec.Cmd.Wait.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // may have ended already
	<-p.done
}

// Stop sends SIGTERM and waits for the end. A process that ends with another status than 0, or has to be killed after
// 20 s, is an error.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopPatience):
		p.Kill()
		return fmt.Errorf("%s had to be killed %v after SIGTERM", p.Name, stopPatience)
	}
}

func (c *Computer) stop(name string) error {
	proc := c.Process(name)
	if proc == nil {
		return fmt.Errorf("%s: %s was not started", c.Name, name)
	}
	if err := proc.Stop(); err != nil {
		return fmt.Errorf("%s: stop %s: %w", c.Name, name, err)
	}
	return nil
}

func (c *Computer) kill(name string) error {
	proc := c.Process(name)
	if proc == nil {
		return fmt.Errorf("%s: %s was not started", c.Name, name)
	}
	proc.Kill()
	return nil
}

func (c *Computer) logPath(name string) string { return LogPath(c.lab.ID, c.Name, name) }

// Logs names the logs there are, in alphabetical order.
func (c *Computer) Logs() []string {
	paths, _ := filepath.Glob(c.logPath("*")) // the pattern is well-formed
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), ".log")
	}
	return paths
}

// LogOf returns what all processes of that name have written so far, over all boots; empty if there is none.
func (c *Computer) LogOf(name string) string {
	b, _ := os.ReadFile(c.logPath(name)) // no log is an empty log
	return string(b)
}

// WaitLog returns when the log of that name has the text, written now or earlier.
func (c *Computer) WaitLog(ctx context.Context, name, text string) error {
	return Wait(ctx, 20*time.Millisecond, func(context.Context) error {
		if !strings.Contains(c.LogOf(name), text) {
			return fmt.Errorf("%s: no %q in the log of %s", c.Name, text, name)
		}
		return nil
	})
}

// lastLines is the end of a log, for an error.
func (c *Computer) lastLines(name string) string {
	lines := strings.Split(strings.TrimSpace(c.LogOf(name)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
