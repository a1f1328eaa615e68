package roster

import (
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Pace says how often a board in that state asks a contact: outside a swarm everybody knows everybody, in a swarm the
// workers keep in touch with their manager and managers look after managers of other swarms. A board outside the swarm
// says hello by itself; one that only announces itself is asked by the managers, who can tell then why it is not in.
// Zero stands for a contact that need not be asked.
func Pace(c *Contact, v policy.View, self peer.State) time.Duration {
	manager := c.Hint.State == peer.Manager || c.Met && c.Answer.Claim.State == peer.Manager
	switch {
	case !self.InSwarm(), v.Member.From != "": // whose original may be among the workers
		return v.Timing.Ask
	case !v.Swarm.Disowned.IsZero() && c.ManagerOf(v.Engine.Status): // the next answers decide
		return v.Timing.Ask
	case c.Named, c.Recalled && !c.Met:
		return v.Timing.AskIn
	case self == peer.Worker && !c.Met && c.Hint.Serial == "": // an address that only the engine knows
		return v.Timing.AskIn
	case self == peer.Worker && c.ManagerOf(v.Engine.Status): // also one that has moved
		return v.Timing.AskIn
	case manager, self == peer.Manager && c.Mute(v.Now, v.Timing):
		return v.Timing.AskIn
	}
	return 0
}

// ManagerOf reports whether an engine with this status knows a manager at the address of the contact.
func (c *Contact) ManagerOf(s swarm.Status) bool {
	return policy.Peer{Addrs: []netip.Addr{c.Addr.Addr()}}.IsManagerOf(s)
}
