package control_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/control"
)

func TestYield(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := control.Server{Yield: func(_ context.Context, id string) (string, error) {
		if id == "" {
			return "", errors.New("no id")
		}
		return "gave up " + id, nil
	}}
	go func() { ended <- s.Run(ctx, path) }()
	for { // until it listens, which takes a moment
		if _, err := control.Yield(ctx, path, "x"); err == nil || !strings.Contains(err.Error(), "is it running?") {
			break
		}
	}
	if text, err := control.Yield(ctx, path, "abc"); text != "gave up abc" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := control.Yield(ctx, path, ""); err == nil || err.Error() != "no id" {
		t.Errorf("without an id: %v", err)
	}
	if _, err := control.Yield(ctx, path, strings.Repeat("a", 65)); err == nil || !strings.Contains(err.Error(), "not the id") {
		t.Errorf("a long id: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
