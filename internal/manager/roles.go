package manager

// How many managers the swarm has, and which boards they are. roles.next decides, on the manager that leads the others,
// about one step at a time; keepRoles carries it out.
//
// With m managers a majority of m/2+1 must be reachable, or nothing can be changed any more. A manager that is gone is
// therefore made a worker first, and its replacement a manager second: of three with one gone, two are left, and both
// must stay whichever way it goes. Demoted first, those two are all that is needed until the new one is there. Promoted
// first there would be four, and three of them needed: the two and a board that has only just begun to vote.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// roles is what the choice of managers depends on.
type roles struct {
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

// change is one change of a role. Its zero value is none.
type change struct {
	Node    swarm.Node // whose role changes; no ID when there is nothing to do
	Manager bool       // the role it gets
	Reason  string     // a sentence without its end; also without a change when a person should know
}

// next decides what to do now. It never leaves less than a majority of managers reachable.
func (r roles) next() change {
	var managers, gone []swarm.Node
	away := false // a manager is missing, and may be back soon
	for _, n := range r.Nodes {
		switch {
		case n.Votes && !n.Manager:
			return change{} // it is still being made a worker
		case !n.Manager:
			continue
		case !n.Votes && (!n.Ready || r.isGone(n)):
			continue // it went before it had become a manager: it has no vote that is missed, and another may take its place
		case !n.Reachable && r.isGone(n):
			gone = append(gone, n)
		case !n.Reachable:
			away = true // or still being made a manager
		}
		managers = append(managers, n)
	}
	slices.SortFunc(gone, bySerial)
	slices.SortFunc(managers, bySerial)
	candidates := r.candidates()
	many, even := len(managers) > r.target(), len(managers)%2 == 0
	switch {
	case len(gone) > 0 && (many || even || len(gone) > 1):
		last := gone[len(gone)-1]
		return change{last, false, fmt.Sprintf("%s: %s made a worker", r.fate(last), r.subject(last))}
	case len(gone) > 0 && len(candidates) > 0:
		return change{gone[0], false, r.replaced(gone[0], candidates[0])}
	case len(gone) > 0:
		return change{Reason: fmt.Sprintf("%s, and there is no board to take its place: when one more of "+
			"the %d managers fails, the swarm cannot be changed any more", r.fate(gone[0]), len(managers))}
	case away:
		return change{}
	case many:
		return r.dismiss(managers, fmt.Sprintf("%d managers are wanted, and there are %d", r.target(), len(managers)))
	case len(managers) < r.target() && (even && len(candidates) > 0 || len(candidates) > 1):
		// An even number is to be left at once, unless a manager that is gone was dropped: then nothing is lost by waiting
		// until the workers have heard of it. One that is promoted while it believes in that manager stumbles over it.
		if !even && r.Now.Sub(r.Calm) < r.Timing.RolesCalm || r.Now.Sub(r.Dropped) < r.Timing.RolesCalm {
			return change{}
		}
		return change{candidates[0], true,
			fmt.Sprintf("Making %s a manager, for %d are wanted", nameOf(candidates[0]), r.target())}
	case even && len(candidates) == 0:
		return r.dismiss(managers, fmt.Sprintf("There is no board to be a manager beside these %d, and %d are better",
			len(managers), len(managers)-1))
	}
	return change{}
}

// fate says what has become of a manager that is gone. A board with a new card is still there, most often by the same
// name.
func (r roles) fate(n swarm.Node) string {
	back, ok := successor(n, r.Nodes)
	switch {
	case !ok:
		return nameOf(n) + ", a manager, is gone"
	case nameOf(back) == nameOf(n):
		return nameOf(n) + ", a manager, is back with a new card"
	}
	return fmt.Sprintf("%s, a manager, is back with a new card, as %s", nameOf(n), nameOf(back))
}

// subject is how a sentence goes on about the node that is gone.
func (r roles) subject(n swarm.Node) string {
	if _, ok := successor(n, r.Nodes); ok {
		return "the node that it was is"
	}
	return "it is"
}

// replaced says who takes the place of a manager that is gone: the same board, where it has a new card and is the next
// one.
func (r roles) replaced(n, by swarm.Node) string {
	back, ok := successor(n, r.Nodes)
	switch {
	case !ok:
		return fmt.Sprintf("%s and will be replaced by %s: it is made a worker", r.fate(n), nameOf(by))
	case back.ID == by.ID:
		return r.fate(n) + ": the node that it was is made a worker, and the new one will take its place"
	}
	return fmt.Sprintf("%s: the node that it was is made a worker, and %s will take its place", r.fate(n), nameOf(by))
}

// dismiss makes the highest serial of the managers, all of which are reachable, a worker; never the one that leads.
func (r roles) dismiss(managers []swarm.Node, why string) change {
	for _, n := range slices.Backward(managers) {
		if !n.Leader {
			return change{n, false, fmt.Sprintf("%s: %s is made a worker", why, nameOf(n))}
		}
	}
	return change{}
}

// isGone reports whether an unreachable manager will not be waited for any longer: after a while, and at once when its
// board has come back as another node, with a new card.
func (r roles) isGone(n swarm.Node) bool {
	since, missing := r.Missing[n.ID]
	_, back := successor(n, r.Nodes)
	return missing && r.Now.Sub(since) >= r.Timing.ManagerGone || back
}

// candidates are the boards that could become managers now, the next one first.
func (r roles) candidates() (all []swarm.Node) {
	for _, n := range r.Nodes {
		known := serialOf(n) != "" && (!r.Keys || n.Labels[labelKey] != "")
		welcome := !slices.Contains(r.Deny, serialOf(n)) && n.Labels[LabelLeaving] == ""
		if known && welcome && !n.Manager && n.Ready && n.Availability == swarm.Available {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, bySerial)
	return all
}

// target is how many managers there should be: never more than boards, and never an even number.
func (r roles) target() int {
	boards := map[string]bool{}
	for _, n := range r.Nodes {
		boards[cmp.Or(string(serialOf(n)), n.ID)] = true
	}
	want := r.Want
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

// rolesMemory is what a manager has noticed from one list of nodes to the next. A manager that starts anew is patient
// anew.
type rolesMemory struct {
	missing    map[string]time.Time
	candidates []string // ids
	calm       time.Time
	voters     map[string]bool // by id
	dropped    time.Time
	said       string // the newest reason
}

// notice takes in a list of nodes and returns what the choice of managers depends on.
func (m *rolesMemory) notice(r roles) roles {
	missing := map[string]time.Time{}
	for _, n := range r.Nodes {
		if since, known := m.missing[n.ID]; n.Manager && !n.Reachable {
			missing[n.ID] = r.Now
			if known {
				missing[n.ID] = since
			}
		}
	}
	var ids []string
	for _, n := range r.candidates() {
		ids = append(ids, n.ID)
	}
	if !slices.Equal(ids, m.candidates) {
		m.candidates, m.calm = ids, r.Now
	}
	voters := map[string]bool{}
	for _, n := range r.Nodes {
		voters[n.ID] = n.Votes
	}
	for id, voted := range m.voters {
		if voted && !voters[id] {
			m.dropped = r.Now
		}
	}
	m.missing, m.voters = missing, voters
	r.Missing, r.Calm, r.Dropped = missing, m.calm, m.dropped
	return r
}

// keepRoles keeps as many managers as are wanted. Only the one that leads the others acts.
func (m *Manager) keepRoles(ctx context.Context, s Snapshot) {
	if m.Wanted == 0 {
		return
	}
	r := m.roles.notice(roles{
		Timing: m.Timing, Now: s.Now, Want: m.Wanted, Nodes: s.Nodes, Keys: m.Pins != nil, Deny: m.Deny,
	})
	if !s.Leads() {
		m.roles.said = ""
		return
	}
	c := r.next()
	news := c.Reason != m.roles.said
	m.roles.said = c.Reason
	switch {
	case c.Node.ID == "" && c.Reason == "":
		return
	case c.Node.ID == "":
		if news {
			m.Log.Warn(c.Reason + ".")
		}
		return
	case news:
		m.Log.Info(c.Reason+".", zap.String("node", c.Node.ID))
	}
	if err := m.Engine.SetRole(ctx, c.Node.ID, c.Manager); err != nil && ctx.Err() == nil {
		m.Log.Debug("The role of a node could not be changed; the next turn tries again.",
			zap.String("node", c.Node.ID), zap.Error(err))
	}
}
