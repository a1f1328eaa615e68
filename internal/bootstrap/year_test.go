package bootstrap

// A year of a real cluster in an hour of virtual time: everything that happens to boards, in any order, and at the end
// the one swarm that there must be.

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

const (
	yearFaults = 12               // at most
	yearGap    = 4 * time.Minute  // at most, from one fault to the next; they last longer and overlap
	outageMax  = 10 * time.Minute // how long a fault lasts at most: a worker gives up a silent manager after orphanedMax
	yearEnd    = 30 * time.Minute // after the last fault, until all boards are in one swarm
)

func simYear(t testing.TB, w *world, rnd *rand.Rand) {
	w.step = time.Second
	w.loss, w.twice = float64(rnd.IntN(3))/10, float64(rnd.IntN(2))/10
	boards := 2 + rnd.IntN(7)
	if rnd.IntN(40) == 0 {
		boards = 30
	}
	w.addMany(rnd, boards)
	w.wanted = []int{0, 1, 3, -1}[rnd.IntN(4)]
	w.built = w.began.Add(-60 * 24 * time.Hour)
	var plan []event
	for range rnd.IntN(3) / 2 { // with another key and the lowest serial, and as busy as anybody
		b, at := w.addStranger("0000000000000001"), upTo(rnd, 30*time.Minute)
		plan = append(plan, event{at, b, "a stranger", func() { b.powerOn(t.Context(), 0) }})
	}
	last := time.Duration(0)
	for i, b := range w.boards {
		at, engine := upTo(rnd, time.Minute), upTo(rnd, 10*time.Second)
		if i > 1 && rnd.IntN(4) == 0 {
			at = upTo(rnd, 30*time.Minute)
		}
		plan = append(plan, event{at, b, "first start", func() {
			if b.running() == nil {
				b.powerOn(t.Context(), engine)
			}
		}})
	}
	w.renumber(rnd, true) // what DHCP gives is nobody's address that stays
	for range rnd.IntN(yearFaults + 1) {
		last += upTo(rnd, yearGap)
		plan = append(plan, w.fault(t, rnd, last)...)
	}
	w.run(t, plan, 0, nil)
	end := []event{{0, nil, "the network is whole", w.mend}}
	for _, b := range w.boards {
		end = append(end, event{0, b, "all is well again", func() {
			b.engine.PowerOn()
			if b.running() == nil {
				b.start(t.Context())
			}
		}})
	}
	w.run(t, end, time.Minute, nil)
	w.run(t, nil, yearEnd, w.settled)
}

