package bootstrap

// The simulation: boards that start, lose packets, agents and power at random, in virtual time. SIM_SEEDS is the number
// of random schedules, of all scenarios together, beginning with seed SIM_FIRST of each; SIM_SEED repeats one of each,
// and -run TestSim/all/Year one scenario.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/swarm/swarmtest"
)

const (
	seedsDefault = 12                     // of each scenario
	simStep      = 100 * time.Millisecond // between two looks at the invariants
	infoLinesMax = 15                     // from Info up, for each board of three that become a swarm
	// noticeMax is how long a manager may go unnoticed by a board that reaches it.
	noticeMax = 10 * time.Second
)

// scenario is a story that ends well whatever the dice say. It tells the first thing that goes wrong by t.
type scenario func(t testing.TB, w *world, rnd *rand.Rand)

type named struct {
	name string
	play scenario
}

var scenarios = []named{
	{"Year", simYear},
	{"Formation", simFormation},
	{"CloseCalls", simCloseCalls},
	{"AgentsDie", simAgentsDie},
	{"PowerCuts", simPowerCuts},
	{"LateLowerSerial", simLateLowerSerial},
	{"Duplicates", simTwins},
	{"TwoSwarms", simTwoSwarms},
	{"Yield", simYield},
	{"Orphans", simOrphans},
	{"NewCard", simNewCard},
	{"CopiedCard", simCopiedCard},
	{"MovedCard", simMovedCard},
	{"Expired", simExpired},
	{"Clocks", simClocks},
	{"FirstUse", simFirstUse},
	{"ExpiredManager", simExpiredManager},
	{"ExpiredManagers", simExpiredManagers},
	{"Managers", simManagers},
	{"WithoutMulticast", simWithoutMulticast},
	{"MulticastLost", simMulticastLost},
	{"Firewall", simFirewall},
	{"FirewallLater", simFirewallLater},
	{"HeardAndGone", simHeardAndGone},
	{"LateAddress", simLateAddress},
	{"EngineAsleep", simEngineAsleep},
	{"LowestWithoutEngine", simLowestWithoutEngine},
	{"WrongSettings", simWrongSettings},
	{"SameName", simSameName},
	{"SameIDs", simSameIDs},
	{"RestartChangesNothing", simRestartChangesNothing},
	{"ShortStory", simShortStory},
	{"Reset", simReset},
	{"ResetWithoutMajority", simResetWithoutMajority},
	{"ResetOfALockedManager", simResetOfALockedManager},
}

// TestSim plays every scenario once for each seed, in a world of its own.
func TestSim(t *testing.T) {
	first, count := max(1, number(t, "SIM_FIRST")), uint64(seedsDefault)
	if s := number(t, "SIM_SEEDS"); s > 0 {
		n := uint64(len(scenarios))
		count = (s + n - 1) / n
	}
	if s := number(t, "SIM_SEED"); s > 0 {
		first, count = s, 1
	}
	began := time.Now()
	t.Run("all", func(t *testing.T) {
		for _, s := range scenarios {
			for seed := first; seed < first+count; seed++ {
				t.Run(s.name+"/"+strconv.FormatUint(seed, 10), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, seed)
						s.play(t, w, rand.New(rand.NewPCG(seed, 0)))
						w.count()
					})
				})
			}
		}
	})
	fmt.Println(played.in(time.Since(began)))
}

