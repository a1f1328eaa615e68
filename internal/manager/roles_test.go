package manager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// nodesOf makes nodes of a line such as "1L 2M 3m 4w": serial digits and what the node is. L leads, M manages, m is a
// manager that was not reached for a moment, g one that is gone, d one that is being made a worker, c one that is being
// made a manager, G one that went before it was, w is a worker, x one that is down, p one without tasks, u one that is
// not labelled.
func nodesOf(line string, now time.Time) (nodes []swarm.Node, missing map[string]time.Time) {
	missing = map[string]time.Time{}
	for i, word := range strings.Fields(line) {
		serial, kind := word[:len(word)-1], rune(word[len(word)-1])
		n := swarm.Node{
			ID: fmt.Sprintf("n%02d", i), Hostname: "pi" + serial, Leader: kind == 'L',
			Manager: strings.ContainsRune("LMmgcG", kind), Votes: strings.ContainsRune("LMmgd", kind),
			Reachable: strings.ContainsRune("LMd", kind), Ready: !strings.ContainsRune("mgGx",
				kind), Availability: map[bool]swarm.Availability{true: swarm.Paused, false: swarm.Available}[kind == 'p'],
			Labels: map[string]string{LabelSerial: serial},
		}
		if kind == 'u' {
			n.Labels = nil
		}
		if n.Manager && !n.Reachable {
			missing[n.ID] = now.Add(-time.Second)
			if kind == 'g' {
				missing[n.ID] = now.Add(-patient.ManagerGone)
			}
		}
		nodes = append(nodes, n)
	}
	return nodes, missing
}

func TestRoles(t *testing.T) {
	tests := []struct {
		name  string
		want  int
		nodes string
		step  string // "+" and the name of who is made a manager, "-" of who is made a worker
	}{
		{"alone", 3, "1L", ""},
		{"two boards have one manager", 3, "1L 2w", ""},
		{"the lowest serials", 3, "1L 4w 2w 3w", "+pi2"},
		{"derived serials last", 3, "1L m2w f3w fw", "+pif"},
		{"the third follows at once", 3, "1L 2M 3w", "+pi3"},
		{"wait for the second", 3, "1L 2c 3w", ""},
		{"the second went too early", 3, "1L 2G 3w 4w", "+pi3"},
		{"the second went too early, without another", 3, "1L 2G 3w", ""},
		{"the third went too early", 3, "1L 2M 3G", "-pi2"},
		{"enough", 3, "1L 2M 3M 4w 5w", ""},
		{"a lower serial comes later", 3, "2L 3M 4M 1w", ""},
		{"one", 1, "1L 2w 3w", ""},
		{"one of two that a person made", 1, "1L 2M", "-pi2"},
		{"three to one", 1, "2L 1M 3M", "-pi3"},
		{"three to one, the last step", 1, "2L 1M", "-pi1"},
		{"three to one, one step at a time", 1, "2L 1M 3d", ""},
		{"five to three", 3, "1L 2M 3M 4M 5M", "-pi5"},
		{"five", 5, "1L 2M 3M 4w 5w", "+pi4"},
		{"four boards have three managers", 5, "1L 2M 3M 4w", ""},
		{"workers that are down, drained or not known", 3, "1L 2x 3p 4u 5w", ""},
		{"a reboot is nothing", 3, "1L 2m 3M 4w", ""},
		{"gone, and replaced", 3, "1g 2L 3M 4w", "-pi1"},
		{"gone, the replacement", 3, "1x 2L 3M 4w", "+pi4"},
		{"gone, without a replacement", 3, "1L 2g 3M 4x", ""},
		{"gone, and back as a worker", 3, "1w 2L 3M 4M", ""},
		{"two of five are gone", 5, "1L 2g 3M 4g 5M", "-pi4"},
		{"two of five are gone, then", 5, "1L 2g 3M 4x 5M", "-pi2"},
		{"a new card in the board of a manager", 3, "1L 2m 3M 2w", "-pi2"},
		{"no third", 3, "1L 2M 3x", "-pi2"},
		{"one is wanted, one of three is away", 1, "1L 2m 3M", ""},
		{"one is wanted, one of three is gone", 1, "1L 2g 3M", "-pi2"},
		{"auto, two", -1, "1L 2w", ""},
		{"auto, three", -1, "1L 2w 3w", "+pi2"},
		{"auto, three of which one is down", -1, "1L 2M 3M 4x", ""},
		{"auto, six", -1, "1L 2M 3M 4w 5w 6w", ""},
		{"auto, seven", -1, "1L 2M 3M 4w 5w 6w 7w", "+pi4"},
		{"auto, a new card is no seventh board", -1, "1L 2M 3M 4w 5w 6w 6x", ""},
	}
	now := time.Now()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes, missing := nodesOf(tt.nodes, now)
			c := roles{Timing: patient, Now: now, Want: tt.want, Nodes: nodes, Missing: missing,
				Calm: now.Add(-patient.RolesCalm)}
			if got := shown(c.next()); got != tt.step {
				t.Errorf("%s: %q (%s), want %q", tt.nodes, got, c.next().Reason, tt.step)
			}
		})
	}
}

