// Package prepare does what a board needs done by root, so that the agent need not be root: a name of its own, a clock
// that is not in the past, docker without sudo for its first user, the cluster key off the boot partition and where the
// agent can read it, and an engine that forgets a swarm that it cannot enter. It runs before the engine starts, and
// again whenever the agent asks for it. Doing it twice changes nothing more, and power may go at any instant.
package prepare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// Board prepares the board with this serial, whose engine has its data in root, as the settings say. The error joins
// all that could not be done.
func Board(ctx context.Context, c config.Config, serial peer.Serial, root string, log *zap.Logger) error {
	var errs []error
	if c.Rename {
		errs = append(errs, rename(ctx, serial, log))
	}
	if c.DockerWithoutSudo {
		errs = append(errs, dockerWithoutSudo(ctx, log))
	}
	errs = append(errs, forget(ctx, root, log))
	return errors.Join(errs...)
}

// command runs a program of the system in the language of its documentation. The error has what the program said.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
