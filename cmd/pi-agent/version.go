package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"time"

	"github.com/pi-agent/pi-agent/internal/timing"
)

// Set by the linker, see the Makefile: the version, and the day of its making, such as 2026-11-23. The pace is set in
// programs for tests only: how many times faster than the product its patience ends.
var (
	version = "devel"
	built   string
	pace    string
)

// patience is that of this program.
func patience() (timing.Timing, error) {
	if pace == "" {
		return timing.Product(), nil
	}
	n, err := strconv.ParseFloat(pace, 64)
	if err != nil {
		return timing.Timing{}, fmt.Errorf("pace %q: %w", pace, err)
	}
	return timing.Product().Faster(n)
}

// builtAt is when this program was made, zero when it does not know.
func builtAt() time.Time {
	at, err := time.Parse(time.DateOnly, built)
	if err != nil {
		return time.Time{}
	}
	return at
}

func versionCommand(_ context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent version", flag.ContinueOnError)
	fs.SetOutput(stderr)
	if err := parse(fs, args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "pi-agent %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}