func number(t *testing.T, name string) uint64 {
	s := os.Getenv(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Boards that start within 5 s become one swarm, and the lowest serial leads it.
func simFormation(t testing.TB, w *world, rnd *rand.Rand) {
	w.loss = float64(rnd.IntN(3)) / 10
	w.addMany(rnd, 1+rnd.IntN(8))
	if rnd.IntN(2) == 0 {
		w.expect = len(w.boards)
	}
	plan := w.startAll(t, rnd)
	for i := range plan {
		plan[i].at *= 2 // longer than the questions of the first take to be answered
	}
	w.run(t, plan, 3*time.Minute, w.formed)
	w.wantLeader(t, w.lowest())
	w.run(t, nil, time.Minute, nil)
}

// Boards become able to lead at the very moment when another takes the lead: the lowest one's engine comes up as its
// turn ends, and the last of the expected boards comes as the others stop waiting for it.
func simCloseCalls(t testing.TB, w *world, rnd *rand.Rand) {
	w.prompt = true
	w.addMany(rnd, 2+rnd.IntN(3))
	late := w.lowest()
	if rnd.IntN(2) == 0 {
		w.expect = len(w.boards)
	}
	if rnd.IntN(4) == 0 {
		w.loss = 0.1
	}
	plan := slices.DeleteFunc(w.startAll(t, rnd), func(e event) bool { return e.board == late })
	for i := range plan { // engines that are up already, so that all waits end together
		b := plan[i].board
		plan[i].do = func() { b.powerOn(t.Context(), 0) }
	}
	on, last := upTo(rnd, 5*time.Second), time.Duration(0)
	for _, e := range plan {
		last = max(last, e.at)
	}
	moment := upTo(rnd, 2*time.Second) - 500*time.Millisecond // about when the others act
	if rnd.IntN(2) == 0 {
		engine := max(last, on) + simSettle + patient.Founding + moment
		plan = append(plan, event{on, late, "power on, engine later", func() { late.powerOn(t.Context(), engine-on) }})
	} else {
		plan = append(plan, event{last + simSettle + moment, late, "power on", func() { late.powerOn(t.Context(), 0) }})
	}
	w.run(t, plan, 4*time.Minute, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one", len(w.swarms))
	}
}

// Agents are killed and started again as systemd does, at any moment. Engines go on meanwhile.
func simAgentsDie(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(6))
	plan := w.startAll(t, rnd)
	for range 1 + rnd.IntN(12) {
		b := w.boards[rnd.IntN(len(w.boards))]
		at := 5*time.Second + upTo(rnd, 90*time.Second)
		plan = append(plan,
			event{at, b, "agent dies", b.kill},
			event{at + 5*time.Second, b, "agent starts", func() {
				if b.running() == nil {
					b.start(t.Context())
				}
			}})
	}
	w.run(t, plan, 5*time.Minute, w.formed)
	if len(w.swarms) != 1 {
		t.Errorf("%d swarms, want one: their engines always ran", len(w.swarms))
	}
}

// Boards lose power at any moment. Two swarms may come of it only when nobody could know of the first.
func simPowerCuts(t testing.TB, w *world, rnd *rand.Rand) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 2+rnd.IntN(6))
	plan := w.startAll(t, rnd)
	for _, b := range w.boards {
		at := 5 * time.Second
		for range rnd.IntN(4) {
			at += upTo(rnd, time.Minute)
			plan = append(plan, event{at, b, "power off", b.powerOff})
			at += upTo(rnd, time.Minute)
			delay := upTo(rnd, 10*time.Second)
			plan = append(plan, event{at, b, "power on", func() { b.powerOn(t.Context(), delay) }})
		}
	}
	w.run(t, plan, 8*time.Minute, w.formed)
}

// A swarm that exists outranks every serial.
func simLateLowerSerial(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(6))
	late := w.lowest()
	plan := slices.DeleteFunc(w.startAll(t, rnd), func(e event) bool { return e.board == late })
	w.run(t, plan, 2*time.Minute, w.formed)
	leader := w.leader()
	plan = []event{{upTo(rnd, time.Minute), late, "power on", func() { late.powerOn(t.Context(), 0) }}}
	w.run(t, plan, 2*time.Minute, w.formed)
	w.wantLeader(t, leader)
}

// Of two boards with one serial neither may lead, and each names the other.
func simTwins(t testing.TB, w *world, rnd *rand.Rand) {
	a, b := w.add("10000000000000aa"), w.add("10000000000000aa")
	w.run(t, w.startAll(t, rnd), 3*time.Minute, nil)
	for duplicate, other := range map[*simBoard]*simBoard{a: b, b: a} {
		if c := duplicate.engine.Calls(); c != (swarmtest.Calls{}) {
			t.Errorf("%v asked its engine for changes: %+v", duplicate.addr, c)
		}
		if !duplicate.said(other.addr.String()) {
			t.Errorf("%v does not name its duplicate %v", duplicate.addr, other.addr)
		}
	}
}

