package status

// Why a board is not in the swarm, one sentence each, for people who wonder.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/timing"
)

const whyUnheard = "It has not been heard from for %s: is it on, and on this network?"

const whyManagerSilent = "It is a worker, and its manager does not answer."

const whyUnicast = "It is reached by address only: its announcements do not arrive, for multicast does not work between the two."

// whyOut says why a board that was met is not in the swarm of this one.
func (r render) whyOut(p policy.Peer, clock *float64) string {
	c := p.Claim
	switch silent := r.Now.Sub(p.Met); {
	case silent >= r.patience(c):
		return fmt.Sprintf(whyUnheard, minutes(silent))
	case c.Serial == r.View.Serial:
		return "It has the serial of this board: give one of them another with serial in pi-agent.toml."
	case clock != nil && *clock <= -policy.ClocksApart.Seconds() && !c.State.InSwarm():
		return fmt.Sprintf("Its clock is %s, too far for certificates to be valid: connect it to the internet, or give it a time server.",
			picture.Offset(*clock))
	case c.Trouble != "":
		return Sentence(c.Trouble)
	case c.Waits != "":
		return Sentence(c.Waits)
	case c.State.InSwarm():
		return r.whyElsewhere(c)
	case c.State == peer.Waiting:
		return "It is not ready yet: journalctl -u pi-agent on it tells what it waits for."
	case c.State == peer.Electing, c.State == peer.Founding:
		return "It is starting a swarm."
	}
	if r.Source == "" && r.Swarm != nil {
		return "It is ready and waits for a manager to answer."
	}
	return "It is ready and about to join."
}

// patience is how long the board that makes this claim may be silent.
func (r render) patience(c peer.Claim) time.Duration {
	if c.State.InSwarm() {
		return r.View.Timing.Rival
	}
	return r.View.Timing.Out
}

// minutes is a time span that changes in words once a minute: a picture in which nothing happens stays the same meanwhile.
func minutes(d time.Duration) string { return picture.Ago(d.Round(time.Minute)) }

// whyElsewhere says why a board that says that it is in a swarm is not listed by that of this one.
func (r render) whyElsewhere(c peer.Claim) string {
	own := r.Swarm != nil && r.Swarm.ID != "" && c.Swarm == r.Swarm.ID
	id := ""
	if c.Swarm != "" {
		id = " " + c.Swarm
	}
	switch {
	case own:
		return "It says that it is in this swarm, which does not list it: docker swarm leave on it lets it join anew."
	case c.State == peer.Manager: // what becomes of two swarms is said where they have met
		return fmt.Sprintf("It manages another swarm%s.", id)
	case r.Keyless:
		return fmt.Sprintf("It is in another swarm%s. If that one is lost, \"sudo pi-agent pair\" on it and on the manager of this one lets it move.", id)
	}
	return fmt.Sprintf("It is in another swarm%s. It moves to this one when that one is lost, or when no manager of that one has answered for "+
		"%.0f minutes.", id, r.View.Timing.Orphaned.Minutes())
}

// unicast reports whether p answers, and its announcements have never arrived although there was time, nor do they now.
func (r render) unicast(p policy.Peer) bool {
	heard := slices.ContainsFunc(r.Hints, func(h discovery.Hint) bool { return h.Claim.Serial == p.Claim.Serial })
	return !heard && !r.View.Network.Listening.IsZero() && r.Now.Sub(p.Met) < r.View.Timing.Rival && r.Now.Sub(p.Able) >= r.View.Timing.UnheardMax
}

// whySilent says why a board that announces itself does not answer.
func (r render) whySilent(c roster.Contact) string {
	switch {
	case c.Err == nil && r.Now.Sub(c.Since) < 2*r.View.Timing.Hello:
		return "It has just announced itself."
	case c.Err == nil && c.Hint.State.InSwarm():
		return r.whyElsewhere(c.Hint)
	case c.Err == nil: // and a worker asks nobody but managers
		return "It announces itself and says nothing more: sudo pi-agent doctor on it looks for the cause."
	case errors.Is(c.Err, enroll.ErrNotPeer), errors.Is(c.Err, enroll.ErrRefused):
		return fmt.Sprintf("It is not trusted, or does not trust this board: %s.", reasonOf(c.Err))
	}
	return fmt.Sprintf("It announces itself, and its port %d does not answer: look for a firewall on it, or for an access point "+
		"that keeps its clients apart (%s).", peer.Port, reasonOf(c.Err))
}

// reasonOf is an error without the address at its beginning.
func reasonOf(err error) string {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "hello to "); ok {
		if _, reason, ok := strings.Cut(rest, ": "); ok {
			return reason
		}
	}
	return text
}

// whyDown says why a node is down. newer is the board with its serial that is in the swarm, nil when there is none.
func whyDown(b picture.Board, newer *picture.Board, now time.Time, t timing.Timing) string {
	silent := now.Sub(b.Heard)
	switch {
	case newer != nil && newer.Node != b.Node:
		return fmt.Sprintf("It is what %s was before its card was flashed anew: docker node rm %s on a manager.", newer.Name, b.Node)
	case b.Heard.IsZero():
		return "Nobody has heard of it: is it on, and on this network?"
	case silent < t.ManagerSilent:
		return "Its agent was heard of less than a minute ago: if it is on, sudo pi-agent doctor on it looks for the cause."
	}
	return fmt.Sprintf("Its agent has not been heard from for %s either: is it on, and on this network?", minutes(silent))
}

// whyNotOurs says why a board that was heard does not count.
func whyNotOurs(n discovery.Neighbour, cluster, tag string) string {
	switch {
	case n.Cluster != cluster:
		return fmt.Sprintf("It belongs to cluster %q.", n.Cluster)
	case n.Tag == "":
		return "It has no cluster key, and this cluster has one."
	case tag == "":
		return "It has a cluster key, and this cluster has none."
	}
	return "It has another cluster key."
}

// unfollowed reports whether that board is a manager that this one, which no other manager answers, does not follow, and says
// what helps.
func (r render) unfollowed(serial peer.Serial) (why string, is bool) {
	is = r.Source == "" && slices.ContainsFunc(r.View.Boards.Unfollowed, func(u policy.Unfollowed) bool { return u.Serial == serial })
	return Sentence(policy.AnotherKey(serial.Name(), r.View.Serial.Name())), is
}
