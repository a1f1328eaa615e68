package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Computer is what a Pi and a Machine have in common: power, a cable, and programs that run inside. Its methods may be
// called from several goroutines, but power, link and process changes of one computer should come from one.
type Computer struct {
	Name   string // by which the lab knows it
	Serial string // of its board
	MAC    string // hardware address of eth0
	Dir    string // what the lab keeps about it: disk, logs

	lab      *Lab
	launcher []string // put before every program that runs inside

	mu        sync.Mutex
	machine   *machine // nil while the power is off
	processes map[string]*Process
}

// powered notes that the power is on.
func (c *Computer) powered(m *machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machine, c.processes = m, map[string]*Process{}
}

// PowerOff pulls the plug: all processes get SIGKILL at once. It returns when they are dead.
func (c *Computer) PowerOff() error {
	m, err := c.on()
	if err != nil {
		return err
	}
	m.kill()
	c.reap()
	c.mu.Lock()
	c.machine = nil
	c.mu.Unlock()
	// The kernel takes the interface away in its own time, and the next boot wants the name.
	_ = c.lab.lan.ip("link del " + c.Name)
	return nil
}

// reap waits for the end of a computer that is about to die, and of what was started in it.
func (c *Computer) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine == nil {
		return
	}
	<-c.machine.gone
	for _, proc := range c.processes {
		<-proc.done
	}
}

// On reports whether the power is on.
func (c *Computer) On() bool {
	_, err := c.on()
	return err == nil
}

func (c *Computer) on() (*machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine == nil {
		return nil, fmt.Errorf("%s is off", c.Name)
	}
	return c.machine, nil
}

// Enter calls f on a thread that is inside the computer: files it opens, sockets it makes and programs it starts belong
// there. f must not start goroutines for such work, nor end its own (as t.Fatal does).
func (c *Computer) Enter(f func() error) error {
	m, err := c.on()
	if err != nil {
		return err
	}
	return m.enter(f)
}

// Command is exec.CommandContext for a program inside the computer.
func (c *Computer) Command(ctx context.Context, argv ...string) *Cmd {
	return command(ctx, c.Enter, append(slices.Clip(c.launcher), argv...))
}

// Exec runs a program inside the computer and returns its standard output. The error has its standard error in the
// text.
func (c *Computer) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	out, err := c.Command(ctx, argv...).Output()
	if err != nil {
		err = fmt.Errorf("%s: %v: %w", c.Name, argv, err)
	}
	return out, err
}

// Path is a file of the computer as this process reaches it; empty while the power is off. It works for sockets, too.
func (c *Computer) Path(name string) string {
	m, err := c.on()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("/proc/%d/root%s", m.inside, name)
}

// WriteFile writes a file of the computer, and the directories above it. The power must be on.
func (c *Computer) WriteFile(name, text string, mode os.FileMode) error {
	return c.Enter(func() error {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(text), mode)
	})
}
