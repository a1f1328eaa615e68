package policy

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// english are words that no Spanish sentence has.
var english = regexp.MustCompile(`(?i)\b(the|is|it|its|of|and|not|has|that|with|are|nodes|services)\b`)

// oddView is a view as none may ever be: everything in it is by chance.
func oddView(r *rand.Rand) View {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	coin := func(p float64) bool { return r.Float64() < p }
	at := func() time.Time {
		if coin(0.3) {
			return time.Time{}
		}
		return now.Add(-time.Duration(r.Int64N(int64(10*time.Second)) * []int64{0, 1, 3, 10, 100, 1000}[r.IntN(6)]))
	}
	future := func() time.Time {
		t := at()
		if coin(0.05) {
			return now.Add(time.Duration(r.Int64N(int64(10 * time.Minute))))
		}
		return t
	}
	addr := func() netip.Addr {
		if coin(0.1) {
			return netip.Addr{}
		}
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(4))})
	}
	addrs := func() (all []netip.Addr) {
		for range r.IntN(3) {
			all = append(all, addr())
		}
		return
	}
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	serial := func() peer.Serial {
		return peer.Serial(pick("10000000aabbcc01", "10000000aabbcc02", "10000000aabbcc03", "10000000aabbcc04", ""))
	}
	mayErr := func(p float64) error {
		if coin(p) {
			return errors.New("x")
		}
		return nil
	}
	contents := func() peer.Contents {
		var c peer.Contents
		v := reflect.ValueOf(&c).Elem()
		for i := range v.NumField() {
			f := v.Field(i)
			if f.CanSet() && f.CanInt() && coin(0.5) {
				f.SetInt(int64(r.IntN(4)) - 1)
			}
			if f.CanSet() && f.Kind() == reflect.Bool {
				f.SetBool(coin(0.5))
			}
		}
		return c
	}
	pr := func() Peer {
		c := peer.Claim{Serial: serial(), Cluster: "pi",
			State: peer.State(pick("waiting", "blank", "electing", "founding", "worker", "manager", "")),
			Swarm: pick("", "s1", "s2"), Node: pick("", "n1", "n2"), Manages: pick("", "", "s1",
				"s2"), Unlisted: coin(0.2), Orphan: coin(0.2), Unreached: coin(0.2),
			Contents: contents(), Peers: pick("", "10.0.0.1", "10.0.0.1 10.0.0.2", "x")}
		if coin(0.5) {
			c.Clock = future()
		}
		return Peer{Claim: c, Addr: netip.AddrPortFrom(addr(), 2378), Addrs: addrs(), Met: future(), Able: future(),
			Barred: mayErr(0.2)}
	}
	peers := func(n int) (all []Peer) {
		for range r.IntN(n) {
			all = append(all, pr())
		}
		slices.SortFunc(all, func(a, b Peer) int { return strings.Compare(string(a.Claim.Serial), string(b.Claim.Serial)) })
		return
	}
	var managers []netip.AddrPort
	for range r.IntN(3) {
		managers = append(managers, netip.AddrPortFrom(addr(), 2377))
	}
	v := View{Timing: patient, Now: now, Serial: serial(), Reset: coin(0.05),
		Settings: Settings{Err: mayErr(0.03), Expect: r.IntN(5) * r.IntN(2), Settle: time.Duration(r.IntN(20)) * time.Second,
			Unanswered: addrs()[:0]},
		Clock: Clock{Says: future(), Built: at(), Asked: future()},
		Network: Network{Link: mayErr(0.05), Linked: future(), Address: mayErr(0.2), Lost: at(), Own: addrs(),
			Listening: future(), Inquiring: coin(0.2)},
		Engine: Engine{Status: swarm.Status{State: swarm.State(pick("inactive", "inactive", "inactive", "pending", "active",
			"active", "error", "locked", "")), NodeID: pick("", "n1", "n2"),
			Addr: addr(), Manager: coin(0.3), Managers: managers, SwarmID: pick("", "s1", "s2"), Error: pick("",
				"certificate has expired", "x509: certificate has expired or is not yet valid", "context deadline exceeded")},
			Err: mayErr(0.03), Taken: mayErr(0.03), Pending: future(), ForgetAsked: future()},
		Swarm:    Swarm{Contents: contents(), Answered: future(), Disowned: at(), Duplicate: at(), Left: future()},
		Boards:   Boards{Peers: peers(4), SameSerial: nil, Newest: at()},
		Election: Election{Proposed: at(), Unasked: r.IntN(3), Unanswered: r.IntN(3)},
		Member: peer.Membership{Swarm: pick("", "s1", "s2"), Node: pick("", "n1", "n2"), Manager: coin(0.3),
			Sole: coin(0.3), Yields: coin(0.2), From: peer.Serial(pick("", "", "10000000aabbcc09"))},
	}
	if coin(0.1) {
		v.Network.Address = address.Refusal{}
	}
	if coin(0.2) {
		v.Settings.Unanswered = addrs()
	}
	if coin(0.05) {
		v.Member.Revive = addr()
	}
	if coin(0.05) {
		v.Boards.SameSerial = peers(3)
	}
	for range r.IntN(3) * r.IntN(2) {
		since := at()
		v.Boards.Unreached = append(v.Boards.Unreached,
			Unreached{Serial: serial(), State: peer.State(pick("blank", "manager", "worker")), Addr: addr(), Since: since,
				Ends: now.Add(time.Duration(1 + r.Int64N(int64(2*time.Minute)))), Shut: coin(0.5)})
	}
	if coin(0.1) {
		v.Boards.Unfollowed = []Unfollowed{{serial(), addr()}}
	}
	if coin(0.03) {
		v.Engine.Excluded = &swarm.Setting{}
	}
	return v
}

