package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/control"
)

func TestCommands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "agent.sock")
	if _, err := control.Pair(t.Context(), path); err == nil ||
		!strings.Contains(err.Error(), "systemctl restart pi-agent") {
		t.Errorf("without an agent: %v", err)
	}
	answer, failure := "Done.", error(nil)
	reached := map[string]map[string]string{"pi-bbcc02": {"port 7946/tcp": "no answer"}, "pi-bbcc05": {}}
	for _, round := range []string{"first agent", "next agent, after a crash"} {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		s := control.Server{
			Pair: func() (string, error) { return answer, failure },
			Reset: func(_ context.Context, swarmID string) (string, error) {
				if swarmID == "" {
					return "", errors.New("the only manager")
				}
				return swarmID, nil
			},
			Yield: func(_ context.Context, swarmID string) (string, error) {
				return "", errors.New("nobody takes " + swarmID)
			},
			Reached: func(context.Context) (map[string]map[string]string, error) { return reached, failure },
		}
		go func() { ended <- s.Run(ctx, path) }()
		for { // until it listens, which takes a moment
			if _, err := control.Pair(ctx, path); err == nil || !strings.Contains(err.Error(), "systemctl restart pi-agent") {
				break
			}
		}
		failure = nil
		if got, err := control.Pair(ctx, path); got != answer || err != nil {
			t.Errorf("%s: %q, %v", round, got, err)
		}
		reset, err := control.Reset(ctx, path, "x y&z")
		if reset != "x y&z" || err != nil {
			t.Errorf("%s: reset %q, %v", round, reset, err)
		}
		if _, err := control.Reset(ctx, path, ""); err == nil || err.Error() != "the only manager" {
			t.Errorf("%s: a reset that is refused: %v", round, err)
		}
		if _, err := control.Yield(ctx, path, "x y&z"); err == nil || err.Error() != "nobody takes x y&z" {
			t.Errorf("%s: yield: %v", round, err)
		}
		if got, err := control.Reached(ctx, path); !cmp.Equal(got, reached) || err != nil {
			t.Errorf("%s: reached by %v, %v", round, got, err)
		}
		failure = errors.New("this cluster has a key")
		if got, err := control.Reached(ctx, path); got != nil || err == nil || err.Error() != failure.Error() {
			t.Errorf("%s: reached by %v, error %v, want %v", round, got, err, failure)
		}
		if _, err := control.Pair(ctx, path); err == nil || err.Error() != failure.Error() {
			t.Errorf("%s: error %v, want %v", round, err, failure)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: the socket is for everybody: %v, %v", round, info.Mode(), err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", round, err)
		}
		l, err := net.Listen("unix", path) // what a crash leaves behind
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPairTimesOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := control.Pair(ctx, path); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a silent agent: %v", err)
	}
}
