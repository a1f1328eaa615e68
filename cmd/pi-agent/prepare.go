package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/journal"
	"github.com/pi-agent/pi-agent/internal/prepare"
)

// prepareCommand does once, as root, what the daemon may not.
func prepareCommand(ctx context.Context, args []string, _, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent prepare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	path := fs.String("config", config.Path, "`file` with the settings; it may be absent at its default place")
	if err := parse(fs, args); err != nil {
		return err
	}
	early := journal.New(zap.InfoLevel, stderr) // what comes before the settings are known
	root := engineRoot(ctx)
	keyErr := errors.Join(prepare.Clock(builtAt(), root, early), prepare.Key(early))
	cfg, err := config.Load(*path)
	if err != nil {
		return errors.Join(keyErr, err)
	}
	if cfg.BootErr != nil { // it may have been about what is to be done here
		return errors.Join(keyErr, cfg.BootErr)
	}
	this, err := board.Read(os.DirFS("/"), cfg.Serial)
	if err != nil {
		return errors.Join(keyErr, err)
	}
	return errors.Join(keyErr, prepare.Board(ctx, cfg, this.Serial, root, journal.New(cfg.Log, stderr)))
}
