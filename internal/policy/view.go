package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// View is all that a decision depends on.
type View struct {
	Timing   timing.Timing
	Now      time.Time
	Serial   peer.Serial
	Settings Settings
	Clock    Clock
	Network  Network
	Engine   Engine
	Swarm    Swarm
	Boards   Boards
	Election Election

	Member peer.Membership // where this board is, or was when its engine cannot say
	Reset  bool            // a person has taken this board out of its swarm
}

// Settings are what a person has asked for.
type Settings struct {
	Err        error         // what is wrong with them; nil when they can be followed
	Expect     int           // boards expected, 0 when not known
	Settle     time.Duration // how long no new board may appear before the election
	Unanswered []netip.Addr  // addresses that they name and at which nobody has answered
}

// Clock is what is known of this board's clock. A Pi has none that runs without power.
type Clock struct {
	Says  time.Time // the time of day
	Built time.Time // when this program was made; an earlier clock is wrong. Zero takes every clock
	Asked time.Time // when it was last asked to be put forward; zero when it never was
}

// Network is this board's place in it.
type Network struct {
	Link      error        // why there is no usable address; nil when there is one
	Linked    time.Time    // since when there is
	Address   error        // why there is none that a swarm can rely on; nil when there is one
	Lost      time.Time    // since when this board has not had the address by which its swarm knows it; zero when it has
	Own       []netip.Addr // addresses of this board at which others know it
	Listening time.Time    // since when this board has heard its own announcements; zero when it does not
	// it has an address at which it has not yet asked by multicast who is there, and heard the answers
	Inquiring bool
}

// Engine is the Docker Engine of this board.
type Engine struct {
	swarm.Status
	Err         error     // why Status is not known; nil when it is
	Taken       error     // who has a port that a node needs, and what to do; nil when nobody has
	Pending     time.Time // since when it has been joining; zero when it is not
	ForgetAsked time.Time // when root was asked to let it forget its swarm; zero when it was not
}

// Swarm is what is known of the swarm that this board is in, and of those that it left.
type Swarm struct {
	Contents  peer.Contents // of the one that this board manages
	Answered  time.Time     // when a manager of this worker's swarm last answered; at first the start of the agent
	Disowned  time.Time     // since when its managers say that they are not; zero when one does not
	Duplicate time.Time     // since when two boards have been one node; zero when none are
	Left      time.Time     // when this board last left a swarm to move; zero when it has not
}

// Boards are the others.
type Boards struct {
	Peers      []Peer       // verified, other than this board, in order of serial
	SameSerial []Peer       // verified boards with this board's serial
	Newest     time.Time    // when the newest of Peers was first met; zero without any
	Unfollowed []Unfollowed // that answer as managers, and that this board does not follow, in order of address
	Unreached  []Unreached  // of this cluster, heard, and not answering, in order of serial
}

// Election is how far this board has come with founding a swarm.
type Election struct {
	Proposed   time.Time // since when this board has been electing; zero when it is not
	Unasked    int       // boards heard of, and not asked since then
	Unanswered int       // boards of this cluster that are heard and have not answered since then
}

// fresh reports whether p has answered lately.
func (v View) fresh(p Peer) bool { return v.Now.Sub(p.Met) < v.Timing.Fresh }

// answers reports whether p has answered lately enough for what it says of its swarm to count.
func (v View) answers(p Peer) bool { return v.Now.Sub(p.Met) < v.Timing.Rival }

// Rival reports whether p answers and manages another swarm than this board does.
func (v View) Rival(p Peer) bool {
	return v.Engine.SwarmID != "" && p.Claim.State == peer.Manager && p.Claim.Swarm != "" &&
		p.Claim.Swarm != v.Engine.SwarmID &&
		v.answers(p)
}

// foreign reports whether p answers and manages a swarm that this board, a worker, is not in.
func (v View) foreign(p Peer) bool {
	return p.Claim.State == peer.Manager && p.Claim.Swarm != "" && v.answers(p) &&
		(p.Claim.Unlisted || v.Member.Swarm != "" && p.Claim.Swarm != v.Member.Swarm)
}

