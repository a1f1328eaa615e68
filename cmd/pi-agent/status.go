package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The exit statuses with which commands that look tell scripts what they saw.
const (
	statusTrouble exitStatus = 3 // something needs a person
	statusNoAgent exitStatus = 4 // the agent does not run, or hangs
)

// exitStatus is the error of a command that has said already what there is to say.
type exitStatus int

// Error implements error.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// watchPace is the time between two pictures of status -watch.
const watchPace = 2 * time.Second

// agentMax is how long the agent may take for a picture, which it draws in 4 s at most, before it counts as one that
// hangs.
var agentMax = 6 * time.Second

// portsOf is the machine whose ports are looked at; tests have none, for other programs come and go there.
var portsOf = os.DirFS("/")

// statusCommand shows the picture of the cluster.
func statusCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent status", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print JSON, for programs")
	watch := fs.Bool("watch", false, "show it anew every 2 seconds until interrupted")
	path := fs.String("config", config.Path, "`file` with the settings, for when the agent does not run")
	socket := fs.String("socket", control.Path, "`file` on which the agent listens")
	if err := parse(fs, args); err != nil {
		return err
	}
	show := func() error {
		p, agent, err := look(ctx, *path, *socket)
		if err == nil && (agent != nil || os.Geteuid() == 0) {
			p.Warnings = named(p.Warnings, ports.Here(portsOf))
		}
		switch {
		case err != nil && *watch: // it may be better the next time
			_, err = fmt.Fprintln(stderr, "pi-agent:", err)
			return err
		case err != nil:
			return err
		}
		if *asJSON {
			err = printJSON(stdout, p)
		} else {
			err = p.Text(stdout, time.Now())
		}
		switch {
		case err != nil:
			return err
		case agent != nil:
			return statusNoAgent
		case p.Trouble():
			return statusTrouble
		}
		return nil
	}
	if !*watch {
		return show()
	}
	clear := ""
	if f, ok := stdout.(*os.File); ok && !*asJSON && isTerminal(f) {
		clear = "\x1b[H\x1b[2J"
	}
	tick := time.NewTicker(watchPace)
	defer tick.Stop()
	for {
		if clear != "" {
			if _, err := io.WriteString(stdout, clear); err != nil {
				return err
			}
		}
		var verdict exitStatus
		if err := show(); err != nil && !errors.As(err, &verdict) && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look is the picture that the agent draws, or without one, for the reason agent, what can be found out.
func look(ctx context.Context, configPath, socket string) (p picture.Picture, agent, err error) {
	asked, cancel := context.WithTimeout(ctx, agentMax)
	defer cancel()
	text, agent := control.Status(asked, filepath.Join(filepath.Dir(socket), control.StatusName))
	if agent != nil && ctx.Err() == nil {
		p, err = alone(ctx, configPath, agent)
		return p, agent, err
	}
	if agent != nil {
		return p, nil, agent
	}
	p, err = picture.Decode(text)
	return p, nil, err
}

// alone is the picture without an agent, for the reason why.
func alone(ctx context.Context, configPath string, why error) (picture.Picture, error) {
	cfg, err := config.Load(configPath)
	doing := say.AgentStopped.With()
	switch {
	case !errors.Is(why, control.ErrNotRunning):
		doing = say.AgentHangs.With()
	case err != nil:
		doing = say.AgentCannotRun.With(err)
	}
	if err != nil {
		cfg = config.Default()
	}
	this, err := board.Read(os.DirFS("/"), cfg.Serial)
	if err != nil {
		return picture.Picture{}, err
	}
	name := hostname()
	if name == "" {
		name = this.Serial.Name()
	}
	engine := swarm.NewDocker(cfg.Docker, zap.NewNop())
	defer engine.Close()
	return status.Alone(ctx, picture.Board{Serial: this.Serial, Name: name, Model: this.Model}, cfg.Cluster, doing,
		engine), nil
}

// named are warnings with what this process sees of programs that have ports of this board: root knows more than the
// agent.
func named(warnings []picture.Warning, look ports.Look) []picture.Warning {
	look.EngineErr = swarm.ErrUnreachable // it was not asked: without knowing that, nothing is guessed
	var all []picture.Warning
	seen := map[string]bool{}
	for _, h := range look.Strangers() {
		seen[h.Port.ID()] = true
		all = append(all, picture.Warning{Text: h.Text(), Remedy: h.Remedy(), Trouble: true, Port: h.Port.ID()})
	}
	for _, w := range warnings {
		if !seen[w.Port] {
			all = append(all, w)
		}
	}
	return all
}

func printJSON(w io.Writer, p picture.Picture) error {
	text, err := p.Encode()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// isTerminal reports whether f is a terminal, or another device that a person may look at.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
