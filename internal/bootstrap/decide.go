// Package bootstrap makes one swarm out of many boards: Decide says what a board should do in view of what it observes,
// and Loop observes, decides and acts, again and again. Nothing that matters lives in memory only, so that a power cut at
// any instruction is answered by deciding again.
package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Kind is what to do.
type Kind int

// The kinds of action.
const (
	Wait     Kind = iota // for what Reason says
	Serve                // be a manager: admit boards, label nodes
	Stay                 // be a worker
	Join                 // join the swarm of Target
	Propose              // tell every known board that this one wants to found the swarm, and ask it
	Init                 // found the swarm
	Abandon              // end a join that does not get anywhere
	Move                 // leave the swarm for that of Target
	Shed                 // leave a swarm of which another board is the member
	SetClock             // put the clock forward to that of Target
	Revive               // bring the swarm back that this board alone manages
)

// String implements fmt.Stringer.
func (k Kind) String() string {
	return [...]string{"wait", "serve", "stay", "join", "propose", "init", "abandon", "move", "shed", "set clock", "revive"}[k]
}

// Action is a decision with its reason.
type Action struct {
	Kind    Kind
	Reason  string    // one plain sentence; it changes only when there is news
	Trouble bool      // a person should look
	Between bool      // the trouble is between this board and others, who see it themselves
	Lost    bool      // the swarm that this worker is in is lost
	Until   time.Time // when waiting ends by itself; zero when it does not
	Target  Peer      // the manager to join, or to move to
}

// Peer is another board, with its newest answer.
type Peer struct {
	enroll.Peer              // its Addr is the best of Addrs
	Addrs       []netip.Addr // where it was met
	Met         time.Time    // its newest answer
	Barred      error        // why this board may not move to a swarm of its; nil when it may
	Able        time.Time    // since when it could have founded a swarm, or since it was first met
}

// isAt reports whether the board was met at addr.
func (p Peer) isAt(addr netip.Addr) bool {
	return p.Addr.Addr() == addr || slices.Contains(p.Addrs, addr)
}

// View is all that a decision depends on.
type View struct {
	Timing   timing.Timing
	Now      time.Time
	Serial   peer.Serial
	Settings error // what is wrong with the settings; nil when they can be followed
	Taken    error // who has a port that a node needs, and what to do; nil when nobody has

	Link      error     // why there is no usable address; nil when there is one
	Linked    time.Time // since when there is
	Address   error     // why there is none that a swarm can rely on; nil when there is one
	Lost      time.Time // since when this board has not had the address by which its swarm knows it; zero when it has
	Engine    swarm.Status
	EngineErr error           // why Engine is not known; nil when it is
	Pending   time.Time       // since when the engine has been joining; zero when it is not
	Member    peer.Membership // where this board is, or was when its engine cannot say

	Contents    peer.Contents // of the swarm that this board manages
	Answered    time.Time     // when a manager of this worker's swarm last answered; at first the start of the agent
	Parted      time.Time     // since when its managers say that they are not; zero when one does not
	Left        time.Time     // when this board last left a swarm to move; zero when it has not
	Doubled     time.Time     // since when two boards have been one node; zero when none are
	ForgetAsked time.Time     // when root was asked to let the engine forget its swarm; zero when it was not

	Peers     []Peer    // verified, other than this board, in order of serial
	Twins     []Peer    // verified boards with this board's serial
	Listening time.Time // since when this board has heard its own announcements; zero when it does not
	NewBoard  time.Time // when the newest of Peers was first met; zero without any
	Proposed  time.Time // since when this board has been electing; zero when it is not
	Unasked   int       // boards heard of, and not asked since Proposed
	Inquiring bool      // it has an address at which it has not yet asked by multicast who is there, and heard the answers

	Own        []netip.Addr // addresses of this board
	Unfollowed []Unfollowed // boards that answer as managers, and that this board does not follow, in order of address

	Unreached  []Unreached // boards of this cluster that are heard and do not answer, in order of serial
	Unanswered int         // boards of this cluster that are heard and have not answered since Proposed

	Clock      time.Time // what the clock of this board says
	Built      time.Time // when this program was made; an earlier clock is wrong. Zero takes every clock
	ClockAsked time.Time // when the clock was last asked to be put forward; zero when it never was

	Reset bool // a person has taken this board out of its swarm

	Expect int           // boards expected, 0 when not known
	Settle time.Duration // how long no new board may appear before the election

	Named []netip.Addr // addresses that the settings name and at which nobody has answered
}

