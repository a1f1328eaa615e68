package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// doctorCommand looks for what keeps this board from being a good node.
func doctorCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent doctor", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print JSON, for programs")
	fix := fs.Bool("fix", false,
		"run the commands that help, are safe and can be taken back, after saying which (with sudo)")
	path := fs.String("config", config.Path, "`file` with the settings")
	socket := fs.String("socket", control.Path, "`file` on which the agent listens")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *fix && os.Geteuid() != 0 {
		return errors.New("only root can put things right: try sudo pi-agent doctor -fix")
	}
	all, err := examine(ctx, *path, *socket)
	if err != nil {
		return err
	}
	if *fix && mend(ctx, all, stderr, runFix) {
		if all, err = examine(ctx, *path, *socket); err != nil {
			return err
		}
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(struct {
			Version int             `json:"version"`
			Results []doctor.Result `json:"results"`
		}{1, all})
	} else {
		err = doctor.Text(stdout, all)
	}
	if err == nil && doctor.Failed(all) {
		err = statusTrouble
	}
	return err
}

// examine makes all checks on this board.
func examine(ctx context.Context, configPath, socket string) ([]doctor.Result, error) {
	shown, agent, err := look(ctx, configPath, socket)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(configPath)
	if err != nil {
		cfg = config.Default() // the agent's own check tells what is wrong with them
	}
	p := doctor.Patient{Picture: shown, Agent: agent, LinkLocal: cfg.LinkLocal, Built: builtAt()}
	p.OnThisBoard()
	p.Reached = func(ctx context.Context) (map[string]map[string]string, error) { return control.Reached(ctx, socket) }
	engine := swarm.NewDocker(cfg.Docker, zap.NewNop())
	defer engine.Close()
	p.Engine, p.EngineErr = engine.Status(ctx)
	p.Setup, p.DataRoot = dockerd.OnThisBoard(ctx), p.Engine.Root
	if p.DataRoot == "" {
		p.DataRoot = engineRoot(ctx)
	}
	p.Link, p.LinkErr = address.Kernel{Want: cfg.Interface, Home: shown.Interface, Bare: cfg.LinkLocal}.Link()
	return doctor.Examine(ctx, &p), nil
}

// mend runs the commands that help, and tells each before. It reports whether there were any.
func mend(ctx context.Context, all []doctor.Result, log io.Writer,
	run func(context.Context, []string) error) (any bool) {
	done := map[string]bool{}
	for _, r := range all {
		line := strings.Join(r.Fix, " ")
		if line == "" || done[line] {
			continue
		}
		done[line] = true
		_, _ = fmt.Fprintf(log, "%s: running %s\n", r.Check, line) // what is done counts, not that it is told
		if err := run(ctx, r.Fix); err != nil {
			_, _ = fmt.Fprintf(log, "%s: %v\n", r.Check, err)
		}
	}
	return len(done) > 0
}

func runFix(ctx context.Context, argv []string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
