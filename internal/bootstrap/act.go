package bootstrap

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/policy"
)

// act carries a decision out. It reports whether something was done, so that the next turn follows at once. What fails is
// said, and decided anew after a pause.
func (l *Loop) act(ctx context.Context, a policy.Action) bool {
	switch {
	case a.Kind == policy.Serve:
		l.serve(ctx)
		return false
	case a.Kind == policy.Wait, a.Kind == policy.Stay, time.Now().Before(l.retryAt):
		return false
	case a.Kind == policy.Propose:
		if l.proposed.IsZero() {
			l.proposed = time.Now()
		}
		return false
	}
	limited, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	err := l.change(limited, a)
	l.engineAt = time.Time{}
	if ctx.Err() == nil {
		l.pause(err)
	}
	return err == nil
}

// pause makes the next change wait after one that failed.
func (l *Loop) pause(err error) {
	if err == nil {
		l.retries, l.retryAt, l.refusal = 0, time.Time{}, ""
		return
	}
	wait := min(l.Timing.RetryFirst<<min(l.retries, 10), l.Timing.RetryMax)
	l.retries++
	l.retryAt = time.Now().Add(wait)
	log := l.Log.Warn
	if l.refusal == err.Error() {
		log = l.Log.Debug
	}
	l.refusal = err.Error()
	log(fmt.Sprintf("That did not work, and will be tried again: %v.", err), zap.Duration("next_try_in", wait))
}
