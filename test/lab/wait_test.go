package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	gone := errors.New("the engine has ended")
	for name, tt := range map[string]struct {
		limit time.Duration
		check func(ctx context.Context, look int) error
		is    error  // what the error is, nil for none
		says  string // and what it says
	}{
		"at once": {time.Minute, func(context.Context, int) error { return nil }, nil, ""},
		"at the third look": {time.Minute, func(_ context.Context, look int) error {
			if look < 3 {
				return fmt.Errorf("look %d", look)
			}
			return nil
		}, nil, ""},
		"never": {20 * time.Millisecond, func(context.Context, int) error {
			return errors.New("2 of 3 are ready")
		}, context.DeadlineExceeded, "2 of 3 are ready"},
		"cut off in the middle": {20 * time.Millisecond, func(ctx context.Context, look int) error {
			if look == 1 {
				return errors.New("2 of 3 are ready")
			}
			<-ctx.Done()
			return errors.New("signal: killed")
		}, context.DeadlineExceeded, "2 of 3 are ready"},
		"cut off at the first look": {20 * time.Millisecond, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return errors.New("signal: killed")
		}, context.DeadlineExceeded, "signal: killed"},
		"no longer possible": {time.Minute, func(context.Context, int) error {
			return fmt.Errorf("pi1: %w", final{gone})
		}, gone, "the engine has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			defer cancel()
			look := 0
			err := Wait(ctx, time.Millisecond, func(ctx context.Context) error {
				look++
				return tt.check(ctx, look)
			})
			if !errors.Is(err, tt.is) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("it says %v, want %v with %q", err, tt.is, tt.says)
			}
		})
	}
}
