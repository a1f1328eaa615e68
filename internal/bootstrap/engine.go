package bootstrap

import (
	"context"
	"fmt"
	"time"

	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// engine is the Docker Engine of this board, and what it has said last.
type engine struct {
	swarm.Engine
	status  swarm.Status
	err     error        // why status is not known; nil when it is
	at      time.Time    // when it was last asked; zero makes the next turn ask
	seen    bool         // it has answered since the agent started
	pending timing.Since // see policy.Engine
	started time.Time    // the agent
}

// newEngine has not answered: an agent that is stopped before it does must not take it for one in no swarm, and forget
// its own.
func newEngine(e swarm.Engine, started time.Time) *engine {
	return &engine{Engine: e, started: started, err: fmt.Errorf("%w: it was not asked yet", swarm.ErrUnreachable)}
}

// look asks it, unless its newest answer is younger than that.
func (e *engine) look(ctx context.Context, age time.Duration) {
	if time.Since(e.at) < age {
		return
	}
	status, err := e.Status(ctx)
	if ctx.Err() != nil {
		return
	}
	e.at, e.err = time.Now(), err
	if err != nil {
		return
	}
	e.status, e.seen = status, true
	e.pending.Note(status.State == swarm.Pending || status.State == swarm.Failed, e.at)
}

// expire makes the next turn ask it.
func (e *engine) expire() { e.at = time.Time{} }

// known is what it says, nothing where it does not answer.
func (e *engine) known() swarm.Status {
	if e.err != nil {
		return swarm.Status{}
	}
	return e.status
}

// manages reports whether it answers, and manages a swarm.
func (e *engine) manages() bool {
	return e.err == nil && e.status.State == swarm.Active && e.status.Manager
}

// restarts reports whether an engine that does not answer may still be starting, or restart, and is in its swarm then.
func (e *engine) restarts(now time.Time, patience time.Duration) bool {
	return e.err != nil && (e.seen || now.Sub(e.started) < patience)
}
