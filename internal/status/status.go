// Package status makes the picture of the cluster that people are shown, from values: what the loop of this board has
// seen and decided in its newest turn, whom it hears and meets, and what its engine or a manager tells of the swarm.
package status

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Facts are what this board knows, all of one moment.
type Facts struct {
	Now     time.Time
	Cluster string
	Tag     string // of the cluster key, empty without one
	Keyless bool   // there is none, and trust is on first use
	View    policy.View
	Action  policy.Action // decided in view of it
	Claim   peer.Claim    // what the board says about itself
	Link    address.Link  // valid when View.Network.Link is nil

	Hints      []discovery.Hint // announcements of boards of this cluster
	SelfHeard  time.Time        // when this board last heard its own
	Neighbours []discovery.Neighbour
	Unmet      []roster.Contact // where boards announce themselves that do not answer
}

// Name is what people call this board, also where it has no hostname that it can have.
func (f Facts) Name() string { return cmp.Or(f.Claim.Hostname, f.Claim.Serial.Name()) }

// begin is the picture before anybody was asked about the swarm.
func begin(f Facts) picture.Picture {
	p := picture.Picture{Version: picture.Version, Drawn: f.Now, Cluster: f.Cluster, Keyed: f.Tag != "",
		Self: f.View.Serial}
	p.Doing, p.Needs = f.Action.Reason.Dot(), f.Action.Trouble
	if w := f.Claim.Waits; !w.IsZero() && f.Action.Lost && f.Action.Kind == policy.Move { // it is refused
		p.Doing, p.Needs = say.Join(" ", p.Doing, w.Dot()), true
	}
	engine := f.engine()
	if f.Claim.State.InSwarm() || engine.NodeID != "" {
		p.Swarm = &picture.Swarm{
			ID: f.Claim.Swarm, Node: cmp.Or(engine.NodeID, f.Claim.Node), Managers: len(engine.Managers), Lost: f.Action.Lost,
		}
	}
	return p
}

// engine is what the engine has said, nothing where it did not answer.
func (f Facts) engine() swarm.Status {
	if f.View.Engine.Err != nil {
		return swarm.Status{}
	}
	return f.View.Engine.Status
}

// leaderless reports whether a swarm is not shown because its managers have no majority, and not for want of an answer.
func leaderless(s swarm.Status, err error) bool {
	return s.Manager && (errors.Is(err, swarm.ErrNoLeader) || s.Fault() == swarm.NoMajority)
}

// Addrs puts first before the others, each once. Addresses that are not valid are left out.
func Addrs(others []netip.Addr, first ...netip.Addr) (all []netip.Addr) {
	for _, a := range append(slices.Clone(first), others...) {
		if a.IsValid() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}
