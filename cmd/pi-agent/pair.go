package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/pi-agent/pi-agent/internal/control"
)

// pairCommand asks the agent on this board to let new boards in.
func pairCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent pair", flag.ContinueOnError)
	fs.SetOutput(stderr)
	socket := fs.String("socket", control.Path, "`file` on which the agent listens")
	if err := parse(fs, args); err != nil {
		return err
	}
	text, err := control.Pair(ctx, *socket)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}
