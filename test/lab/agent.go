package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const (
	agentName  = "pi-agent"
	configPath = "/etc/pi-agent/pi-agent.toml"
)

// StartAgent starts "pi-agent run" with the Pi's config and these further arguments. Its journal is Log.
func (p *Pi) StartAgent(args ...string) error {
	path, err := p.lab.AgentPath()
	if err != nil {
		return err
	}
	argv := append([]string{path, "run", "--config", configPath}, args...)
	_, err = p.start(agentName, p.Command(context.Background(), argv...))
	return err
}

// StartAgents starts the agents of all Pis.
func (l *Lab) StartAgents(args ...string) error {
	for _, p := range l.Pis {
		if err := p.StartAgent(args...); err != nil {
			return err
		}
	}
	return nil
}

// StopAgent stops the agent as systemd does, and waits for its end. A status other than 0 is an error.
func (p *Pi) StopAgent() error { return p.stop(agentName) }

// KillAgent lets the agent crash.
func (p *Pi) KillAgent() error { return p.kill(agentName) }

// Log returns what the agent has written so far, over all boots.
func (p *Pi) Log() string { return p.LogOf(agentName) }

// SetConfig writes the Pi's pi-agent.toml: its serial, and these lines. The Pi must be on.
func (p *Pi) SetConfig(lines string) error { return p.WriteFile(configPath, p.config(lines), 0o644) }

func (p *Pi) config(lines string) string {
	return "serial = " + strconv.Quote(p.Serial) + "\n" + lines + "\n"
}

// AgentPath returns the path of the agent that Options.Agent or Options.Pace says, which is built at first use.
func (l *Lab) AgentPath() (string, error) {
	if path := l.options.Agent; path != "" {
		return path, nil
	}
	if n := l.options.Pace; n > 1 {
		return l.install("cmd/pi-agent", fmt.Sprintf("GOFLAGS=-buildvcs=false -ldflags=-X=main.pace=%d", n))
	}
	if path := os.Getenv("PI_AGENT"); path != "" {
		return path, nil
	}
	return l.install("cmd/pi-agent")
}

// AgentPath returns the path of the agent that StartAgent runs on this Pi.
func (p *Pi) AgentPath() (string, error) { return p.lab.AgentPath() }

// install puts the program of this module that is in directory pkg, built in this environment, into the lab.
func (l *Lab) install(pkg string, env ...string) (string, error) {
	program, err := build(pkg, env...)
	if err != nil {
		return "", err
	}
	l.installing.Lock()
	defer l.installing.Unlock()
	path := filepath.Join(l.Dir, "bin", filepath.Base(pkg))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, program, 0o755)
}

var built sync.Map // environment and directory -> func() ([]byte, error)

// build compiles a program of this module, once in the life of this process.
func build(pkg string, env ...string) ([]byte, error) {
	once, _ := built.LoadOrStore(strings.Join(append(env, pkg), " "), sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "pi-agent-build-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "program")
		cmd := exec.Command("go", "build", "-trimpath", "-o", out, "github.com/pi-agent/pi-agent/"+pkg)
		cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
		if said, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", pkg, err, said)
		}
		return os.ReadFile(out)
	}))
	return once.(func() ([]byte, error))()
}
