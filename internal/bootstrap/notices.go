package bootstrap

import (
	"fmt"
	"strings"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// notices are what a board tells once about others, when it has stayed the same for a while.
type notices struct {
	*host
	reach  timing.Notice // how the boards outside a swarm are reached
	strays timing.Notice // boards that would join if a person let them
	near   timing.Notice // other clusters
	ids    status.ToldIDs
	others int // clusters that are heard
}

// tell logs what is news in a view.
func (n *notices) tell(v policy.View) {
	lost := "" // in a swarm nobody asks all the others
	if !n.Claim().State.InSwarm() {
		lost = n.roster.MulticastLost(v.Now)
	}
	if n.reach.News(lost, v.Now, n.Timing.ReachCalm) {
		n.Log.Warn(lost)
	}
	if text := n.straying(v); n.strays.News(text, v.Now, n.Timing.ReachCalm) {
		n.Log.Warn(text)
	}
	for _, text := range n.ids.News(n.Claim(), v.Boards.Peers, v.Now, n.Timing.ReachCalm) {
		n.Log.Warn(text)
	}
	if text := n.nearby(n.others); n.near.News(text, v.Now, n.Timing.NeighboursCalm) {
		n.Log.Info(text)
	}
}

// straying names the boards that would join this manager's swarm if a person said that they may. Each says so of
// itself, in its journal; who looks into that of the manager shall find it, too.
func (n *notices) straying(v policy.View) string {
	if n.Pins == nil || v.Engine.Err != nil || v.Engine.State != swarm.Active || !v.Engine.Manager {
		return ""
	}
	var names []string
	for _, p := range v.Boards.Peers {
		c := p.Claim
		if c.State == peer.Worker && !c.Waits.IsZero() && c.Swarm != "" && c.Swarm != v.Engine.SwarmID &&
			v.Now.Sub(p.Met) < n.Timing.Rival {
			names = append(names, c.Serial.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("Still in a swarm that is lost, and without a cluster key not in that of this board: %s. \"sudo "+
		"pi-agent pair\" here and on each of them lets them join.", strings.Join(names, ", "))
}

// nearby says how many other clusters are heard. Boards are heard one after the other, and whoever wants to fill the
// journal can invent clusters, so that the number has to stay the same for a while.
func (n *notices) nearby(others int) string {
	switch {
	case others == 0 && !n.near.Told():
		return ""
	case others == 0:
		return "No other cluster is nearby any more."
	case others == 1:
		return "1 other cluster nearby, of another name or key: it is left alone."
	}
	return fmt.Sprintf("%d other clusters nearby, of other names or keys: they are left alone.", others)
}
