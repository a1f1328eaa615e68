// Package policy says what a board should do in view of what it observes. Decide is a pure function of a View: it asks
// nobody, keeps nothing and looks at no clock. Nothing that matters to it lives in memory only, so that a power cut at
// any instruction is answered by deciding again.
package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Kind is what to do.
type Kind int

// The kinds of action.
const (
	Wait            Kind = iota // for what Reason says
	Serve                       // be a manager: admit boards, label nodes
	Stay                        // be a worker
	Join                        // join the swarm of Target
	Propose                     // tell every known board that this one wants to found the swarm, and ask it
	Init                        // found the swarm
	Abandon                     // end a join that does not get anywhere
	Move                        // leave the swarm for that of Target
	LeaveCopy                   // leave a swarm of which another board is the member
	SetClock                    // put the clock forward to that of Target
	ForceNewCluster             // bring the swarm back that this board alone manages
)

// String implements fmt.Stringer.
func (k Kind) String() string {
	return [...]string{"wait", "serve", "stay", "join", "propose", "init", "abandon", "move", "leave copy", "set clock",
		"force new cluster"}[k]
}

// Action is a decision with its reason.
type Action struct {
	Kind    Kind
	Rule    string    // the name of the rule that has decided, see Rules
	Reason  say.Text  // one plain sentence without its full stop; it changes only when there is news
	Trouble bool      // a person should look
	Lost    bool      // the swarm that this worker is in is lost
	Between bool      // the trouble is between this board and others, who see it themselves
	Until   time.Time // when waiting ends by itself; zero when it does not
	Target  Peer      // the manager to join, or to move to
}

// Peer is another board that has proven to be of this cluster, with its newest answer.
type Peer struct {
	Claim  peer.Claim
	Key    peer.Fingerprint // of its node key
	Addr   netip.AddrPort   // where its channel is reached, the best of Addrs
	Addrs  []netip.Addr     // where it was met
	Met    time.Time        // its newest answer
	Able   time.Time        // since when it could have founded a swarm, or since it was first met
	Barred error            // why this board may not move to a swarm of its; nil when it may
}

// At reports whether the board was met at addr.
func (p Peer) At(addr netip.Addr) bool {
	return p.Addr.Addr() == addr || slices.Contains(p.Addrs, addr)
}

// IsManagerOf reports whether p was met at the address of one of the managers that the engine knows.
func (p Peer) IsManagerOf(s swarm.Status) bool {
	return slices.ContainsFunc(s.Managers, func(m netip.AddrPort) bool { return p.At(m.Addr()) })
}

// name is what people call the board.
func (p Peer) name() string { return p.Claim.Serial.Name() }

// Unreached is a board of this cluster that is heard, and does not answer when it is asked: its port is shut, or the
// network lets multicast through and no connection. There may be a swarm behind it.
type Unreached struct {
	Serial peer.Serial
	State  peer.State // as it announces
	Addr   netip.Addr // where it was asked
	Since  time.Time  // when it was first heard, or last answered
	Ends   time.Time  // when it no longer counts, unless it is heard again
	Shut   bool       // it was asked in vain, and was heard after that: it is on
}

func wait(reason say.Text) Action { return Action{Kind: Wait, Reason: reason} }

func waitUntil(t time.Time, reason say.Text) Action {
	return Action{Kind: Wait, Reason: reason, Until: t}
}

func trouble(reason say.Text) Action { return Action{Kind: Wait, Reason: reason, Trouble: true} }

func between(reason say.Text) Action {
	return Action{Kind: Wait, Reason: reason, Trouble: true, Between: true}
}