// A board that comes back with a new card replaces nobody but what it was.
func TestRolesTellsOfNewCards(t *testing.T) {
	const fewer = "when one more of the 3 managers fails, the swarm cannot be changed any more"
	now := time.Now()
	for line, want := range map[string]string{
		"2m 1L 3M 2w": "pi2, a manager, is back with a new card: the node that it was is made a worker, and the new one " +
			"will take its place",
		"4m 1L 3M 4w 2w": "pi4, a manager, is back with a new card: the node that it was is made a worker, and pi2 will take its place",
		"4m 1L 3M 2M 4w": "pi4, a manager, is back with a new card: the node that it was is made a worker",
		"2m 1L 3M 2p":    "pi2, a manager, is back with a new card, and there is no board to take its place: " + fewer,
		"2g 1L 3M 4w":    "pi2, a manager, is gone and will be replaced by pi4: it is made a worker",
		"4g 1L 3M 2M":    "pi4, a manager, is gone: it is made a worker",
		"2g 1L 3M":       "pi2, a manager, is gone, and there is no board to take its place: " + fewer,
	} {
		nodes, missing := nodesOf(line, now)
		if got := (roles{Now: now, Want: 3, Nodes: nodes, Missing: missing}).next().Reason; got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	nodes, missing := nodesOf("2m 1L 3M 2w", now)
	nodes[0].Hostname = "kitchen"
	const want = "kitchen, a manager, is back with a new card, as pi2: the node that it was is made a worker, and the " +
		"new one will take its place"
	if got := (roles{Now: now, Want: 3, Nodes: nodes, Missing: missing}).next().Reason; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A board that the settings deny is made no manager while it waits to be removed.
func TestDeniedIsNoCandidate(t *testing.T) {
	nodes, _ := nodesOf("1L 2w 3w 4w", time.Now())
	all := roles{Timing: patient, Nodes: nodes}.candidates()
	if rest := (roles{Timing: patient, Nodes: nodes,
		Deny: []peer.Serial{serialOf(all[0])}}).candidates(); len(rest) != 2 || rest[0].ID != all[1].ID {
		t.Errorf("of %v are left %v", all, rest)
	}
}

// shown is a step in short.
func shown(s change) string {
	switch {
	case s.Node.ID == "":
		return ""
	case s.Manager:
		return "+" + s.Node.Hostname
	}
	return "-" + s.Node.Hostname
}

func TestRolesTakesItsTime(t *testing.T) {
	now := time.Now()
	var m rolesMemory
	at := func(d time.Duration, want int, keys bool, line string) string {
		nodes, _ := nodesOf(line, now)
		return shown(m.notice(roles{Timing: patient, Now: now.Add(d), Want: want, Nodes: nodes, Keys: keys}).next())
	}
	got := []string{
		at(0, 3, false, "1L 4w 5w"),
		at(patient.RolesCalm-time.Second, 3, false, "1L 4w 5w 3w"), // another board came
		at(patient.RolesCalm, 3, false, "1L 4w 5w 3w"),
		at(2*patient.RolesCalm-time.Second, 3, false, "1L 4w 5w 3w"),
		at(time.Hour, 3, false, "1L 4m 5w 3M"),
		at(time.Hour+patient.ManagerGone-time.Second, 3, false, "1L 4m 5w 3M"),
		at(time.Hour+patient.ManagerGone, 3, false, "1L 4M 5w 3M"), // it was back in time
		at(2*time.Hour, 3, false, "1L 4m 5w 3M"),
		at(2*time.Hour+patient.ManagerGone, 3, false, "1L 4m 5w 3M"),
		at(2*time.Hour+patient.ManagerGone+time.Second, 3, false, "1L 4x 5w 3M"), // the others have yet to hear of it
		at(2*time.Hour+patient.ManagerGone+time.Second+patient.RolesCalm, 3, false, "1L 4x 5w 3M"),
		at(3*time.Hour, 3, true, "1L 4w 5w 3w"), // their keys are not known
	}
	if diff := cmp.Diff([]string{"", "", "", "+pi3", "", "", "", "", "-pi4", "", "+pi5", ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever the swarm looks like and whichever boards come and go, no step leaves less than a majority reachable, not
// even before the board that is made a manager has come up; none demotes the leader; and when all boards are there, few
// steps lead to an odd number of managers that stays.
func TestRolesKeepsTheMajority(t *testing.T) {
	for seed := range uint64(20000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := time.Now()
		c := roles{Timing: patient, Now: now, Want: []int{-1, 1, 3, 5, 7}[rnd.IntN(5)], Missing: map[string]time.Time{}}
		for i := range 1 + rnd.IntN(9) {
			n := swarm.Node{
				ID: fmt.Sprint(i), Ready: true, Availability: []swarm.Availability{swarm.Paused,
					swarm.Available}[min(rnd.IntN(8), 1)], Manager: rnd.IntN(2) == 0,
				Labels: map[string]string{LabelSerial: fmt.Sprint(rnd.IntN(12))},
			}
			n.Votes, n.Reachable = n.Manager, n.Manager
			c.Nodes = append(c.Nodes, n)
		}
		c.Nodes[0].Manager, c.Nodes[0].Votes, c.Nodes[0].Reachable, c.Nodes[0].Leader = true, true, true, true
		steps := 0
		for turn := range 60 {
			calm := turn >= 30 // everybody is there from now on
			c.Now = c.Now.Add(time.Minute)
			i := rnd.IntN(len(c.Nodes))
			switch n := &c.Nodes[i]; {
			case calm:
				for i := range c.Nodes {
					c.Nodes[i].Ready, c.Nodes[i].Reachable = true, c.Nodes[i].Manager
					delete(c.Missing, c.Nodes[i].ID)
				}
			case n.Leader:
			case n.Ready && majority(c.Nodes, i): // a board goes, as long as the swarm survives that
				n.Ready, n.Reachable = false, false
				if n.Manager {
					c.Missing[n.ID] = c.Now
				}
			case !n.Ready:
				n.Ready, n.Reachable = true, n.Manager
				delete(c.Missing, n.ID)
			}
			s := c.next()
			if s.Node.ID == "" {
				continue
			}
			steps++
			i = slices.IndexFunc(c.Nodes, func(n swarm.Node) bool { return n.ID == s.Node.ID })
			n := &c.Nodes[i]
			if n.Leader || n.Manager == s.Manager {
				t.Fatalf("seed %d: step %s with %+v", seed, s.Reason, c.Nodes)
			}
			several := managersOf(c.Nodes) > 1
			n.Manager, n.Votes, n.Reachable = s.Manager, s.Manager, false
			if !majority(c.Nodes, -1) && several { // of one manager the second cannot but be needed
				t.Fatalf("seed %d: no majority after %s: %+v", seed, s.Reason, c.Nodes)
			}
			n.Reachable = n.Manager
			if calm && steps > 60 {
				t.Fatalf("seed %d: no end", seed)
			}
		}
		if m := managersOf(c.Nodes); m%2 == 0 || m > max(1, c.target()) || c.next().Node.ID != "" {
			t.Fatalf("seed %d: %d managers at the end, at most %d are wanted, %s: %+v", seed, m, c.target(), c.next().Reason,
				c.Nodes)
		}
	}
}

func managersOf(nodes []swarm.Node) (n int) {
	for _, node := range nodes {
		if node.Manager {
			n++
		}
	}
	return n
}

// majority reports whether most managers are reachable without the node at the index.
func majority(nodes []swarm.Node, without int) bool {
	reachable := 0
	for i, n := range nodes {
		if n.Manager && n.Reachable && i != without {
			reachable++
		}
	}
	return 2*reachable > managersOf(nodes)
}
