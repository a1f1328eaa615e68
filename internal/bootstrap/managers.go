package bootstrap

// How many managers the swarm has, and which boards they are. council.next decides, on the manager that leads the others,
// about one step at a time; govern carries it out.
//
// With m managers a majority of m/2+1 must be reachable, or nothing can be changed any more. A manager that is gone is
// therefore made a worker first, and its replacement a manager second: of three with one gone, two are left, and both
// must stay whichever way it goes. Demoted first, those two are all that is needed until the new one is there. Promoted
// first there would be four, and three of them needed: the two and a board that has only just begun to vote.

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// LabelKey is the label with the fingerprint of a board's node key, where there is no cluster key: what one manager has
// verified when it let the board in, all of them know.
const LabelKey = "pi.key"

// labelLeaving is the label of a manager that is about to leave the swarm: nobody must make it a manager again meanwhile.
const labelLeaving = "pi.leaving"

// council is what the choice of managers depends on.
type council struct {
	Timing timing.Timing
	Now    time.Time
	Want   int          // managers: 1, 3, 5 or 7; negative follows the number of boards
	Nodes  []swarm.Node // of the swarm, as its leader sees them
	Keys   bool         // only boards whose node key is known may become managers
	Deny   []peer.Serial

	Missing map[string]time.Time // by node id: since when a manager has been unreachable
	Calm    time.Time            // since when the candidates have been the same
	Dropped time.Time            // when a manager last lost its vote
}

// step is one change of a role. Its zero value is none.
type step struct {
	Node    swarm.Node // whose role changes; no ID when there is nothing to do
	Manager bool       // the role it gets
	Reason  string     // a sentence without its end; also without a change when a person should know
}

// next decides what to do now. It never leaves less than a majority of managers reachable.
func (c council) next() step {
	var managers, gone []swarm.Node
	away := false // a manager is missing, and may be back soon
	for _, n := range c.Nodes {
		switch {
		case n.Votes && !n.Manager:
			return step{} // it is still being made a worker
		case !n.Manager:
			continue
		case !n.Votes && (!n.Ready || c.isGone(n)):
			continue // it went before it had become a manager: it has no vote that is missed, and another may take its place
		case !n.Reachable && c.isGone(n):
			gone = append(gone, n)
		case !n.Reachable:
			away = true // or still being made a manager
		}
		managers = append(managers, n)
	}
	slices.SortFunc(gone, bySerial)
	slices.SortFunc(managers, bySerial)
	candidates := c.candidates()
	many, even := len(managers) > c.target(), len(managers)%2 == 0
	switch {
	case len(gone) > 0 && (many || even || len(gone) > 1):
		last := gone[len(gone)-1]
		return step{last, false, fmt.Sprintf("%s: %s made a worker", c.fate(last), c.what(last))}
	case len(gone) > 0 && len(candidates) > 0:
		return step{gone[0], false, c.replaced(gone[0], candidates[0])}
	case len(gone) > 0:
		return step{Reason: fmt.Sprintf("%s, and there is no board to take its place: when one more of "+
			"the %d managers fails, the swarm cannot be changed any more", c.fate(gone[0]), len(managers))}
	case away:
		return step{}
	case many:
		return c.dismiss(managers, fmt.Sprintf("%d managers are wanted, and there are %d", c.target(), len(managers)))
	case len(managers) < c.target() && (even && len(candidates) > 0 || len(candidates) > 1):
		// An even number is to be left at once, unless a manager that is gone was dropped: then nothing is lost by waiting
		// until the workers have heard of it. One that is promoted while it believes in that manager stumbles over it.
		if !even && c.Now.Sub(c.Calm) < c.Timing.RolesCalm || c.Now.Sub(c.Dropped) < c.Timing.RolesCalm {
			return step{}
		}
		return step{candidates[0], true, fmt.Sprintf("Making %s a manager, for %d are wanted", nameOf(candidates[0]), c.target())}
	case even && len(candidates) == 0:
		return c.dismiss(managers, fmt.Sprintf("There is no board to be a manager beside these %d, and %d are better",
			len(managers), len(managers)-1))
	}
	return step{}
}

