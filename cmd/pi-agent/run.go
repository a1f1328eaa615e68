package main

import (
	"cmp"
	"context"
	"flag"
	"io"
	"os"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/journal"
	"github.com/pi-agent/pi-agent/internal/stacks"
)

// stateDir is where the agent keeps what must survive a power cut, unless systemd says otherwise.
const stateDir = "/var/lib/pi-agent"

// runCommand is the daemon. It returns when ctx ends, after a goodbye to the other boards, and leaves the swarm as it
// is.
func runCommand(ctx context.Context, args []string, _, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent run", flag.ContinueOnError)
	fs.SetOutput(stderr)
	path := fs.String("config", config.Path, "`file` with the settings; it may be absent at its default place")
	dir := fs.String("state", cmp.Or(os.Getenv("STATE_DIRECTORY"), stateDir),
		"`directory` for what must survive a power cut")
	keyPath := fs.String("key", clusterkey.Path, "`file` with the cluster key; it may be absent at its default place")
	stackDir := fs.String("stacks", stacks.Dir,
		"`directory` with Compose files for the manager to deploy; it may be absent")
	socket := fs.String("socket", control.Path, "`file` on which the agent listens for commands on this board")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := config.Load(*path)
	if err != nil {
		return err
	}
	log := journal.New(cfg.Log, stderr)
	key, err := clusterKey(cfg, *keyPath, log)
	if err != nil {
		return err
	}
	if cfg.Key.None() && *keyPath == clusterkey.Path {
		key = withCard(&cfg, bootfile.Dirs, key, log)
	}
	a, err := newAgent(setup{cfg, key, *dir, *stackDir, *socket, log})
	if err != nil {
		return err
	}
	return a.run(ctx)
}