// Decide says what the board should do now. The rules are tried in order and the first that matches wins; every wait
// says what it waits for.
func Decide(v View) Action {
	switch {
	case v.Settings != nil:
		// It could be in the name of the cluster: better no swarm than the wrong one.
		return trouble("This board does nothing until its settings are put right: %s",
			strings.ReplaceAll(v.Settings.Error(), "\n", "; "))
	case v.EngineErr != nil:
		return engineTrouble(v.EngineErr)
	}
	if a, is := copied(v); is {
		return a
	}
	switch {
	case v.Engine.State == swarm.Inactive && v.Member.Revive.IsValid():
		return Action{Kind: Revive, Reason: reviving} // anything else would delete the swarm
	case v.Engine.State == swarm.Active && v.Engine.Manager:
		return serve(v)
	case v.Engine.State == swarm.Active:
		if a, is := orphaned(v); is {
			return a
		}
		return stay(v)
	case v.Engine.Excluded != nil:
		return engineTrouble(v.Engine.Excluded)
	case v.Engine.State == swarm.Locked:
		return trouble("The swarm is locked: give its key with docker swarm unlock")
	case v.Engine.State == swarm.Failed && expired(v.Engine.Error) && (v.Member.Node != "" || ownCertificate(v.Engine.Error)):
		return outdated(v)
	case v.Engine.State == swarm.Failed && v.Engine.NodeID == "" && v.Member.Node != "":
		return stumbled(v)
	case v.Engine.State == swarm.Failed && v.Engine.NodeID == "":
		return Action{Kind: Abandon, Reason: "The Docker Engine did not get into the swarm it was joining: trying anew"}
	case v.Engine.State == swarm.Failed:
		return trouble("The Docker Engine cannot enter its swarm: %s", v.Engine.Error)
	case v.Engine.State == swarm.Pending:
		return pending(v)
	case v.Taken != nil:
		return trouble("%v", v.Taken)
	case v.Link != nil:
		return wait("Waiting for the network: %v", v.Link)
	case refused(v.Address):
		return trouble(`There is no address that a swarm can rely on: %v; address = "interface" on every board does without`, v.Address)
	case len(v.Twins) > 0:
		return trouble("Two boards have the serial %s: this one and %s; give one of them another with serial in pi-agent.toml",
			v.Serial, v.Twins[0].Addr.Addr())
	}
	return blank(v)
}

func engineTrouble(err error) Action {
	if errors.Is(err, swarm.ErrUnreachable) {
		return wait("Waiting for the Docker Engine: %v", err)
	}
	return trouble("The Docker Engine cannot take part: %v", err)
}

// refused reports whether there will be no address before a person helps.
func refused(err error) bool {
	var refusal address.Refusal
	return errors.As(err, &refusal)
}

// lost says that the other boards cannot reach this one any more where the swarm tells them.
func lost(v View, k Kind) (Action, bool) {
	switch {
	case v.Lost.IsZero() || v.Now.Sub(v.Lost) < v.Timing.Lost:
		return Action{}, false
	case v.Engine.Addr.IsLinkLocalUnicast() && v.Address != nil:
		return Action{Kind: k, Trouble: true, Reason: fmt.Sprintf(
			"The swarm knows this board as %s, an address that it does not have: %v", v.Engine.Addr, v.Address)}, true
	case v.Engine.Addr.IsLinkLocalUnicast():
		return Action{Kind: k, Trouble: true, Reason: fmt.Sprintf(
			`The swarm knows this board as %s, an address that it no longer has: give address = "link-local" again`, v.Engine.Addr)}, true
	}
	return Action{Kind: k, Trouble: true, Reason: fmt.Sprintf("The swarm knows this board as %s, an address that it no longer has, "+
		"and the other boards cannot reach it: give it that address again, by a fixed lease in the router", v.Engine.Addr)}, true
}

func serve(v View) Action {
	if a, is := lost(v, Serve); is {
		return a
	}
	if a, is := voteless(v); is {
		return a
	}
	if a, is := rivalry(v); is {
		return a
	}
	if a, is := doubled(v, Serve); is {
		return a
	}
	return Action{Kind: Serve, Reason: "This board is a manager of swarm " + v.Engine.SwarmID}
}

