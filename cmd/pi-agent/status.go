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
	"github.com/pi-agent/pi-agent/internal/bootstrap"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The exit statuses with which commands that look tell scripts what they saw.
const (
	statusTrouble exitStatus = 3 // something needs a person
	statusNoAgent exitStatus = 4 // the agent does not run
)

// exitStatus is the error of a command that has said already what there is to say.
type exitStatus int

// Error implements error.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// watchPace is the time between two pictures of status -watch.
const watchPace = 2 * time.Second

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
		p, verdict, err := look(ctx, *path, *socket)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(stdout, p)
		} else {
			err = p.Text(stdout, time.Now())
		}
		if err != nil {
			return err
		}
		return verdict
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

// look is the picture that the agent draws, or without an agent what can be found out, and what to tell scripts about it.
func look(ctx context.Context, configPath, socket string) (p picture.Picture, verdict, err error) {
	text, err := control.Status(ctx, filepath.Join(filepath.Dir(socket), control.StatusName))
	if errors.Is(err, control.ErrNotRunning) {
		p, err := alone(ctx, configPath)
		return p, statusNoAgent, err
	}
	if err != nil {
		return p, nil, err
	}
	if p, err = picture.Decode(text); err != nil {
		return p, nil, err
	}
	if p.Trouble() {
		verdict = statusTrouble
	}
	return p, verdict, nil
}

// alone is the picture without an agent.
func alone(ctx context.Context, configPath string) (picture.Picture, error) {
	cfg, err := config.Load(configPath)
	doing := "The agent does not run on this board: sudo systemctl start pi-agent."
	if err != nil {
		doing = fmt.Sprintf("The agent does not run on this board, and cannot with its settings: %v.", err)
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
	return bootstrap.Alone(ctx, picture.Board{Serial: this.Serial, Name: name, Model: this.Model}, cfg.Cluster, doing, engine), nil
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