// Two swarms that could not know of each other become one where one of them is empty, and are told by both managers,
// once, and left alone where none is.
func simTwoSwarms(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2)
	a, b := w.boards[0], w.boards[1]
	full := rnd.IntN(3)
	on := func(b *simBoard, at time.Duration) event {
		return event{at, b, "power on", func() { b.powerOn(t.Context(), upTo(rnd, 5*time.Second)) }}
	}
	w.run(t, []event{on(a, 0)}, time.Minute, w.formed)
	if full > 0 {
		a.engine.Deploy()
	}
	w.run(t, []event{{0, a, "power off", a.powerOff}, on(b, time.Second)}, time.Minute, func() bool {
		return b.swarm != ""
	})
	if full > 1 {
		b.engine.Deploy()
	}
	w.run(t, []event{on(a, 0)}, time.Minute, w.formed)
	if full < 2 {
		w.run(t, nil, 3*time.Minute, func() bool { return len(w.swarms) == 1 && w.formed() })
		if want := w.lowest(); full == 0 && w.leader() != want || full == 1 && w.leader() != a {
			t.Errorf("%s leads, %d swarms had something in them", w.leader().serial.Name(), full)
		}
		return
	}
	w.run(t, nil, 10*time.Minute, nil)
	for _, b := range w.boards {
		told := slices.DeleteFunc(slices.Clone(b.lines), func(s string) bool {
			return !strings.HasPrefix(s, "There are two swarms and neither")
		})
		if len(told) != 1 {
			t.Errorf("%s told of two swarms %d times, want once", b.serial.Name(), len(told))
		}
	}
}

// A manager whose card is exchanged founds a new swarm, and the workers of the old one come to it.
func simOrphans(t testing.TB, w *world, rnd *rand.Rand) {
	w.loss = float64(rnd.IntN(2)) / 10
	w.addMany(rnd, 2+rnd.IntN(4))
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	old := w.leader()
	w.run(t, []event{{0, old, "power off", old.powerOff}}, upTo(rnd, 10*time.Minute), nil)
	for _, b := range w.boards {
		b.doomed = true
	}
	old.node, old.swarm, w.swarms = "", "", nil
	old.engine.Reflash()
	old.kept = peer.Membership{}
	old.key[1]++
	w.run(t, []event{{0, old, "power on with a new card", func() { old.powerOn(t.Context(), 0) }}}, 20*time.Minute,
		w.formed)
	w.wantLeader(t, old)
}

// A lowest board whose engine does not start is left out after its turn, and joins when it can.
func simLowestWithoutEngine(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3+rnd.IntN(5))
	out := w.lowest()
	plan := slices.DeleteFunc(w.startAll(t, rnd), func(e event) bool { return e.board == out })
	plan = append(plan, event{upTo(rnd, 5*time.Second), out, "power on, engine not for an hour", func() {
		out.powerOn(t.Context(), time.Hour)
	}})
	w.run(t, plan, 3*time.Minute, w.formed)
	leader := w.leader()
	if !leader.said(out.serial.Name() + " did not start the swarm in its time") {
		t.Errorf("%s does not say whom it left out", leader.serial.Name())
	}
	plan = []event{{upTo(rnd, time.Minute), out, "engine starts", out.engine.StartEngine}}
	w.run(t, plan, 2*time.Minute, w.formed)
	w.wantLeader(t, leader)
}

// A board whose settings cannot be followed is heard of by the others, with the reason, does nothing, and holds up
// nobody.
func simWrongSettings(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3+rnd.IntN(3))
	wrong := w.boards[rnd.IntN(len(w.boards))]
	wrong.settings = errors.New("/boot/pi-agent.toml:1: there is no setting \"settel\"\n/boot/pi-agent.toml:2: expect = 99")
	const why = ` cannot take part: This board does nothing until its settings are put right: ` +
		`/boot/pi-agent.toml:1: there is no setting "settel"; /boot/pi-agent.toml:2: expect = 99.`
	told := func() bool {
		return !slices.ContainsFunc(w.boards, func(b *simBoard) bool {
			return b != wrong && (!b.running().Claim().State.InSwarm() || !b.said(wrong.serial.Name()+why))
		})
	}
	w.run(t, w.startAll(t, rnd), 3*time.Minute, told)
	if c := wrong.engine.Calls(); c != (swarmtest.Calls{}) {
		t.Errorf("it asked its engine for changes: %+v", c)
	}
}

// Of boards with one name all but the lowest serial take another.
func simSameName(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 2+rnd.IntN(4))
	for _, b := range w.boards {
		b.hostname = "raspberrypi"
	}
	lowest := w.lowest()
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	for _, b := range w.boards {
		if gaveWay := slices.Equal(b.renamed, []string{"raspberrypi"}); gaveWay == (b == lowest) {
			t.Errorf("%s gave way for %q, the lowest is %s", b.serial, b.renamed, lowest.serial)
		}
	}
}