func stay(v View) Action {
	if a, is := lost(v, Stay); is {
		return a
	}
	if a, is := doubled(v, Stay); is {
		return a
	}
	if a, is := forsaken(v); is {
		return a
	}
	var silent, asleep []Peer
	for _, p := range v.Peers {
		switch {
		case !managedBy(v.Engine, p):
			continue
		case v.Now.Sub(p.Met) >= v.Timing.ManagerSilent: // of several managers one is enough
			silent = append(silent, p)
			continue
		}
		if a, is := divided(v, p); is && v.own(p) {
			return a
		}
		if v.asleep(p) && p.Claim.State == peer.Waiting { // an engine that just takes its time is no news
			asleep = append(asleep, p)
			continue
		}
		if a, is := late(v, p); is {
			return a
		}
		return Action{Kind: Stay, Reason: fmt.Sprintf("This board is a worker in the swarm of %s", p.Claim.Serial.Name())}
	}
	if len(asleep) > 0 {
		return Action{Kind: Stay, Trouble: true, Reason: fmt.Sprintf("This board is a worker and the Docker Engine of its manager %s does not "+
			"answer; containers go on running", asleep[0].Claim.Serial.Name())}
	}
	if len(silent) > 0 {
		return Action{Kind: Stay, Trouble: true, Reason: fmt.Sprintf("This board is a worker and its manager %s at %s does not answer; "+
			"containers go on running", silent[0].Claim.Serial.Name(), silent[0].Addr.Addr())}
	}
	if len(v.Engine.Managers) > 0 && !v.Answered.IsZero() && v.Now.Sub(v.Answered) >= v.Timing.ManagerSilent { // none was met since the agent started
		return Action{Kind: Stay, Trouble: true, Reason: fmt.Sprintf("This board is a worker and its manager at %s does not answer; "+
			"containers go on running", v.Engine.Managers[0].Addr())}
	}
	return Action{Kind: Stay, Reason: "This board is a worker in a swarm and looks for its manager"}
}

// managedBy reports whether p was met at the address of one of the managers that the engine knows.
func managedBy(s swarm.Status, p Peer) bool {
	for _, m := range s.Managers {
		if p.isAt(m.Addr()) {
			return true
		}
	}
	return false
}

// pending tells a member that waits for its manager after a power cut, which has a node id and must never leave, from a
// first join, which has none and loses nothing by being abandoned.
func pending(v View) Action {
	if a, is := orphaned(v); is {
		return a
	}
	for _, p := range v.Peers {
		if managedBy(v.Engine, p) && v.Engine.NodeID != "" && v.Now.Sub(p.Met) < v.Timing.Rival {
			if a, is := late(v, p); is {
				return a
			}
		}
	}
	switch {
	case v.Engine.NodeID != "":
		return wait("This board is a member of a swarm and waits for its manager")
	case v.Now.Sub(v.Pending) < v.Timing.Pending:
		return waitUntil(v.Pending.Add(v.Timing.Pending), "The Docker Engine is joining a swarm")
	}
	return Action{Kind: Abandon, Reason: "The Docker Engine does not get into the swarm it is joining: trying anew"}
}

func blank(v View) Action {
	if v.Reset {
		return wait("This board was reset and stays out of any swarm until it is switched off and on, or its agent is restarted")
	}
	if end := v.Left.Add(v.Timing.Leaving); v.Now.Before(end) {
		return waitUntil(end, "The Docker Engine has left its swarm: giving it a moment")
	}
	if a, is := early(v); is {
		return a
	}
	for _, p := range v.Peers { // in order of serial: of several managers all blank boards choose the same
		if p.Claim.State == peer.Manager && v.fresh(p) {
			if v.Address != nil {
				return waitForAddress(v)
			}
			if v.shut(p) {
				continue // it asks this board, and cannot be asked to let it join
			}
			if a, is := behind(v, p); is {
				return a
			}
			return Action{Kind: Join, Target: p, Reason: fmt.Sprintf("Joining the swarm of %s", p.Claim.Serial.Name())}
		}
	}
	if slices.ContainsFunc(v.Unreached, func(u Unreached) bool { return u.State == peer.Manager && v.toTell(u) }) {
		return v.notReached(v.reached())
	}
	follows := func(p Peer) bool { return p.Claim.State == peer.Manager && v.Now.Sub(p.Met) < v.Timing.Rival }
	if len(v.Unfollowed) > 0 && !slices.ContainsFunc(v.Peers, follows) { // a swarm beside it would be a second one
		return between("%s", anotherKey(v.Unfollowed[0].Serial.Name(), v.Serial.Name()))
	}
	for _, p := range v.Peers {
		if p.Claim.State.InSwarm() && !p.Claim.Orphan && v.Now.Sub(p.Met) < v.Timing.Remembered {
			if v.wasManaged(p) {
				return wait("%s is in a swarm that this board managed with another card: it is lost with its services, secrets and configs. "+
					"A new one is made as soon as %s has noticed", p.Claim.Serial.Name(), p.Claim.Serial.Name())
			}
			return wait("%s is in a swarm: waiting for its manager to answer", p.Claim.Serial.Name())
		}
	}
	for _, p := range v.Peers {
		if p.Claim.Manages != "" && v.fresh(p) {
			return wait("%s manages a swarm: waiting for its Docker Engine", p.Claim.Serial.Name())
		}
	}
	return elect(v)
}

