package bootstrap

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// An engine that starts after the agent, as at every boot, is no news until it takes long.
func TestTellLateEngine(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	boot := time.Now()
	l := &Loop{Options: Options{Notify: noNotify{}, Log: zap.New(core)}, started: boot}
	turn := func(at time.Duration, err error, a Action, lines int) {
		t.Helper()
		l.statusErr = err
		l.tell(a, boot.Add(at))
		if got := logs.TakeAll(); len(got) != lines {
			t.Errorf("after %v: %v, want %d lines", at, got, lines)
		}
	}
	silent := fmt.Errorf("%w: no such file", swarm.ErrUnreachable)
	turn(0, silent, engineTrouble(silent), 0)
	turn(engineMax-time.Second, silent, engineTrouble(silent), 0)
	turn(engineMax, silent, engineTrouble(silent), 1)
	turn(time.Hour, silent, engineTrouble(silent), 0)

	l.last = Action{}
	turn(0, swarm.ErrLiveRestore, engineTrouble(swarm.ErrLiveRestore), 1)
	l.engineSeen = true // it restarts
	turn(time.Second, silent, engineTrouble(silent), 1)
	turn(2*time.Second, nil, wait("Looking for other boards"), 1)
}
