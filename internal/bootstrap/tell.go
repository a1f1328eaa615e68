package bootstrap

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// tell logs a decision that is news, and shows it to the service manager.
func (l *Loop) tell(v policy.View, a policy.Action) {
	l.tellNews(v, a)
	l.tellNodes(v, a)
}

func (l *Loop) tellNews(v policy.View, a policy.Action) {
	if a.Kind == l.told.Kind && a.Reason == l.told.Reason {
		return
	}
	known := l.told.Reason == a.Reason // Propose and Init have one reason
	l.Notify.Status(a.Reason.En)
	if !l.engine.seen && errors.Is(v.Engine.Err, swarm.ErrUnreachable) && v.Now.Sub(l.started) < l.Timing.EngineStart {
		return // an engine that starts after the agent, as at every boot, is no news
	}
	l.told = a
	if known {
		return
	}
	var fields []zap.Field
	if !a.Until.IsZero() {
		fields = append(fields, zap.Duration("at_most", a.Until.Sub(v.Now).Round(time.Second)))
	}
	log := l.Log.Info
	if a.Trouble {
		log = l.Log.Warn
	}
	log(a.Reason.Dot().En, fields...)
	l.Log.Debug("That was decided by a rule.", zap.String("rule", a.Rule), zap.String("sentence", a.Reason.Code))
}

// tellNodes shows the service manager how many nodes are ready, as this worker's manager has told lately.
func (l *Loop) tellNodes(v policy.View, a policy.Action) {
	if a.Kind != policy.Stay || a.Trouble {
		return
	}
	for _, p := range v.Boards.Peers {
		if c := p.Claim; c.Nodes > 0 && p.IsManagerOf(v.Engine.Status) && v.Now.Sub(p.Met) < l.Timing.ManagerSilent {
			l.Notify.Status(fmt.Sprintf("Worker in the swarm of %s, %d of %d nodes ready", c.Serial.Name(), c.Ready, c.Nodes))
			return
		}
	}
}
