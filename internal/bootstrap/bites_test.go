package bootstrap

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// broken are wrong ways to decide, one for each rule of policy.Decide.
var broken = []struct {
	rule   string
	by     string // the scenario that notices
	decide func(policy.View) policy.Action
}{
	{"follows settings that are wrong", "WrongSettings", blind(func(v *policy.View) { v.Settings.Err = nil })},
	{"a manager does nothing", "Formation",
		instead(policy.Serve, func(a policy.Action) policy.Action { return wait(a.Reason.En) })},
	{"an empty swarm does not yield", "TwoSwarms", func(v policy.View) policy.Action {
		if a := policy.Decide(v); a.Kind != policy.Move || !v.Engine.Manager {
			return a
		}
		return policy.Action{Kind: policy.Serve, Reason: say.Words("There are two swarms.")}
	}},
	{"every swarm is taken for an empty one", "TwoSwarms",
		blind(func(v *policy.View) { v.Swarm.Contents = peer.Contents{Nodes: 1} })},
	{"what a person gave up is kept", "Yield", blind(func(v *policy.View) { v.Member.Yields = false })},
	{"a worker waits for a manager that is gone for ever", "Orphans", func(v policy.View) policy.Action {
		if a := policy.Decide(v); a.Kind != policy.Move || v.Engine.Manager || v.Engine.State == swarm.Failed {
			return a
		}
		return policy.Action{Kind: policy.Stay, Reason: say.Words("This board is a worker.")}
	}},
	{"a worker gives its manager up at once", "Year", blind(func(v *policy.View) {
		if v.Engine.State == swarm.Active && !v.Engine.Manager {
			v.Swarm.Answered = time.Time{}
			v.Boards.Peers = slices.DeleteFunc(v.Boards.Peers, func(p policy.Peer) bool {
				return v.Leads(p) && v.Now.Sub(p.Met) > 2*time.Second
			})
		}
	})},
	{"a member that waits for its manager is taken for a join that fails", "Year", func(v policy.View) policy.Action {
		if v.Engine.Err == nil && v.Engine.State == swarm.Pending && v.Engine.NodeID != "" {
			return policy.Action{Kind: policy.Abandon, Reason: say.Words("It does not get in")}
		}
		return policy.Decide(v)
	}},
	{"a join that has failed is not ended", "Reset",
		instead(policy.Abandon, func(a policy.Action) policy.Action { return wait(a.Reason.En) })},
	{"a copy stays beside its original", "CopiedCard", blind(func(v *policy.View) { v.Member.From = "" })},
	{"a moved card is taken for a copy", "MovedCard", func(v policy.View) policy.Action {
		if v.Engine.Err == nil && v.Member.From != "" && v.Engine.NodeID != "" {
			return policy.Action{Kind: policy.LeaveCopy, Reason: say.Words("The card of this board was in another one")}
		}
		return policy.Decide(v)
	}},
	{"two boards that are one node for long are not named", "CopiedCard",
		blind(func(v *policy.View) { v.Swarm.Duplicate = time.Time{} })},
	{"a manager whose certificate has expired leaves", "ExpiredManager",
		blind(func(v *policy.View) { v.Member.Manager = false })},
	{"one of several managers is taken for the only one", "ExpiredManagers",
		blind(func(v *policy.View) { v.Member.Sole = v.Member.Manager })},
	{"an engine that has forgotten its swarm is taken for a blank one", "ExpiredManager",
		blind(func(v *policy.View) { v.Member.Revive = netip.Addr{} })},
	{"a worker whose certificate has expired waits", "Expired", func(v policy.View) policy.Action {
		if a := policy.Decide(v); a.Kind != policy.Move || v.Engine.State != swarm.Failed {
			return a
		}
		return wait("Its certificate has expired")
	}},
	{"a join is asked for with a clock that is behind", "Clocks", blind(func(v *policy.View) {
		for i := range v.Boards.Peers {
			v.Boards.Peers[i].Claim.Clock = time.Time{}
		}
	})},
	{"a clock from before this program is taken", "Clocks", blind(func(v *policy.View) { v.Clock.Built = time.Time{} })},
	{"nobody waits for a time server", "Clocks", blind(func(v *policy.View) {
		for i, p := range v.Boards.Peers {
			if !p.Claim.State.InSwarm() {
				v.Boards.Peers[i].Claim.Clock = time.Time{}
			}
		}
	})},
	{"boards of one serial lead", "Duplicates", blind(func(v *policy.View) { v.Boards.SameSerial = nil })},
	{"a board that was reset joins again", "Reset", blind(func(v *policy.View) { v.Reset = false })},
	{"managers are not seen", "Year",
		unseen(func(v policy.View, p policy.Peer) bool { return p.Claim.State == peer.Manager })},
	{"members of a swarm do not count", "PowerCuts",
		unseen(func(_ policy.View, p policy.Peer) bool { return p.Claim.State == peer.Worker })},
	{"lower serials do not count", "Formation",
		unseen(func(v policy.View, p policy.Peer) bool { return !p.Claim.State.InSwarm() && p.Claim.Serial < v.Serial })},
	{"who founds or wants to does not count", "CloseCalls", blind(func(v *policy.View) {
		for i, p := range v.Boards.Peers {
			if p.Claim.State == peer.Founding || p.Claim.State == peer.Electing {
				v.Boards.Peers[i].Claim.State = peer.Blank
			}
		}
	})},
	{"boards that are not ready do not count", "LowestWithoutEngine",
		unseen(func(_ policy.View, p policy.Peer) bool { return p.Claim.State == peer.Waiting })},
	{"nobody waits for boards to be found", "Formation", blind(func(v *policy.View) {
		v.Settings.Settle, v.Boards.Newest, v.Network.Listening = 0, time.Time{}, v.Network.Linked
	})},
	{"a lowest board that does nothing is waited for", "LowestWithoutEngine", blind(func(v *policy.View) {
		for i := range v.Boards.Peers {
			v.Boards.Peers[i].Able = v.Now
		}
	})},
	{"no turns: whoever can founds", "Formation", blind(func(v *policy.View) {
		for i := range v.Boards.Peers {
			v.Boards.Peers[i].Able = time.Time{}
		}
		v.Network.Listening, v.Boards.Newest = v.Network.Listening.Add(-time.Hour), v.Boards.Newest.Add(-time.Hour)
	})},
	{"it founds without asking the others first", "CloseCalls",
		instead(policy.Propose, func(a policy.Action) policy.Action { a.Kind = policy.Init; return a })},
	{"it founds before all have answered", "CloseCalls",
		blind(func(v *policy.View) { v.Election.Unasked, v.Election.Unanswered = 0, 0 })},
	{"boards that are heard and not reached do not count", "Firewall",
		blind(func(v *policy.View) { v.Boards.Unreached, v.Election.Unanswered = nil, 0 })},
	{"a manager whose engine is stopped is gone", "EngineAsleep", blind(func(v *policy.View) {
		for i, p := range v.Boards.Peers {
			if p.Claim.Manages != "" {
				v.Boards.Peers[i].Claim.Manages, v.Swarm.Answered = "", v.Now.Add(-patient.Orphaned)
			}
		}
	})},
	{"a manager that is heard and not reached is none", "FirewallLater",
		blind(func(v *policy.View) { v.Boards.Unreached, v.Election.Unanswered = nil, 0 })},
}

