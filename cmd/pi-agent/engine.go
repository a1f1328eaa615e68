package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/state"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// engineRoot is where the engine of this board keeps its data, found without asking it: prepare works before it runs.
func engineRoot(ctx context.Context) string {
	kept, err := state.Read(stateDir)
	if err != nil { // no agent has run here yet, or who asks may not read it
		kept = state.State{}
	}
	return dockerd.OnThisBoard(ctx).Root(kept.EngineRoot)
}

// ownEngine is the engine of this board for the agent. It keeps where the engine has its data, for prepare, and knows
// more of one that does not answer: an engine that is in a swarm does not even start with a setting that excludes swarm
// mode.
type ownEngine struct {
	swarm.Engine
	setup    func(context.Context) dockerd.Setup
	remember func(root string) error
	log      *zap.Logger

	mu     sync.Mutex
	asked  bool
	status swarm.Status
	err    error
	silent time.Time // since when it has not answered; zero when it does
	looked time.Time // when its setup was last read
	bad    *swarm.Setting
}

// How long an engine may be silent before its settings are read, and how often that is.
const (
	engineSilent = 10 * time.Second
	engineLook   = 30 * time.Second
)

// Status implements swarm.Engine.
func (e *ownEngine) Status(ctx context.Context) (swarm.Status, error) {
	s, err := e.Engine.Status(ctx)
	if err == nil && s.Root != "" {
		if err := e.remember(s.Root); err != nil {
			e.log.Debug("Where the engine keeps its data is not written down.", zap.Error(err))
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() == nil {
		err = e.because(ctx, err, time.Now())
		e.status, e.err, e.asked = s, err, true
	}
	return s, err
}

// Last is what Status has returned last.
func (e *ownEngine) Last() (swarm.Status, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.asked {
		return swarm.Status{}, swarm.ErrUnreachable
	}
	return e.status, e.err
}

// because is err, or the setting for which the engine does not answer. The caller must hold e.mu.
func (e *ownEngine) because(ctx context.Context, err error, now time.Time) error {
	if !errors.Is(err, swarm.ErrUnreachable) {
		e.silent, e.looked, e.bad = time.Time{}, time.Time{}, nil
		return err
	}
	if e.silent.IsZero() {
		e.silent = now
	}
	if now.Sub(e.silent) >= engineSilent && now.Sub(e.looked) >= engineLook {
		e.looked, e.bad = now, nil
		for _, s := range swarm.Hindering(e.setup(ctx)) {
			if s.Excludes {
				e.bad = s
				break
			}
		}
	}
	if e.bad != nil {
		return e.bad
	}
	return err
}
