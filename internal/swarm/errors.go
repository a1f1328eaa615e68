package swarm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/docker/docker/client"
)

// words are what engines say in errors that share one class, "unavailable" mostly, with others that ask for something
// else to be done. They are the same from Docker 20.10 to 29.
var words = []struct {
	text string // lower case
	kind error
}{
	{"already part of a swarm", ErrAlready},
	{"swarm is encrypted", ErrLocked},
	{"not a swarm manager", ErrNotManager},
	{"not part of a swarm", ErrNotMember},
	{"live-restore", ErrLiveRestore},
	{"removing the last manager", ErrLastManager},
	{"participating as a manager", ErrLastManager},
	{"timeout was reached before node", ErrPending},
	{"does not have a leader", ErrNoLeader},
	{"deadlineexceeded", ErrNoLeader},
	{"does not match fingerprint", ErrRefused},
	{"join token", ErrRefused},
	{"connection refused", ErrRefused},
	{"no route to host", ErrRefused},
	{"network is unreachable", ErrRefused},
}

// sorted puts an error of the client under one of this package's, where it is one of those.
func sorted(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: no permission for its socket; the agent must run as root or in group docker", ErrUnreachable)
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%w yet", ErrUnreachable)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w in time", ErrUnreachable)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	low := strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(low, w.text) {
			if w.kind == ErrRefused {
				return fmt.Errorf("%w: %s", w.kind, text)
			}
			return w.kind
		}
	}
	return errors.New(text)
}

// versionMismatch reports whether the engine was exchanged below a client that had settled on an API version.
func versionMismatch(err error) bool {
	return err != nil && strings.Contains(err.Error(), "client version") &&
		(strings.Contains(err.Error(), "too new") || strings.Contains(err.Error(), "too old"))
}

// outOfSequence reports whether somebody else changed an object between our looking and our changing it.
func outOfSequence(err error) bool { return err != nil && strings.Contains(err.Error(), "out of sequence") }
