package stacks

// This file runs the docker command, and reads what it says.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// callMax is how long one call may take. A deployment that was cut off is done again.
const callMax = 5 * time.Minute

// Command returns the docker command for the engine at host, such as unix:///run/docker.sock.
func Command(host string) Docker {
	return func(ctx context.Context, args ...string) (string, error) {
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
			return said.String(), nil
		case errors.Is(err, exec.ErrNotFound):
			return "", errors.New("there is no docker command: apt install docker-cli")
		case ctx.Err() != nil:
			return "", fmt.Errorf("docker %s took longer than %s", strings.Join(args[:2], " "), callMax)
		}
		if text := complaint(said.String()); text != "" {
			return "", errors.New(text)
		}
		return "", fmt.Errorf("docker %s: %w", strings.Join(args[:2], " "), err)
	}
}

// What Docker writes before it begins, whether it then fails or not.
const (
	ignoresUnsupported = "Ignoring unsupported options: "
	ignoresDeprecated  = "Ignoring deprecated options:"
)

// optionAdvice is what Docker says of one option, in a line of its own.
var optionAdvice = regexp.MustCompile(`^([a-z_]+): (.+)$`)

// ignored are the options that Docker says it left out, never nil.
func ignored(said string) []string {
	all := []string{}
	deprecated := false
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if names, ok := strings.CutPrefix(line, ignoresUnsupported); ok {
			all = append(all, strings.Split(names, ", ")...)
		}
		if deprecated = deprecated || line == ignoresDeprecated; !deprecated {
			continue
		}
		if m := optionAdvice.FindStringSubmatch(line); m != nil {
			all = append(all, m[1])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// severalLines is how complaints begin that have more than one line.
var severalLines = regexp.MustCompile(`^(Compose file contains unsupported options:|yaml: unmarshal errors:)`)

// complaint is why the command failed: what it said last, because it may have given notes before, and all of that where
// it has several lines.
func complaint(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := len(lines) - 1
	if i := slices.IndexFunc(lines, severalLines.MatchString); i >= 0 {
		last = i
	}
	return strings.TrimSuffix(strings.TrimSpace(strings.Join(lines[last:], "\n")), ".")
}
