package bootstrap

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// serving is this board as a manager, and the nodes of its swarm as it saw them last.
type serving struct {
	*manager.Manager
	self   peer.Serial
	engine *engine
	roster *roster.Roster
	log    *zap.Logger
	at     time.Time // when it last looked
	nodes  *nodeIDs  // nil when the newest look failed
	place  peer.Place
}

func newServing(o Options, e *engine, r *roster.Roster) *serving {
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
	return &serving{Manager: manager.New(m), self: o.Serial, engine: e, roster: r, log: o.Log}
}

// serve does what a manager owes its swarm, when its newest look at the nodes is old enough. It reports whether it did.
func (s *serving) serve(ctx context.Context) bool {
	if s.tooSoon() > 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	nodes, err := s.engine.Nodes(ctx)
	if err != nil {
		s.forget()
		s.log.Debug("The engine does not list the nodes.", zap.Error(err))
		return true
	}
	s.at = time.Now()
	s.nodes = &nodeIDs{}
	for _, n := range nodes {
		s.nodes.all = append(s.nodes.all, n.ID)
		if n.Ready {
			s.nodes.ready++
		}
	}
	peers, _ := s.roster.Peers(s.self)
	seen := manager.Snapshot{Now: s.at, Self: s.engine.status.NodeID, Nodes: nodes, Peers: peers}
	s.Reconcile(ctx, seen)
	s.place = peer.Place{Swarm: s.engine.status.SwarmID, Leads: seen.Leads(), Calm: s.Calm()}
	return true
}

// forget drops what was seen of the nodes.
func (s *serving) forget() { s.nodes, s.place = nil, peer.Place{} }

// tooSoon is how long it is until this manager may look at its nodes again; zero when it may.
func (s *serving) tooSoon() time.Duration { return max(0, statusAge-time.Since(s.at)) }

// ticket is what tickets to the swarm with this status say.
func (s *serving) ticket(e swarm.Status) *ticketBase {
	return &ticketBase{advertise: e.Addr, managers: s.InOrder(e.Managers), keys: s.Keys()}
}

// pins are Pins that are asked about boards that were met.
type pins struct{ Pins }

// Admitted implements manager.Pins.
func (p pins) Admitted(b policy.Peer) bool { return p.Pins.Admitted(verified(b)) }