// Leads reports whether p answers and manages the swarm that this board, a worker, is in. Without a majority it does
// not know which one that is.
func (v View) Leads(p Peer) bool {
	if v.asleep(p) {
		return true
	}
	if p.Claim.State != peer.Manager || p.Claim.Unlisted || !v.answers(p) {
		return false
	}
	if p.Claim.Swarm == "" || v.Member.Swarm == "" {
		return p.IsManagerOf(v.Engine.Status)
	}
	return p.Claim.Swarm == v.Member.Swarm
}

// asleep reports whether the agent of p answers and says that it manages the swarm of this board, a worker, and its
// engine does not. It may take hours to be put right, and is no reason to leave.
func (v View) asleep(p Peer) bool {
	return p.Claim.Manages != "" && p.Claim.Manages == v.Member.Swarm && v.answers(p)
}

// Disowned reports whether all managers that the engine knows answer, and say that they do not manage its swarm any
// more. The time is that of the oldest of these answers.
func (v View) Disowned() (oldest time.Time, ok bool) {
	for _, m := range v.Engine.Managers {
		i := slices.IndexFunc(v.Boards.Peers, func(p Peer) bool {
			return p.At(m.Addr()) && v.answers(p) && (v.elsewhere(p) || v.foreign(p))
		})
		if i < 0 {
			return time.Time{}, false
		}
		if met := v.Boards.Peers[i].Met; oldest.IsZero() || met.Before(oldest) {
			oldest = met
		}
	}
	return oldest, !oldest.IsZero()
}

// LongDisowned reports whether Disowned has held for Timing.Disowned: one answer is not enough, for a manager learns of
// a new node a moment after the node.
func (v View) LongDisowned() bool {
	oldest, ok := v.Disowned()
	return ok && !v.Swarm.Disowned.IsZero() && oldest.Sub(v.Swarm.Disowned) >= v.Timing.Disowned
}

// DuplicateNode finds two boards that say that they are the same node of a swarm, this one among them or not.
func (v View) DuplicateNode() (a, b peer.Serial, ok bool) {
	boards := map[string]peer.Serial{v.Engine.NodeID: v.Serial}
	for _, p := range v.Boards.Peers {
		node := p.Claim.Node
		if node == "" || !v.answers(p) {
			continue
		}
		if other, ok := boards[node]; ok {
			return min(other, p.Claim.Serial), max(other, p.Claim.Serial), true
		}
		boards[node] = p.Claim.Serial
	}
	return "", "", false
}

// Told reports whether a person should hear of a board that is not reached: it is on, and had time to answer.
func (v View) Told(u Unreached) bool { return u.Shut && v.Now.Sub(u.Since) >= v.Timing.Reach }

// unreached finds p among the boards that are not reached.
func (v View) unreached(p Peer) (Unreached, bool) {
	i := slices.IndexFunc(v.Boards.Unreached, func(u Unreached) bool { return u.Serial == p.Claim.Serial })
	if i < 0 {
		return Unreached{}, false
	}
	return v.Boards.Unreached[i], true
}

// boards is how many boards have answered lately, this one included.
func (v View) boards() int {
	n := 1
	for _, p := range v.Boards.Peers {
		if v.fresh(p) {
			n++
		}
	}
	return n
}

// reached is how many boards are there and can be asked, this one included.
func (v View) reached() int {
	n := 1
	for _, p := range v.Boards.Peers {
		if _, shut := v.unreached(p); v.fresh(p) && !shut {
			n++
		}
	}
	return n
}

// enough reports whether as many boards are reached as a person has said that there are.
func (v View) enough() bool { return v.Settings.Expect > 0 && v.reached() >= v.Settings.Expect }

// ahead is how far the clock of p is ahead of this board's, negative when it is behind.
func (v View) ahead(p Peer) time.Duration {
	if p.Claim.Clock.IsZero() {
		return 0
	}
	return p.Claim.Clock.Add(v.Now.Sub(p.Met)).Sub(v.Clock.Says)
}