// elect decides among boards that are all outside any swarm.
func elect(v View) Action {
	var lower []Peer
	boards := 1
	for _, p := range v.Peers {
		first := p.Claim.State == peer.Founding ||
			p.Claim.State == peer.Electing && (v.Proposed.IsZero() || p.Claim.Serial < v.Serial)
		if first && v.Now.Sub(p.Met) < v.Timing.Founding { // also when it has just fallen silent: its engine goes on without it
			return wait("%s is starting the swarm", p.Claim.Serial.Name())
		}
		if !v.fresh(p) {
			continue
		}
		boards++
		if p.Claim.Serial < v.Serial {
			lower = append(lower, p)
		}
	}
	deaf := v.Listening.IsZero() && boards == 1 // who is met by address can elect without being heard
	switch {
	case deaf && v.Now.Sub(v.Linked) < v.Timing.Hear:
		return waitUntil(v.Linked.Add(max(v.Timing.Hear, v.Settle)), "Looking for other boards%s", v.seen(boards))
	case deaf:
		return trouble("This board does not hear its own announcements: multicast does not work on this network, or a firewall drops it; " +
			"put that right, or name another board in peers")
	case len(v.Named) > 0 && v.Now.Sub(v.Linked) < v.Timing.Named:
		return waitUntil(v.Linked.Add(v.Timing.Named), "Waiting for an answer from %s, which peers in the settings names", v.Named[0])
	}
	settled := later(v.Listening, v.NewBoard)
	if v.Expect == 0 || boards < v.Expect {
		settled = settled.Add(v.Settle)
	}
	if v.Now.Before(settled) {
		return waitUntil(settled, "Looking for other boards%s", v.seen(boards))
	}
	enough := v.Expect > 0 && v.reached() >= v.Expect // a person says that no more are needed
	shutTo := v.shutTo()
	switch {
	case len(v.Unreached) > 0 && !enough:
		return v.notReached(boards)
	case len(shutTo) > 0 && (v.Expect == 0 || v.reached()-len(shutTo) < v.Expect):
		return between("Port %d/tcp of this board is shut to %s: a swarm that it made could not be joined. Open the port here: sudo ufw allow %d/tcp",
			peer.Port, listed(shutTo), peer.Port)
	}
	if p, is := v.apart(); is {
		settled = later(settled, later(v.Linked, v.NewBoard).Add(v.Timing.ClockWait)) // turns begin then, so that the lowest has its own
		if v.Now.Before(settled) {
			return waitUntil(settled, "Waiting for a time server: the clocks of this board and of %s are %s apart",
				p.Claim.Serial.Name(), picture.Ago(v.ahead(p).Abs()))
		}
	}
	for _, p := range v.Peers {
		if end := p.Able.Add(v.Timing.Founding); v.fresh(p) && p.Claim.State == peer.Waiting && p.Claim.Serial > v.Serial && v.Now.Before(end) {
			// One line in the journal, however many there are: each was named when it was found.
			return waitUntil(end, "Waiting for the other boards to get ready, for one may be in a swarm already")
		}
	}
	for turn, p := range lower {
		end := later(settled, p.Able).Add(time.Duration(turn+1) * v.Timing.Founding)
		if v.Now.Before(end) {
			if p.Claim.State == peer.Waiting {
				return waitUntil(end, "Waiting for %s, which has the lowest serial, to get ready", p.Claim.Serial.Name())
			}
			return waitUntil(end, "Waiting for %s, which has the lowest serial, to start the swarm", p.Claim.Serial.Name())
		}
	}
	reason := fmt.Sprintf("This board has the lowest serial of the %d seen and starts the swarm", boards)
	switch {
	case len(lower) > 0:
		reason = fmt.Sprintf("%s did not start the swarm in its time: this board is next and starts it", lower[0].Claim.Serial.Name())
	case boards == 1 && len(v.Unreached) > 0:
		reason = fmt.Sprintf("This board starts the swarm alone, as expect = %d says", v.Expect)
	case boards == 1:
		reason = "No other board is seen: this board starts the swarm alone"
	}
	if v.Address != nil {
		return waitForAddress(v)
	}
	if v.Inquiring && !v.Listening.IsZero() && !enough {
		return wait("Looking for other boards%s", v.seen(boards))
	}
	if v.Proposed.IsZero() || v.Unasked > 0 || v.Unanswered > 0 && !enough {
		return Action{Kind: Propose, Reason: reason}
	}
	return Action{Kind: Init, Reason: reason}
}