// fault is one thing that happens at a time, and the end of it.
func (w *world) fault(t testing.TB, rnd *rand.Rand, at time.Duration) []event {
	b := w.boards[rnd.IntN(len(w.boards))]
	end := at + upTo(rnd, outageMax)
	engine := upTo(rnd, 10*time.Second)
	off := func(b *simBoard) event { return event{at, b, "power cut", b.powerOff} }
	on := func(b *simBoard, at time.Duration) event {
		return event{at, b, "power is back", func() {
			if b.running() == nil {
				b.powerOn(t.Context(), engine)
			}
		}}
	}
	switch rnd.IntN(14) {
	case 0:
		return []event{off(b), on(b, end)}
	case 1:
		var all []event
		for _, b := range w.boards {
			all = append(all, off(b), on(b, end+upTo(rnd, time.Minute)))
		}
		return all
	case 2:
		return []event{
			{at, b, "agent dies", b.kill},
			{at + 5*time.Second, b, "agent starts", func() {
				if b.running() == nil && !b.switched.IsZero() {
					b.start(t.Context())
				}
			}},
		}
	case 3:
		return []event{
			{at, b, "engine stops", b.engine.StopEngine},
			{at + upTo(rnd, time.Minute), b, "engine starts", b.engine.StartEngine},
		}
	case 4:
		part := map[netip.Addr]bool{}
		for _, b := range w.boards {
			part[b.addr] = rnd.IntN(2) == 0
		}
		return []event{
			{at, nil, "two switches", func() { w.links.Store(&links{part: part}) }},
			{end, nil, "one switch", w.mend},
		}
	case 5:
		other := w.boards[rnd.IntN(len(w.boards))]
		return []event{
			{at, nil, "one-way link", func() { w.links.Store(&links{from: b.addr, to: other.addr}) }},
			{end, nil, "two-way link", w.mend},
		}
	case 6:
		return []event{{at, b, "something is deployed", func() { w.deploy(t, b) }}}
	case 7:
		return []event{{at, b, "new card", func() { w.mayReflash(t, b, engine) }}}
	case 8:
		moved := rnd.IntN(2) == 0
		return []event{{at, nil, "other leases", func() { w.renumber(rnd, moved) }}}
	case 9:
		asleep := upTo(rnd, 90*24*time.Hour)
		return []event{off(b), {end, b, "power is back, a clock that stood still", func() {
			if b.running() == nil {
				b.wakeUpIn(asleep)
				b.powerOn(t.Context(), engine)
			}
		}}}
	case 10:
		return []event{{at, b, "a copied card", func() { w.copyCard(t, b, engine) }}}
	case 12:
		_, through, _ := w.somewhere(rnd)
		return []event{
			{at, nil, "a firewall", func() { w.walls.Store(&through) }},
			{end, nil, "no firewall", w.mend},
		}
	case 11:
		return []event{{at, nil, "a time server", func() {
			for _, b := range w.boards {
				b.turnClock(0)
			}
		}}}
	}
	return []event{{at, b, "reboot", func() {
		b.powerOff()
		b.powerOn(t.Context(), engine)
	}}}
}

// renumber gives all boards other leases: new ones, or those that another one had.
func (w *world) renumber(rnd *rand.Rand, moved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	order := rnd.Perm(len(w.lan))
	was := make([]netip.Addr, len(order))
	for i, b := range w.lan {
		was[i] = b.lease
	}
	for i, b := range w.lan {
		if moved {
			b.lease = netip.AddrFrom4([4]byte{10, 78, byte(1 + w.steps%250), byte(i + 1)})
		} else {
			b.lease = was[order[i]]
		}
	}
}

// wakeUpIn makes the clock of a board that is off as far behind as it may be after that long: at boot it is put forward
// to when the program was made, and to when the board last wrote where it is.
func (b *simBoard) wakeUpIn(asleep time.Duration) {
	b.w.mu.Lock()
	floor := b.w.built
	if b.wrote.After(floor) {
		floor = b.wrote
	}
	b.w.mu.Unlock()
	b.turnClock(max(b.off()-asleep, time.Until(floor)))
}

// deploy gives the swarm that this board leads something to lose; a board that leads none has nothing to deploy to.
func (w *world) deploy(t testing.TB, b *simBoard) {
	if s, err := b.engine.Status(t.Context()); err == nil && s.SwarmID != "" {
		b.engine.Deploy()
	}
}

// mayReflash is reflash but for one of several managers: with another one off, no majority could ever be had again.
func (w *world) mayReflash(t testing.TB, b *simBoard, engine time.Duration) {
	id, managers := b.engine.In(), 0
	for _, o := range w.boards {
		if s, err := o.engine.Status(t.Context()); o.engine.In() == id &&
			(err != nil || s.Manager || s.State == swarm.Failed) {
			managers++
		}
	}
	if id == "" || managers <= 1 {
		w.reflash(t, b, engine)
	}
}

// reflash puts a blank card into a board.
func (w *world) reflash(t testing.TB, b *simBoard, engine time.Duration) {
	w.wipe(b)
	b.powerOn(t.Context(), engine)
}

// copyCard puts a copy of the card of a worker into another board. Copies of managers have a scenario of their own.
func (w *world) copyCard(t testing.TB, b *simBoard, engine time.Duration) {
	i := slices.IndexFunc(w.boards, func(of *simBoard) bool {
		s, err := of.engine.Status(t.Context())
		return of != b && err == nil && s.State == swarm.Active && !s.Manager
	})
	if i < 0 || w.wanted < 0 || w.wanted > 1 {
		w.faults["a copied card"]-- // it has not happened
		return
	}
	of := w.boards[i]
	of.powerOff()
	w.wipe(b)
	b.engine.Clone(of.engine)
	b.kept = of.remembered()
	b.kept.From = of.serial
	b.node, b.doomed = of.node, true // as far as it is a copy
	of.powerOn(t.Context(), engine)
	b.powerOn(t.Context(), engine)
}