// fate says what has become of a manager that is gone. A board with a new card is still there, most often by the same name.
func (c council) fate(n swarm.Node) string {
	back, is := c.newCard(n)
	switch {
	case !is:
		return nameOf(n) + ", a manager, is gone"
	case nameOf(back) == nameOf(n):
		return nameOf(n) + ", a manager, is back with a new card"
	}
	return fmt.Sprintf("%s, a manager, is back with a new card, as %s", nameOf(n), nameOf(back))
}

// what is the node that is gone, as the beginning of a sentence goes on.
func (c council) what(n swarm.Node) string {
	if _, is := c.newCard(n); is {
		return "the node that it was is"
	}
	return "it is"
}

// replaced says who takes the place of a manager that is gone: the same board, where it has a new card and is the next one.
func (c council) replaced(n, by swarm.Node) string {
	back, is := c.newCard(n)
	switch {
	case !is:
		return fmt.Sprintf("%s and will be replaced by %s: it is made a worker", c.fate(n), nameOf(by))
	case back.ID == by.ID:
		return c.fate(n) + ": the node that it was is made a worker, and the new one will take its place"
	}
	return fmt.Sprintf("%s: the node that it was is made a worker, and %s will take its place", c.fate(n), nameOf(by))
}

// dismiss makes the highest serial of the managers, all of which are reachable, a worker; never the one that leads.
func (c council) dismiss(managers []swarm.Node, why string) step {
	for _, n := range slices.Backward(managers) {
		if !n.Leader {
			return step{n, false, fmt.Sprintf("%s: %s is made a worker", why, nameOf(n))}
		}
	}
	return step{}
}

// isGone reports whether an unreachable manager will not be waited for any longer: after a while, and at once when its
// board has come back as another node, with a new card.
func (c council) isGone(n swarm.Node) bool {
	since, missing := c.Missing[n.ID]
	_, back := c.newCard(n)
	return missing && c.Now.Sub(since) >= c.Timing.ManagerGone || back
}

// newCard is the node as which the board of n has come back.
func (c council) newCard(n swarm.Node) (swarm.Node, bool) {
	i := slices.IndexFunc(c.Nodes, func(o swarm.Node) bool {
		return o.ID != n.ID && o.Ready && !n.Ready && serialOf(o) != "" && serialOf(o) == serialOf(n)
	})
	if i < 0 {
		return swarm.Node{}, false
	}
	return c.Nodes[i], true
}

