package control_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/control"
)

func TestStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", control.StatusName)
	if _, err := control.Status(t.Context(), path); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("without an agent: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	answer, failure := `{"version":1}`, error(nil)
	go func() {
		ended <- control.Show(ctx, path, func(context.Context) ([]byte, error) { return []byte(answer), failure })
	}()
	for { // until it listens, which takes a moment
		if _, err := control.Status(ctx, path); !errors.Is(err, control.ErrNotRunning) {
			break
		}
	}
	if got, err := control.Status(ctx, path); string(got) != answer || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket is not for everybody: %v, %v", info.Mode(), err)
	}
	if _, err := control.Pair(ctx, path); err == nil {
		t.Error("the socket for everybody takes commands")
	}
	failure = errors.New("no ink")
	if _, err := control.Status(ctx, path); err == nil || !strings.Contains(err.Error(), "no ink") {
		t.Errorf("a failure: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := control.Status(t.Context(), path); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}