// Agents that start anew in a swarm ask no engine for a change.
func simRestartChangesNothing(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 1+rnd.IntN(5))
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	before := map[*simBoard]swarmtest.Calls{}
	for _, b := range w.boards {
		before[b] = b.engine.Calls()
	}
	var plan []event
	for _, b := range w.boards {
		at := upTo(rnd, 20*time.Second)
		plan = append(plan,
			event{at, b, "agent dies", b.kill},
			event{at + upTo(rnd, 10*time.Second), b, "agent starts", func() { b.start(t.Context()) }})
	}
	w.run(t, plan, 3*time.Minute, nil)
	for _, b := range w.boards {
		if is := b.engine.Calls(); is != before[b] {
			t.Errorf("%s asked its engine for changes: %+v, before it was %+v", b.serial.Name(), is, before[b])
		}
	}
	if !w.formed() {
		t.Error("the swarm is not whole afterwards")
	}
}

// The story of a formation is short.
func simShortStory(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3)
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	w.run(t, nil, 5*time.Minute, nil)
	for _, b := range w.boards {
		if len(b.lines) >= infoLinesMax {
			t.Errorf("%s logged %d lines, want less than %d", b.serial.Name(), len(b.lines), infoLinesMax)
		}
	}
}

// event is something that happens to a board, so long after the beginning of a run.
type event struct {
	at    time.Duration
	board *simBoard
	what  string
	do    func()
}

// addMany adds boards with random serials.
func (w *world) addMany(rnd *rand.Rand, n int) {
	for range n {
		w.add(peer.Serial(fmt.Sprintf("1%015x", rnd.Uint64N(1<<60))))
	}
}

// startAll is the plan that all boards start within 5 s in any order, and their engines up to 10 s later.
func (w *world) startAll(t testing.TB, rnd *rand.Rand) (plan []event) {
	for _, b := range w.boards {
		delay := upTo(rnd, 10*time.Second)
		plan = append(plan, event{upTo(rnd, 5*time.Second), b, "power on", func() { b.powerOn(t.Context(), delay) }})
	}
	return plan
}

// run carries out the plan and looks at the invariants all the time. It ends when the plan is done and until is true;
// when that takes longer than limit after the last event, the test has failed. Without until it goes on to the limit.
func (w *world) run(t testing.TB, plan []event, limit time.Duration, until func() bool) {
	t.Helper()
	slices.SortStableFunc(plan, func(a, b event) int { return int(a.at - b.at) })
	began := time.Now()
	deadline := began.Add(limit)
	for {
		for len(plan) > 0 && time.Since(began) >= plan[0].at {
			e := plan[0]
			plan = plan[1:]
			w.happens(e)
			deadline = time.Now().Add(limit)
		}
		w.steps++
		if err := w.check(t); err != nil {
			t.Fatalf("broken: %v", err)
		}
		if len(plan) == 0 && until != nil && until() {
			return
		}
		if len(plan) == 0 && time.Now().After(deadline) {
			if until != nil {
				t.Fatalf("no end within %v: %s", limit, w.missing)
			}
			return
		}
		if err := nap(t.Context(), w.step); err != nil {
			t.Fatal(err)
		}
	}
}

// check looks at the invariants: a board never leaves a swarm that has something to lose, and nobody founds a second
// one while it can know of the first.
func (w *world) check(t testing.TB) error {
	if err := w.strays(); err != nil {
		return err
	}
	for _, b := range w.boards {
		s, err := b.engine.Status(t.Context())
		if errors.Is(err, swarm.ErrUnreachable) {
			b.calm = time.Now()
			continue
		}
		if err != nil {
			return err
		}
		if b.running() == nil {
			b.calm = time.Now()
		}
		if b.engine.Forgotten() { // it does not know which node it is
			continue
		}
		if s.State == swarm.Failed { // and does not say which node it is
			// it is to be a manager and asks one that is gone: it may join anew
			if f := s.Fault(); f != swarm.Expired && f != swarm.OwnExpired {
				b.node = ""
			}
			continue
		}
		// it may be joining already
		if b.node != "" && s.NodeID != b.node && s.State != swarm.Locked && (b.free || b.doomed) {
			w.swarms = slices.DeleteFunc(w.swarms, func(id string) bool { return id == b.swarm })
			b.node, b.swarm, b.free, b.doomed = "", "", false, false
		}
		if b.node == "" && s.NodeID != "" && s.SwarmID == "" {
			if err := w.gain(b); err != nil {
				return err
			}
		}
		if b.node != "" && b.node != s.NodeID {
			return fmt.Errorf("%s was node %s and now is %q, %s", b.serial.Name(), b.node, s.NodeID, s.State)
		}
		b.node = s.NodeID
		have, err := b.engine.Contents(t.Context())
		b.free = err == nil && have == peer.Contents{Nodes: 1}
		if s.SwarmID == "" || b.swarm != "" {
			continue
		}
		if slices.Contains(w.swarms, s.SwarmID) {
			continue // it was made a manager
		}
		b.swarm = s.SwarmID
		for _, other := range w.boards {
			switch {
			case other == b || !w.couldKnow(b, other) || other.doomed:
			case other.swarm != "":
				return fmt.Errorf("%s founds a second swarm beside that of %s", b.serial.Name(), other.serial.Name())
			case other.node != "" && other.engine.In() != b.swarm:
				return fmt.Errorf("%s founds a second swarm while %s is in one", b.serial.Name(), other.serial.Name())
			}
		}
		w.swarms = append(w.swarms, b.swarm)
	}
	return nil
}

