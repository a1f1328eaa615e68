package bootstrap

import (
	"fmt"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
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
	if text := n.multicastLost(v.Now); n.reach.News(text, v.Now, n.Timing.ReachCalm) {
		n.Log.Warn(text)
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

// multicastLost says which boards are met that multicast does not tell of, and what leads to them instead.
func (n *notices) multicastLost(now time.Time) string {
	_, boards, unheard := n.roster.ByAddress(now)
	if unheard == [roster.Ways]int{} || n.Claim().State.InSwarm() {
		return ""
	}
	all := 0
	var ways []string
	for way, count := range unheard {
		if all += count; count > 0 {
			ways = append(ways, fmt.Sprintf("%d %s", count, roster.Way(way)))
		}
	}
	return fmt.Sprintf("Multicast does not pass this network: %d of %d boards are met by address only, %s. Turn off client isolation "+
		"and IGMP snooping, or name one board in peers on all others.", all, boards, strings.Join(ways, ", "))
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
	return fmt.Sprintf("Still in a swarm that is lost, and without a cluster key not in that of this board: %s. \"sudo pi-agent pair\" "+
		"here and on each of them lets them join.", strings.Join(names, ", "))
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
