package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/pi-agent/pi-agent/internal/control"
)

// yieldCommand gives up the swarm that this board manages, or says what would be lost with it.
func yieldCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent yield", flag.ContinueOnError)
	fs.SetOutput(stderr)
	socket := fs.String("socket", control.Path, "`file` on which the agent listens")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case fs.NArg() > 1:
		_, _ = fmt.Fprintf(stderr, "pi-agent yield: unexpected argument %q\n", fs.Arg(1))
		return errUsage
	}
	text, err := control.Yield(ctx, *socket, fs.Arg(0))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}
