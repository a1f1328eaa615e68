package bootstrap

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// act does the next step of a decision. It reports whether something was tried, so that the next turn looks at once
// what has come of it, and decides anew. said is the state that the board had claimed before this turn.
func (l *Loop) act(ctx context.Context, v policy.View, a policy.Action, said peer.State) bool {
	if a.Kind != policy.Move {
		l.actor.granted = peer.Fingerprint{}
		if v.Engine.Err == nil && v.Engine.State != swarm.Inactive {
			l.actor.leaving = nil
		}
	}
	switch {
	case a.Kind == policy.Serve:
		if l.serving.serve(ctx) {
			l.show(v, a, l.Claim())
		}
		return false
	case a.Kind == policy.Wait, a.Kind == policy.Stay, a.Kind == policy.Propose, l.refused.pauses(a, time.Now()):
		return false
	case a.Kind == policy.Init && said != peer.Founding:
		// Two boards that elect at the same time have either seen each other electing by the next turn, and the higher serial
		// yields, or one has seen the other founding, and yields.
		return true
	}
	limited, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	done, err := l.actor.step(limited, a)
	l.engine.expire()
	l.ties.expire()
	if (done || err != nil) && ctx.Err() == nil {
		l.refused.note(a, err, l.Timing, l.Log)
	}
	return true
}

// refused is why the newest attempt to do something failed, and how long the next one waits.
type refused struct {
	why   error // nil when it did not fail
	until time.Time
	times int // in a row
	what  policy.Kind
	by    peer.Fingerprint // the key of the target
}

// is reports whether that is what failed.
func (r *refused) is(a policy.Action) bool {
	same := r.what == a.Kind || r.what == policy.Init && a.Kind == policy.Propose
	return r.why != nil && same && r.by == a.Target.Key
}

// pauses reports whether that failed, and must not be tried again yet.
func (r *refused) pauses(a policy.Action, now time.Time) bool { return r.is(a) && now.Before(r.until) }

// of is why that failed; nil when it did not.
func (r *refused) of(a policy.Action) error {
	if !r.is(a) {
		return nil
	}
	return r.why
}

func (r *refused) note(a policy.Action, err error, t timing.Timing, log *zap.Logger) {
	if err == nil || !r.is(a) {
		*r = refused{}
	}
	if err == nil {
		return
	}
	wait := min(t.RetryFirst<<min(r.times, 10), t.RetryMax)
	tell := log.Warn
	if r.why != nil && r.why.Error() == err.Error() {
		tell = log.Debug
	}
	*r = refused{why: err, until: time.Now().Add(wait), times: r.times + 1, what: a.Kind, by: a.Target.Key}
	tell(fmt.Sprintf("That did not work, and will be tried again: %v.", err), zap.Duration("next_try_in", wait))
}