// brokenWorlds are wrong ways to find others.
var brokenWorlds = []struct {
	rule, by string
	change   func(*world)
}{
	{"nobody is asked where an address is new", "LateAddress", func(w *world) { w.deadEnds = true }},
}

// blind is policy.Decide for somebody who sees things as change makes them.
func blind(change func(*policy.View)) func(policy.View) policy.Action {
	return func(v policy.View) policy.Action {
		v.Boards.Peers = slices.Clone(v.Boards.Peers)
		change(&v)
		return policy.Decide(v)
	}
}

// unseen is policy.Decide without some of the other boards, as long as this one is outside a swarm.
func unseen(which func(policy.View, policy.Peer) bool) func(policy.View) policy.Action {
	return blind(func(v *policy.View) {
		if v.Engine.State == swarm.Inactive {
			v.Boards.Peers = slices.DeleteFunc(v.Boards.Peers, func(p policy.Peer) bool { return which(*v, p) })
		}
	})
}

// instead is policy.Decide with something else in the place of one kind of action.
func instead(k policy.Kind, of func(policy.Action) policy.Action) func(policy.View) policy.Action {
	return func(v policy.View) policy.Action {
		a := policy.Decide(v)
		if a.Kind == k {
			return of(a)
		}
		return a
	}
}

const biteSeeds = 1000 // schedules in which a broken rule may be noticed

// TestSimBites breaks each rule in turn, and the scenario that watches over it must notice. With -v it shows by what.
func TestSimBites(t *testing.T) {
	for _, b := range broken {
		t.Run(strings.ReplaceAll(b.rule, " ", "_"), func(t *testing.T) {
			t.Parallel()
			bites(t, b.rule, b.by, b.decide, func(*world) {})
		})
	}
	for _, b := range brokenWorlds {
		t.Run(strings.ReplaceAll(b.rule, " ", "_"), func(t *testing.T) {
			t.Parallel()
			bites(t, b.rule, b.by, policy.Decide, b.change)
		})
	}
}

// bites plays the scenario that watches over a rule until it notices that the rule is broken.
func bites(t *testing.T, rule, by string, decide func(policy.View) policy.Action, change func(*world)) {
	i := slices.IndexFunc(scenarios, func(s named) bool { return s.name == by })
	for seed := uint64(1); seed <= biteSeeds; seed++ {
		if what := noticed(t, scenarios[i].play, seed, decide, change); what != "" {
			t.Logf("| %s | %s, seed %d: %s |", rule, by, seed, what)
			return
		}
	}
	t.Errorf("%s does not notice: %s", by, rule)
}

// noticed plays a scenario with a broken rule, and returns what went wrong first; empty when nothing did.
func noticed(t *testing.T, play scenario, seed uint64, decide func(policy.View) policy.Action,
	change func(*world)) (what string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		change(w)
		var last sync.Map // of each board, when it decided
		w.decide = func(v policy.View) policy.Action {
			if before, is := last.Swap(v.Serial, v.Now); is && v.Now.Equal(before.(time.Time)) {
				time.Sleep(100 * time.Millisecond) // of virtual time, which would stand still for a board that never rests
			}
			return decide(v)
		}
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			play(r, w, rand.New(rand.NewPCG(seed, 0)))
		}()
		<-done
		what = r.first
	})
	return what
}

// recorder takes note of what goes wrong in a test, which ends at once.
type recorder struct {
	testing.TB
	first string
}

var names = regexp.MustCompile(`pi-[0-9a-f]{6}`)

func (r *recorder) Errorf(format string, args ...any) {
	r.first = names.ReplaceAllString(fmt.Sprintf(format, args...), "one")
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }
func (r *recorder) Error(args ...any)                 { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any)                 { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Failed() bool                      { return r.first != "" }
