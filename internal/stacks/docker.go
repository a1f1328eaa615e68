package stacks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// callMax is the time for one call. A deployment that was cut off is done again.
const callMax = 5 * time.Minute

// Command returns the docker command for the engine at host, such as unix:///run/docker.sock.
func Command(host string) Docker {
	return func(ctx context.Context, args ...string) error {
		ctx, cancel := context.WithTimeout(ctx, callMax)
		defer cancel()
		cmd := exec.CommandContext(ctx, "docker", append([]string{"--host", host}, args...)...)
		// Nothing of the agent's own environment gets into a Compose file, and no person's settings are used.
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "DOCKER_CONFIG=/nonexistent"}
		var said bytes.Buffer
		cmd.Stderr = &said
		err := cmd.Run()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, exec.ErrNotFound):
			return errors.New("there is no docker command: apt install docker-cli")
		case ctx.Err() != nil:
			return fmt.Errorf("docker %s took longer than %s", strings.Join(args[:2], " "), callMax)
		}
		if text := complaint(said.String()); text != "" {
			return errors.New(text)
		}
		return fmt.Errorf("docker %s: %w", strings.Join(args[:2], " "), err)
	}
}

// complaint is what the command said last: it may have given notes before.
func complaint(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return strings.TrimSuffix(strings.TrimSpace(lines[len(lines)-1]), ".")
}