// Whatever a board sees, it decides the same twice, says why, waits for no moment that is past, and founds no swarm
// beside one that it knows of. All rules have their say.
func TestDecideInOddViews(t *testing.T) {
	const views = 100_000
	decided := map[string]int{}
	for seed := range uint64(views) {
		v := oddView(rand.New(rand.NewPCG(seed, 1)))
		a, again := Decide(v), Decide(oddView(rand.New(rand.NewPCG(seed, 1))))
		decided[a.Rule]++
		if a.Kind != again.Kind || a.Reason != again.Reason || a.Rule != again.Rule || !a.Until.Equal(again.Until) ||
			a.Trouble != again.Trouble {
			t.Errorf("seed %d: %+v, and then %+v", seed, a, again)
		}
		if a.Reason.En == "" || strings.Contains(a.Reason.En, "%!") {
			t.Errorf("seed %d: the reason is %q", seed, a.Reason)
		}
		if rest := english.FindString(strings.ReplaceAll(a.Reason.Es, v.Engine.Error, "")); rest != "" ||
			strings.Contains(a.Reason.Es, "%!") {
			t.Errorf("seed %d: the reason in Spanish is %q", seed, a.Reason.Es)
		}
		if !a.Until.IsZero() && !a.Until.After(v.Now) {
			t.Errorf("seed %d: it waits until %v, which is past", seed, a.Until)
		}
		if a.Kind == Move && a.Target.Barred != nil {
			t.Errorf("seed %d: it moves to a swarm to which it may not", seed)
		}
		full := v.isManager() && !v.Swarm.Contents.Empty() && !v.Member.Yields
		if full && (a.Kind == Join || a.Kind == Move || a.Kind == Init) {
			t.Errorf("seed %d: %v, and it manages a swarm that has something", seed, a.Kind)
		}
		if a.Kind != Init {
			continue
		}
		member := func(p Peer) bool { return v.fresh(p) && p.Claim.State.InSwarm() && !p.Claim.Orphan }
		if len(v.Boards.Unreached) > 0 && !v.enough() || slices.ContainsFunc(v.Boards.Peers, member) {
			t.Errorf("seed %d: it founds a swarm beside others", seed)
		}
	}
	for _, name := range Rules() {
		if decided[name] == 0 && name != "divided cluster" { // which takes two full swarms, see TestDecideDivided
			t.Errorf("the rule %q has decided in none of %d views", name, views)
		}
	}
}
