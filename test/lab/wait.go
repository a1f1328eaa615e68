package lab

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Wait repeats check at this pace until it returns nil. When ctx ends first, the error says what check has seen last.
func Wait(ctx context.Context, pace time.Duration, check func(context.Context) error) error {
	return wait(ctx, pace, pace, check)
}

// How often Await looks: often at first, for what is measured, and then no more often than a person would.
const (
	lookFirst = 100 * time.Millisecond
	lookMax   = time.Second
)

// busy is how many times as long as on an idle machine something may take: tests run beside each other, and beside
// whatever else the machine does. What must be fast is measured, by make bench or by a test that is alone.
const busy = 3

// Await is Wait for a test: it fails the test when check has not succeeded within limit on an idle machine, shows what
// was seen last, and returns how long it took.
func Await(t testing.TB, limit time.Duration, check func(context.Context) error) (took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit*busy)
	defer cancel()
	began := time.Now()
	err := wait(ctx, lookFirst, lookMax, check)
	took = time.Since(began).Round(100 * time.Millisecond)
	if err != nil {
		t.Fatalf("after %v: %v", took, err)
	}
	return took
}

// final is an error after which a check need not be repeated.
type final struct{ error }

// wait is Wait with a pace that slows down from first to most.
func wait(ctx context.Context, first, most time.Duration, check func(context.Context) error) error {
	var last error
	for pace := first; ; pace = min(pace*5/4, most) {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if over := (final{}); errors.As(err, &over) {
			return over.error
		}
		if ctx.Err() == nil || last == nil {
			last = err // what a check says that was cut off in the middle tells nothing
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}