// copies reports whether a board is one node with another one, and a board that is on has named the two.
func (w *world) copies(b *simBoard) bool {
	return b.node != "" && slices.ContainsFunc(w.boards, func(o *simBoard) bool {
		named := min(b.serial, o.serial).Name() + " and " + max(b.serial, o.serial).Name() + " are one node of the swarm"
		return o != b && o.node == b.node && slices.ContainsFunc(w.boards, func(by *simBoard) bool { return by.said(named) })
	})
}

// wipe takes a board off and makes its card blank. Where it is the only manager its swarm is lost, and the workers may
// go.
func (w *world) wipe(b *simBoard) {
	id := b.engine.In()
	lost := b.swarm != "" && b.swarm == id
	b.kill()
	b.engine.Reflash()
	for _, o := range w.boards {
		o.doomed = o.doomed || lost && o != b && o.engine.In() == id
	}
	if lost {
		w.swarms = slices.DeleteFunc(w.swarms, func(s string) bool { return s == id })
	}
	b.kept, b.node, b.swarm, b.free, b.doomed = peer.Membership{}, "", "", false, false
	b.w.mu.Lock()
	b.key[1]++
	b.w.mu.Unlock()
}

// settled reports whether all boards are in one swarm, or in several that hold something each.
func (w *world) settled() bool {
	if slices.ContainsFunc(w.boards, (*simBoard).isAstray) {
		return true
	}
	for _, b := range w.boards {
		have, err := b.engine.Contents(context.Background())
		if len(w.swarms) > 1 && err == nil && (have == peer.Contents{Nodes: 1}) {
			w.missing = b.serial.Name() + " keeps an empty swarm beside another"
			return false
		}
		nodes, err := b.engine.Nodes(context.Background())
		left := func(n swarm.Node) bool { return !n.Ready && n.Labels[manager.LabelSerial] != "" }
		if i := slices.IndexFunc(nodes, left); len(w.swarms) == 1 && err == nil && i >= 0 {
			w.missing = nodes[i].Hostname + " has left a node behind"
			return false
		}
	}
	return w.formed()
}

// isAstray reports whether the board tells a person that the swarm knows it by another board's address, as one does
// with the card of a board that has got another card since. Only a person can say then which node is whose.
func (b *simBoard) isAstray() bool {
	if b.running() == nil || b.remembered().From != "" { // which may yet turn out to be a copy
		return false
	}
	says := b.running().Load().action
	return says.Trouble && (say.AddressLost.Says(says.Reason) || say.AddressGivenUp.Says(says.Reason))
}

// tally is what was played.
type tally struct {
	mu      sync.Mutex
	stories int
	boards  int
	steps   int
	virtual time.Duration
	faults  map[string]int
}

var played = tally{faults: map[string]int{}}

// count adds this world to what was played.
func (w *world) count() {
	played.mu.Lock()
	defer played.mu.Unlock()
	played.stories++
	played.boards += len(w.lan)
	played.steps += w.steps
	played.virtual += time.Since(w.began)
	for what, n := range w.faults {
		played.faults[what] += n
	}
}

func (p *tally) in(d time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []string
	all := 0
	for _, what := range slices.Sorted(maps.Keys(p.faults)) {
		faults = append(faults, fmt.Sprintf("%d × %s", p.faults[what], what))
		all += p.faults[what]
	}
	return fmt.Sprintf("%d schedules with %d boards and %.0f hours of their time in %.0f s, %.1f/s. Looked at in %d steps. %d events: %s",
		p.stories, p.boards, p.virtual.Hours(), d.Seconds(), float64(p.stories)/d.Seconds(), p.steps, all, strings.Join(faults, ", "))
}
