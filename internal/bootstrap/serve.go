package bootstrap

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
)

// Place is where this board stands. It may be called from any goroutine.
func (l *Loop) Place() peer.Place {
	if p := l.place.Load(); p != nil {
		return *p
	}
	return peer.Place{}
}

// serve does what a manager owes its swarm, when its newest look at the nodes is old enough.
func (l *Loop) serve(ctx context.Context) {
	if l.tooSoon() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	nodes, err := l.Engine.Nodes(ctx)
	if err != nil {
		l.place.Store(nil)
		l.listed.Store(nil)
		l.Log.Debug("The engine does not list the nodes.", zap.Error(err))
		return
	}
	l.nodesAt = time.Now()
	l.list(nodes)
	peers, _ := l.roster.Peers(l.Serial)
	s := manager.Snapshot{Now: l.nodesAt, Self: l.engine.NodeID, Nodes: nodes, Peers: peers}
	l.manager.Reconcile(ctx, s)
	l.place.Store(&peer.Place{Swarm: l.engine.SwarmID, Leads: s.Leads(), Calm: l.manager.Calm()})
}

// tooSoon is how long it is until this manager may look at its nodes again; zero when it may.
func (l *Loop) tooSoon() time.Duration { return max(0, statusAge-time.Since(l.nodesAt)) }

// newManager is this board as a manager.
func newManager(o Options) *manager.Manager {
	m := manager.Options{
		Serial: o.Serial, Model: o.Model, Key: o.Key, Wanted: o.Wanted, Deny: o.Deny,
		Engine: o.Engine, Log: o.Log, Timing: o.Timing,
	}
	if o.Notify != nil {
		m.Show = o.Notify.Status
	}
	if o.Pins != nil {
		m.Pins = pins{o.Pins}
	}
	return manager.New(m)
}

// pins are Pins that are asked about boards that were met.
type pins struct{ Pins }

// Admitted implements manager.Pins.
func (p pins) Admitted(b policy.Peer) bool { return p.Pins.Admitted(verified(b)) }
