package status

// Why a board is not in the swarm, one sentence each, for people who wonder.

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// whyOut says why a board that was met is not in the swarm of this one.
func (r render) whyOut(p policy.Peer, clock *float64) say.Text {
	c := p.Claim
	switch silent := r.Now.Sub(p.Met); {
	case silent >= r.patience(c):
		return say.Unheard.With(minutes(silent))
	case c.Serial == r.View.Serial:
		return say.OurSerial.With()
	case clock != nil && *clock <= -policy.ClocksApart.Seconds() && !c.State.InSwarm():
		return say.ItsClockTooFar.With(say.Offset(*clock))
	case !c.Trouble.IsZero():
		return c.Trouble.Dot()
	case !c.Waits.IsZero():
		return c.Waits.Dot()
	case c.State.InSwarm():
		return r.whyElsewhere(c)
	case c.State == peer.Waiting:
		return say.NotReady.With()
	case c.State == peer.Electing, c.State == peer.Founding:
		return say.Founding.With()
	}
	if r.Source == "" && r.Swarm != nil {
		return say.ReadyWaits.With()
	}
	return say.ReadyJoins.With()
}

// patience is how long the board that makes this claim may be silent.
func (r render) patience(c peer.Claim) time.Duration {
	if c.State.InSwarm() {
		return r.View.Timing.Rival
	}
	return r.View.Timing.Out
}

// minutes is a time span that changes in words once a minute: a picture in which nothing happens stays the same
// meanwhile.
func minutes(d time.Duration) say.Text { return say.Ago(d.Round(time.Minute)) }

// whyElsewhere says why a board that says that it is in a swarm is not listed by that of this one.
func (r render) whyElsewhere(c peer.Claim) say.Text {
	own := r.Swarm != nil && r.Swarm.ID != "" && c.Swarm == r.Swarm.ID
	id := ""
	if c.Swarm != "" {
		id = " " + c.Swarm
	}
	switch {
	case own:
		return say.SaysItIsIn.With()
	case c.State == peer.Manager: // what becomes of two swarms is said where they have met
		return say.ManagesAnother.With(id)
	case r.Keyless:
		return say.InAnotherKeyless.With(id)
	}
	return say.InAnother.With(id, r.View.Timing.Orphaned.Minutes())
}

// unicast reports whether p answers, and its announcements have never arrived although there was time, nor do they now.
func (r render) unicast(p policy.Peer) bool {
	heard := slices.ContainsFunc(r.Hints, func(h discovery.Hint) bool { return h.Claim.Serial == p.Claim.Serial })
	return !heard && !r.View.Network.Listening.IsZero() && r.Now.Sub(p.Met) < r.View.Timing.Rival &&
		r.Now.Sub(p.Able) >= r.View.Timing.UnheardMax
}

// whySilent says why a board that announces itself does not answer.
func (r render) whySilent(c roster.Contact) say.Text {
	switch {
	case c.Err == nil && r.Now.Sub(c.Since) < 2*r.View.Timing.Hello:
		return say.JustAnnounced.With()
	case c.Err == nil && c.Hint.State.InSwarm():
		return r.whyElsewhere(c.Hint)
	case c.Err == nil: // and a worker asks nobody but managers
		return say.OnlyAnnounced.With()
	case errors.Is(c.Err, enroll.ErrNotPeer), errors.Is(c.Err, enroll.ErrRefused):
		return say.NotTrusted.With(reasonOf(c.Err))
	}
	return say.ItsPortSilent.With(peer.Port, reasonOf(c.Err))
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
func whyDown(b picture.Board, newer *picture.Board, now time.Time, t timing.Timing) say.Text {
	silent := now.Sub(b.Heard)
	switch {
	case newer != nil && newer.Node != b.Node:
		return say.OldCard.With(newer.Name, b.Node)
	case b.Heard.IsZero():
		return say.NeverHeard.With()
	case silent < t.ManagerSilent:
		return say.DownJustHeard.With()
	}
	return say.DownUnheard.With(minutes(silent))
}

// whyNotOurs says why a board that was heard does not count.
func whyNotOurs(n discovery.Neighbour, cluster, tag string) say.Text {
	switch {
	case n.Cluster != cluster:
		return say.OtherCluster.With(n.Cluster)
	case n.Tag == "":
		return say.ItHasNoKey.With()
	case tag == "":
		return say.ItHasAKey.With()
	}
	return say.ItHasAnotherKey.With()
}

// unfollowed reports whether that board is a manager that this one, which no other manager answers, does not follow,
// and says what helps.
func (r render) unfollowed(serial peer.Serial) (why say.Text, ok bool) {
	ok = r.Source == "" && slices.ContainsFunc(r.View.Boards.Unfollowed, func(u policy.Unfollowed) bool {
		return u.Serial == serial
	})
	return policy.AnotherKey(serial.Name(), r.View.Serial.Name()).Dot(), ok
}
