package swarm

// This file sorts the errors of a call to Docker under those of engine.go, by their words where their class does not
// tell. What an engine says of itself while no call fails is read in fault.go, and what its settings do to swarm mode
// in settings.go.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
)

// words are what engines say in errors that share one class, "unavailable" mostly, with others that ask for something
// else to be done. They are the same in Docker 20.10 and 28.5. The first that fits counts.
var words = []struct {
	text string // lower case
	kind error
}{
	{"already part of a swarm", ErrAlready},
	{"swarm is encrypted", ErrLocked},
	{"not a swarm manager", ErrNotManager},
	{"not part of a swarm", ErrNotMember},
	{"removing the last manager", ErrLastManager},
	{"demote the last manager", ErrLastManager},
	{"loss of quorum", ErrMajority},
	{"participating as a manager", ErrIsManager},
	{"timeout was reached before node", ErrPending},
	{"does not have a leader", ErrNoLeader},
	{"deadlineexceeded", ErrNoLeader},
	{"desc = context deadline exceeded", ErrNoLeader}, // the same, where the managers had just lost each other
	{"does not match fingerprint", ErrRefused},
	{"join token", ErrRefused},
}

// sorted puts an error of the client under one of this package's, where it is one of those.
func sorted(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w in time: %w", ErrUnreachable, context.DeadlineExceeded)
	case errors.Is(err, fs.ErrPermission):
		return ErrNoPermission
	case noConnection(err):
		return fmt.Errorf("%w: %s", ErrUnreachable, innermost(err))
	}
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	low := strings.ToLower(text)
	for _, s := range settings {
		if s.refusal != "" && strings.Contains(low, s.refusal) {
			return s
		}
	}
	for _, w := range words {
		if strings.Contains(low, w.text) {
			if w.kind == ErrRefused {
				return fmt.Errorf("%w: %s", w.kind, text)
			}
			return w.kind
		}
	}
	if cerrdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %s", ErrNoNode, text)
	}
	return errors.New(text)
}

// noConnection reports whether the engine was not there, or went away before its answer was complete.
func noConnection(err error) bool {
	var op *net.OpError
	return client.IsErrConnectionFailed(err) || errors.As(err, &op) || errors.Is(err, io.EOF) ||
		strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()) // the client's Info wraps nothing
}

// innermost is the cause of an error without what was put around it.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// versionMismatch reports whether the engine was exchanged below a client that had settled on an API version.
func versionMismatch(err error) bool {
	return err != nil && strings.Contains(err.Error(), "client version") &&
		(strings.Contains(err.Error(), "too new") || strings.Contains(err.Error(), "too old"))
}

// outOfSequence reports whether somebody else changed an object between our looking and our changing it.
func outOfSequence(err error) bool {
	return err != nil && strings.Contains(err.Error(), "out of sequence")
}