// toTell reports whether a person should hear of a board that is not reached: it is on, and had time to answer.
func (v View) toTell(u Unreached) bool { return u.Shut && v.Now.Sub(u.Since) >= v.Timing.Reach }

// shut reports whether p, which was met because it asks this board, does not answer it.
func (v View) shut(p Peer) bool {
	return slices.ContainsFunc(v.Unreached, func(u Unreached) bool { return u.Serial == p.Claim.Serial && v.toTell(u) })
}

// reached is how many boards are there and can be asked, this one included.
func (v View) reached() int {
	n := 1
	for _, p := range v.Peers {
		if v.fresh(p) && !slices.ContainsFunc(v.Unreached, func(u Unreached) bool { return u.Serial == p.Claim.Serial }) {
			n++
		}
	}
	return n
}

// shutTo are the names of the boards that say that they cannot reach this one.
func (v View) shutTo() (all []string) {
	for _, p := range v.Peers {
		if v.fresh(p) && p.Claim.Unreached {
			all = append(all, p.Claim.Serial.Name())
		}
	}
	return all
}

// notReached says for which boards a blank one waits that are heard and do not answer. There may be a swarm behind them, or
// they may be about to make one.
func (v View) notReached(boards int) Action {
	var told []string
	late := false
	for _, u := range v.Unreached {
		late = late || v.Now.Sub(u.Since) >= v.Timing.Reach
		if v.toTell(u) {
			told = append(told, fmt.Sprintf("%s (%s)", u.Serial.Name(), u.Addr))
		}
	}
	if len(told) == 0 {
		u := v.Unreached[0]
		if !late { // it has just been heard, which is no news yet
			return waitUntil(u.Ends, "Looking for other boards%s", v.seen(min(boards, v.Expect-1)))
		}
		return waitUntil(u.Ends, "Waiting for an answer from %s, which has announced itself", u.Serial.Name())
	}
	return between("Heard, and not reached at port %d/tcp: %s. This board makes no swarm meanwhile, for there could be two. Open the port "+
		"there: sudo ufw allow %d/tcp; or turn off client isolation of the access point; or do without, with expect = %d here",
		peer.Port, listed(told), peer.Port, v.reached())
}

// namesMax is how many boards one sentence names.
const namesMax = 4

// listed is a list of boards in words.
func listed(all []string) string {
	if more := len(all) - namesMax; more > 0 {
		return fmt.Sprintf("%s, +%d", strings.Join(all[:namesMax], ", "), more)
	}
	return strings.Join(all, ", ")
}

func waitForAddress(v View) Action {
	return wait("Waiting for an address that a swarm can rely on: %v", v.Address)
}

func (v View) fresh(p Peer) bool { return v.Now.Sub(p.Met) < v.Timing.Fresh }

// seen is how many of the expected boards are there, this one included. Without a number to compare with it is nothing:
// each board that is found has a line of its own in the log.
func (v View) seen(boards int) string {
	if v.Expect == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of %d seen", boards, v.Expect)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func wait(format string, args ...any) Action {
	return Action{Kind: Wait, Reason: fmt.Sprintf(format, args...)}
}

func waitUntil(t time.Time, format string, args ...any) Action {
	a := wait(format, args...)
	a.Until = t
	return a
}

func trouble(format string, args ...any) Action {
	a := wait(format, args...)
	a.Trouble = true
	return a
}

func between(format string, args ...any) Action {
	a := trouble(format, args...)
	a.Between = true
	return a
}
