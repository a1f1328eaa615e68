package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The labels that a manager puts on every node, for docker node ls --filter and for placement constraints.
const (
	LabelSerial = "pi.serial"
	LabelModel  = "pi.model"
)

// nodeList is the list of nodes as the manager saw it last. It is kept for its differences only: what is said of a node
// is said when it changes.
type nodeList struct {
	at    time.Time
	ready map[string]bool // by node id
	calm  time.Time       // when one last came or went
}

// Place is where this board stands. It may be called from any goroutine.
func (l *Loop) Place() peer.Place {
	if p := l.place.Load(); p != nil {
		return *p
	}
	return peer.Place{}
}

// Ticket implements enroll.Host: a manager hands out the token for workers to a board that is in no swarm.
func (l *Loop) Ticket(ctx context.Context, p enroll.Peer) (enroll.Ticket, error) {
	base := l.ticket.Load()
	if base == nil {
		return enroll.Ticket{}, errors.New("this board is not a manager now")
	}
	if p.Claim.State.InSwarm() && !p.Claim.Moving {
		return enroll.Ticket{}, fmt.Errorf("%s is in a swarm already", p.Claim.Serial.Name())
	}
	if l.Pins != nil {
		if err := l.Pins.Admit(p); err != nil {
			return enroll.Ticket{}, err
		}
	}
	token, err := l.Engine.WorkerToken(ctx)
	if err != nil {
		return enroll.Ticket{}, fmt.Errorf("the engine gives no join token: %w", err)
	}
	managers := []netip.AddrPort{netip.AddrPortFrom(base.advertise, swarm.Port)}
	for _, m := range base.managers {
		if m.Addr() != base.advertise {
			managers = append(managers, m)
		}
	}
	log := l.Log.Info
	if p.Claim.Moving {
		log = l.Log.Debug // it asks again when it has left its swarm
	}
	log(fmt.Sprintf("Letting %s join as a worker.", p.Claim.Serial.Name()), zap.Stringer("addr", p.Addr.Addr()), zap.Stringer("key", p.Key))
	return enroll.Ticket{Token: token, Managers: managers}, nil
}

// serve does what a manager owes its nodes: it tells their comings and goings, and labels them.
func (l *Loop) serve(ctx context.Context) {
	if now := time.Now(); now.Sub(l.nodes.at) < statusAge {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	nodes, err := l.Engine.Nodes(ctx)
	if err != nil {
		l.place.Store(nil)
		l.listed.Store(nil)
		l.Log.Debug("The list of nodes is not to be had.", zap.Error(err))
		return
	}
	l.nodes.at = time.Now()
	l.list(nodes)
	l.tellNodes(nodes)
	l.expel(ctx, nodes)
	leads := slices.ContainsFunc(nodes, func(n swarm.Node) bool { return n.Leader && n.ID == l.status.NodeID })
	l.place.Store(&peer.Place{Swarm: l.status.SwarmID, Leads: leads, Calm: l.nodes.calm})
	l.share(nodes)
	peers, _ := l.contacts.peers(l.Serial)
	for _, n := range nodes {
		labels := l.labels(n, peers)
		if missing(n.Labels, labels) {
			if err := l.Engine.Label(ctx, n.ID, labels); err != nil {
				l.Log.Debug("A node could not be labelled; the next turn tries again.", zap.String("node", n.ID), zap.Error(err))
			}
		}
	}
	if leads {
		l.seat(ctx, nodes)
	}
	l.govern(ctx, nodes)
}

// labels are those that the node should have; none when it is not known which board it is. A board is taken for a node
// only when it says so itself and has spoken from that node's address.
func (l *Loop) labels(n swarm.Node, peers []Peer) map[string]string {
	if n.ID == l.status.NodeID {
		return l.withKey(boardLabels(l.Serial, l.Model), l.Key)
	}
	for _, p := range peers {
		if p.Claim.Node == n.ID && p.isAt(n.Addr) {
			labels := boardLabels(p.Claim.Serial, p.Claim.Model)
			if l.Pins != nil && l.Pins.Admitted(p.Peer) {
				return l.withKey(labels, p.Key)
			}
			return labels
		}
	}
	return nil
}

func boardLabels(s peer.Serial, model string) map[string]string {
	return map[string]string{LabelSerial: string(s), LabelModel: model}
}

func missing(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return true
		}
	}
	return false
}

// tellNodes says which nodes came, went down, came back and left since the last list. A node that is on its way in is not
// ready yet, has no name before it is there, and is no news.
func (l *Loop) tellNodes(nodes []swarm.Node) {
	before := l.nodes.ready
	l.nodes.ready = make(map[string]bool, len(nodes))
	up := 0
	for _, n := range nodes {
		if _, known := before[n.ID]; n.Ready || known || before == nil && n.Hostname != "" {
			l.nodes.ready[n.ID] = n.Ready
		}
		if n.Ready {
			up++
		}
	}
	if !maps.Equal(before, l.nodes.ready) {
		l.nodes.calm = l.nodes.at
	}
	count := fmt.Sprintf("%d of %d nodes ready", up, len(nodes))
	l.Notify.Status(fmt.Sprintf("Manager of the swarm, %s", count))
	info, warn := l.Log.Info, l.Log.Warn
	if slices.ContainsFunc(nodes, func(n swarm.Node) bool { return n.Leader && n.ID != l.status.NodeID }) {
		info, warn = l.Log.Debug, l.Log.Debug // it is told where the managers are led, and not three times
	}
	for _, n := range nodes {
		was, known := before[n.ID]
		ready, tells := l.nodes.ready[n.ID]
		switch {
		case !tells, n.ID == l.status.NodeID, known && was == ready:
		case ready && !known:
			info(fmt.Sprintf("%s is in the swarm: %s.", n.Hostname, count), zap.String("node", n.ID), zap.Stringer("addr", n.Addr))
		case ready:
			info(fmt.Sprintf("%s is back: %s.", n.Hostname, count), zap.String("node", n.ID), zap.Stringer("addr", n.Addr))
		default:
			warn(fmt.Sprintf("%s is down: %s.", n.Hostname, count), zap.String("node", n.ID), zap.Stringer("addr", n.Addr))
		}
	}
	for id := range before {
		if _, still := l.nodes.ready[id]; !still {
			info(fmt.Sprintf("A node was taken off the list: %s.", count), zap.String("node", id))
		}
	}
}