// gain notes that a swarm has a new worker. On a network that has been whole for a while, only one of several swarms
// gains any.
func (w *world) gain(b *simBoard) error {
	now := time.Now()
	for other, at := range w.gains {
		alive := slices.ContainsFunc(w.boards, func(o *simBoard) bool {
			return o.swarm == other && o.engine.In() == other && o.running() != nil && now.Sub(o.calm) > noticeMax && !o.doomed
		})
		if other != b.engine.In() && alive && w.whole() && w.walls.Load() == nil && now.Sub(w.mended) > noticeMax &&
			at.Sub(w.mended) > noticeMax && now.Sub(at) < noticeMax {
			return fmt.Errorf("%s is gained by a second swarm, another one has just gained a member, too", b.serial.Name())
		}
	}
	w.gains[b.engine.In()] = now
	return nil
}

// happens carries out an event, and shows it in the log.
func (w *world) happens(e event) {
	name := "all"
	if e.board != nil {
		name = e.board.serial.Name()
		e.board.calm = time.Now()
	}
	w.faults[e.what]++
	w.log.Named("        " + name).Info("*** " + e.what)
	e.do()
}

// couldKnow reports whether b has had the time to notice the manager.
func (w *world) couldKnow(b, manager *simBoard) bool {
	notice := noticeMax
	if w.walls.Load() != nil {
		notice += time.Minute // by an announcement only
	}
	return w.whole() && time.Since(w.mended) > notice && time.Since(b.calm) > notice && time.Since(manager.calm) > notice
}

// formed reports whether every board that runs is a ready node with its labels. Where more than one swarm could not be
// avoided, their managers must have said so.
func (w *world) formed() bool {
	w.missing = w.unformed()
	return w.missing == ""
}

// unformed is what formed misses, in words.
func (w *world) unformed() string {
	labelled := map[string]bool{}
	for _, b := range w.boards {
		s, err := b.engine.Status(context.Background())
		if err != nil || s.SwarmID == "" || b.running() == nil {
			continue
		}
		nodes, err := b.engine.Nodes(context.Background())
		switch {
		case err != nil:
			return fmt.Sprintf("%s does not list its nodes: %v", b.serial.Name(), err)
		case len(w.swarms) > 1 && !b.said("There are two swarms"):
			return fmt.Sprintf("%s does not tell of the swarms %v", b.serial.Name(), w.swarms)
		}
		for _, n := range nodes {
			if serial := n.Labels[manager.LabelSerial]; n.Ready && serial == "" {
				return fmt.Sprintf("node %s at %s has no label", n.ID, n.Addr)
			} else if n.Ready {
				labelled[serial] = true
			}
		}
	}
	for _, b := range w.boards {
		if time.Since(b.calm) > 0 && b.running() != nil && !labelled[string(b.serial)] && !w.copies(b) {
			return b.serial.Name() + " is no node that is ready"
		}
	}
	if len(labelled) == 0 {
		return "nobody has a swarm"
	}
	return ""
}

func (w *world) lowest() *simBoard {
	return slices.MinFunc(w.boards, func(a, b *simBoard) int {
		if a.serial < b.serial {
			return -1
		}
		return 1
	})
}

// leader is the board that founded the first swarm.
func (w *world) leader() *simBoard {
	i := slices.IndexFunc(w.boards, func(b *simBoard) bool { return b.swarm == w.swarms[0] })
	return w.boards[i]
}

func (w *world) wantLeader(t testing.TB, want *simBoard) {
	t.Helper()
	if len(w.swarms) != 1 || w.leader() != want {
		t.Errorf("%d swarms, led by %s; want one led by %s", len(w.swarms), w.leader().serial.Name(), want.serial.Name())
	}
}

func upTo(rnd *rand.Rand, d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d))) }