// candidates are the boards that could become managers now, the next one first.
func (c council) candidates() (all []swarm.Node) {
	for _, n := range c.Nodes {
		known := serialOf(n) != "" && (!c.Keys || n.Labels[LabelKey] != "")
		if known && !slices.Contains(c.Deny, serialOf(n)) && !n.Manager && n.Ready && n.Availability == swarm.Available && n.Labels[labelLeaving] == "" {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, bySerial)
	return all
}

// target is how many managers there should be: never more than boards, and never an even number.
func (c council) target() int {
	boards := map[string]bool{}
	for _, n := range c.Nodes {
		boards[cmp.Or(string(serialOf(n)), n.ID)] = true
	}
	want := c.Want
	if want < 0 {
		switch {
		case len(boards) >= 7:
			want = 5
		case len(boards) >= 3:
			want = 3
		default:
			want = 1
		}
	}
	most := min(want, len(boards))
	return max(1, most-(most+1)%2)
}

func serialOf(n swarm.Node) peer.Serial { return peer.Serial(n.Labels[LabelSerial]) }

// nameOf is what the person who runs docker node ls knows the board by.
func nameOf(n swarm.Node) string { return cmp.Or(n.Hostname, n.ID) }

// bySerial orders nodes by their boards' serials: lowest first, those that have none of their own later, unknown ones last.
func bySerial(a, b swarm.Node) int {
	const last = "~"
	serial := func(n swarm.Node) string { return cmp.Or(string(serialOf(n)), last) }
	return cmp.Or(strings.Compare(serial(a), serial(b)), strings.Compare(a.ID, b.ID))
}

// councilMemory is what a manager has noticed from one list of nodes to the next. A manager that starts anew is patient
// anew.
type councilMemory struct {
	missing    map[string]time.Time
	candidates []string // ids
	calm       time.Time
	voters     map[string]bool // by id
	dropped    time.Time
	said       string // the newest reason

	keys        []enroll.Fingerprint // of the managers, this board included
	unreachable []netip.Addr         // managers
}

// notice takes in a list of nodes and returns what the choice of managers depends on.
func (m *councilMemory) notice(c council) council {
	missing := map[string]time.Time{}
	for _, n := range c.Nodes {
		if since, known := m.missing[n.ID]; n.Manager && !n.Reachable {
			missing[n.ID] = c.Now
			if known {
				missing[n.ID] = since
			}
		}
	}
	var ids []string
	for _, n := range c.candidates() {
		ids = append(ids, n.ID)
	}
	if !slices.Equal(ids, m.candidates) {
		m.candidates, m.calm = ids, c.Now
	}
	voters := map[string]bool{}
	for _, n := range c.Nodes {
		voters[n.ID] = n.Votes
	}
	for id, voted := range m.voters {
		if voted && !voters[id] {
			m.dropped = c.Now
		}
	}
	m.missing, m.voters = missing, voters
	c.Missing, c.Calm, c.Dropped = missing, m.calm, m.dropped
	return c
}

// inOrder puts the managers that are not reachable last.
func (m *councilMemory) inOrder(managers []netip.AddrPort) []netip.AddrPort {
	last := func(a netip.AddrPort) bool { return slices.Contains(m.unreachable, a.Addr()) }
	var first, rest []netip.AddrPort
	for _, a := range managers {
		if last(a) {
			rest = append(rest, a)
		} else {
			first = append(first, a)
		}
	}
	return append(first, rest...)
}

// govern keeps as many managers as are wanted. Only the one that leads the others acts.
func (l *Loop) govern(ctx context.Context, nodes []swarm.Node) {
	if l.Wanted == 0 {
		return
	}
	c := l.council.notice(council{Timing: l.Timing, Now: time.Now(), Want: l.Wanted, Nodes: nodes, Keys: l.Pins != nil, Deny: l.Deny})
	if !slices.ContainsFunc(nodes, func(n swarm.Node) bool { return n.Leader && n.ID == l.status.NodeID }) {
		l.council.said = ""
		return
	}
	s := c.next()
	news := s.Reason != l.council.said
	l.council.said = s.Reason
	switch {
	case s.Node.ID == "" && s.Reason == "":
		return
	case s.Node.ID == "":
		if news {
			l.Log.Warn(sentence(s.Reason))
		}
		return
	case news:
		l.Log.Info(sentence(s.Reason), zap.String("node", s.Node.ID))
	}
	if err := l.Engine.SetRole(ctx, s.Node.ID, s.Manager); err != nil && ctx.Err() == nil {
		l.Log.Debug("The role of a node could not be changed; the next turn tries again.",
			zap.String("node", s.Node.ID), zap.Error(err))
	}
}

// share passes between the managers, through the labels of the nodes, whom each of them has let in, and keeps the keys of
// all managers for those that follow one of them. Where there is a cluster key, nobody needs that.
func (l *Loop) share(nodes []swarm.Node) {
	l.council.keys, l.council.unreachable = nil, nil
	var others []enroll.Fingerprint
	boards := map[peer.Serial]enroll.Fingerprint{}
	for _, n := range nodes {
		if n.Manager && !n.Reachable {
			l.council.unreachable = append(l.council.unreachable, n.Addr)
		}
		var key enroll.Fingerprint
		if err := key.UnmarshalText([]byte(n.Labels[LabelKey])); err != nil || n.ID == l.status.NodeID {
			continue // no key is known, or it is this board's
		}
		if n.Manager {
			others = append(others, key)
		}
		serial, err := peer.ParseSerial(string(serialOf(n)))
		if _, known := boards[serial]; err == nil && (n.Ready || !known) { // of two cards of one board the one that is there
			boards[serial] = key
		}
	}
	if l.Pins != nil {
		l.Pins.Managed(others, boards)
		l.council.keys = append(others, l.Key)
	}
}

// withKey adds a board's node key to its labels, where there is no cluster key.
func (l *Loop) withKey(labels map[string]string, key enroll.Fingerprint) map[string]string {
	if l.Pins != nil {
		labels[LabelKey] = hex.EncodeToString(key[:])
	}
	return labels
}
