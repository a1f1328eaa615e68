package bootstrap

// The picture of the cluster for people: drawn when somebody looks, from what the loop has seen in its newest turn, what
// contacts and discovery know, and one overview of the swarm. A manager asks its engine for that, a worker asks a manager.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

const (
	pictureAge = time.Second     // how old a picture may be that is shown once more
	drawMax    = 4 * time.Second // for drawing one; a manager that has just lost the majority leaves its callers hanging
)

// pose is what a turn of the loop has seen and decided.
type pose struct {
	view   policy.View
	action policy.Action
}

// canvas keeps the newest picture for a moment, so that however many look at it cost the engine one look a second.
type canvas struct {
	mu    sync.Mutex
	at    time.Time
	shown picture.Picture
}

// Picture is the cluster as this board knows it, at most a second old. It may be called from any goroutine, and takes up to
// 4 s. What is returned is shared: do not change it.
func (l *Loop) Picture(ctx context.Context) picture.Picture {
	l.canvas.mu.Lock()
	defer l.canvas.mu.Unlock()
	if now := time.Now(); now.Sub(l.canvas.at) >= pictureAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drawMax) // for all who look
		defer cancel()
		l.canvas.shown = l.draw(ctx)
		l.canvas.at = time.Now()
	}
	return l.canvas.shown
}

// Look implements enroll.Host: a manager shows the picture to the boards of its swarm, and to nobody else.
func (l *Loop) Look(ctx context.Context, p enroll.Peer) (json.RawMessage, error) {
	if l.ticket.Load() == nil {
		return nil, errors.New("this board is not a manager now")
	}
	shown := l.Picture(ctx)
	if shown.Source == "" {
		return nil, errNoMajority
	}
	node := func(b picture.Board) bool {
		return b.Node != "" && b.Node == p.Claim.Node && slices.ContainsFunc(b.Addrs, func(a netip.Addr) bool { return l.metAt(p, a) })
	}
	if !slices.ContainsFunc(shown.Boards, node) {
		return nil, fmt.Errorf("%s is not a node of this swarm", p.Claim.Serial.Name())
	}
	return shown.Encode()
}

// metAt reports whether the board p is at addr, or was met there.
func (l *Loop) metAt(p enroll.Peer, addr netip.Addr) bool {
	if p.Addr.Addr() == addr {
		return true
	}
	peers, _ := l.roster.Peers(l.Serial)
	return slices.ContainsFunc(peers, func(o policy.Peer) bool { return o.Key == p.Key && o.At(addr) })
}

func (l *Loop) draw(ctx context.Context) picture.Picture {
	now := time.Now()
	p := picture.Picture{Version: picture.Version, Drawn: now, Cluster: l.Cluster, Keyed: l.Tag != "", Self: l.Serial}
	seen := l.posed.Load()
	if seen == nil {
		p.Doing = "The agent has just started."
		return p
	}
	p.Doing, p.Needs = sentence(seen.action.Reason), seen.action.Trouble
	if w := l.Claim().Waits; w != "" && seen.action.Lost && seen.action.Kind == policy.Move { // it is refused
		p.Doing, p.Needs = p.Doing+" "+sentence(w), true
	}
	status := seen.view.Engine.Status
	if seen.view.Engine.Err != nil {
		status = swarm.Status{}
	}
	if claim := l.Claim(); claim.State.InSwarm() || status.NodeID != "" {
		p.Swarm = &picture.Swarm{ID: claim.Swarm, Node: cmp.Or(status.NodeID, claim.Node), Managers: len(status.Managers), Lost: seen.action.Lost}
	}
	var err error
	switch {
	case status.State == swarm.Active && status.Manager:
		err = l.drawSwarm(ctx, &p)
	case status.State == swarm.Active:
		err = l.borrow(ctx, &p, seen.view)
	}
	if err != nil {
		l.Log.Debug("The picture of the cluster lacks something of the swarm: " + err.Error())
		p.Swarm.Leaderless = leaderless(status, err)
	}
	sketch{l, &p, seen, now}.boards()
	p.Judge()
	l.obstruct(&p)
	for _, s := range l.sharedIDs() {
		p.Warnings = append(p.Warnings, picture.Warning{Text: s.text(), Remedy: s.help()})
	}
	return p
}

// errNoMajority is what a manager that cannot show the swarm tells the boards that ask it.
var errNoMajority = errors.New("the managers have no majority now")

// leaderless reports whether a swarm is not shown because its managers have no majority, and not for want of an answer.
func leaderless(s swarm.Status, err error) bool {
	if s.Manager {
		return errors.Is(err, swarm.ErrNoLeader) || s.SwarmID == "" && len(s.Managers) > 1
	}
	return errors.Is(err, enroll.ErrRefused) && strings.Contains(err.Error(), errNoMajority.Error())
}

// drawSwarm takes in what the engine of a manager knows.
func (l *Loop) drawSwarm(ctx context.Context, p *picture.Picture) error {
	o, err := l.Engine.Overview(ctx)
	if err != nil {
		return err
	}
	paint(p, o, l.name())
	p.StackErrors, p.StackAdvice, err = l.stacks(ctx, *p)
	return err
}

// paint takes in the overview of a manager of that name.
func paint(p *picture.Picture, o swarm.Overview, name string) {
	p.Source = name
	s := p.Swarm
	s.CertDays, s.RootEnds, s.Pools, s.Managers = int(o.CertValid.Hours()/24), o.RootEnds, o.Pools, 0
	names := map[string]string{}
	for _, n := range o.Nodes {
		b := boardOf(n)
		names[n.ID] = b.Name
		p.Boards = append(p.Boards, b)
		if n.Manager {
			s.Managers++
		}
		if n.Manager && n.Ready {
			s.Reachable++
		}
	}
	s.Majority = true // for without one there is no list of nodes
	for _, service := range o.Services {
		p.Services = append(p.Services, serviceOf(service, names))
	}
}

// boardOf is the board that a node is, as far as the swarm knows it.
func boardOf(n swarm.Node) picture.Board {
	b := picture.Board{
		Serial: peer.Serial(n.Labels[manager.LabelSerial]), Name: n.Hostname, Model: n.Labels[manager.LabelModel], Node: n.ID,
		Role: picture.Worker, State: picture.Down, Drained: n.Availability != swarm.Available, Engine: n.Version, At: n.Addr,
	}
	if n.Addr.IsValid() {
		b.Addrs = []netip.Addr{n.Addr}
	}
	switch {
	case n.Leader:
		b.Role = picture.Leader
	case n.Manager:
		b.Role = picture.Manager
	}
	if n.Ready {
		b.State = picture.Ready
	}
	return b
}

// serviceOf is a service with the names of the boards that its tasks are on.
func serviceOf(s swarm.Service, names map[string]string) picture.Service {
	out := picture.Service{Name: s.Name, Image: s.Image, Wanted: s.Wanted, Job: s.Job}
	for _, t := range s.Tasks {
		if t.Running() {
			out.Running++
		}
		out.Tasks = append(out.Tasks, picture.Task{
			ID: t.ID, Slot: t.Slot, Node: t.Node, Board: names[t.Node], State: t.State, Error: t.Error, ErrorBoard: names[t.On], Since: t.Since,
		})
	}
	return out
}

// borrow takes in what a manager of this worker's swarm shows.
func (l *Loop) borrow(ctx context.Context, p *picture.Picture, v policy.View) error {
	failed := errors.New("no manager has answered lately")
	peers, _ := l.roster.Peers(l.Serial)
	for _, m := range peers {
		if m.Claim.State != peer.Manager || !m.IsManagerOf(v.Engine.Status) {
			continue
		}
		lent, err := l.lend(ctx, m)
		if err != nil || lent.Swarm == nil {
			if !errors.Is(failed, enroll.ErrRefused) { // one that answers knows more than one that does not
				failed = cmp.Or(err, failed)
			}
			continue
		}
		node := p.Swarm.Node
		p.Source, p.Boards, p.Services, p.Swarm = lent.Source, lent.Boards, lent.Services, lent.Swarm
		p.Swarm.Node = node
		p.Nearby, p.StackErrors, p.StackAdvice = lent.Nearby, lent.StackErrors, lent.StackAdvice
		if lent.Needs { // the manager's own trouble is everybody's
			p.Doing, p.Needs = lent.Doing, true
		}
		return nil
	}
	return failed
}

// sketch adds the boards to a picture.
type sketch struct {
	l *Loop
	*picture.Picture
	seen *pose
	now  time.Time
}

func (s sketch) boards() {
	hints := s.l.Discovery.Snapshot().Hints
	for i := range s.Boards {
		b := &s.Boards[i]
		b.Announced = b.Announced && b.Serial == s.l.Serial // who hears this board is the manager
	}
	s.self()
	met := map[peer.Serial]time.Time{s.l.Serial: s.now}
	known, twins := s.l.roster.Peers(s.l.Serial)
	for _, p := range known {
		p = s.latest(p, hints)
		met[p.Claim.Serial] = p.Met
		s.met(s.entry(p.Claim, s.drewIt() && s.now.Sub(p.Met) < s.l.Timing.Out), p, hints)
	}
	for _, p := range twins {
		s.Boards = append(s.Boards, picture.Board{Serial: p.Claim.Serial, Name: cmp.Or(p.Claim.Hostname, p.Claim.Serial.Name()), Model: p.Claim.Model})
		s.met(&s.Boards[len(s.Boards)-1], p, hints)
	}
	for _, c := range s.l.roster.Unmet() {
		if s.now.Sub(met[c.Hint.Serial]) >= s.patience(c.Hint) {
			met[c.Hint.Serial] = s.now
			s.silent(c)
		}
	}
	for i := range s.Boards {
		b := &s.Boards[i]
		for _, h := range hints {
			if h.Claim.Serial == b.Serial {
				b.Announced, b.Heard = true, timing.Later(b.Heard, h.Heard)
			}
		}
		if b.State == picture.In && b.Role == picture.Worker && s.managerSilent() && !s.Swarm.Lost {
			b.Why = whyManagerSilent
		}
		if b.State == picture.Down && b.Why == "" {
			b.Why = whyDown(*b, s.Board(b.Serial), s.now, s.l.Timing)
		}
	}
	near := map[peer.Serial]bool{}
	for _, n := range s.Nearby {
		near[n.Serial] = true
	}
	for _, n := range s.l.Discovery.Nearby() {
		if !near[n.Serial] && met[n.Serial].IsZero() {
			s.Nearby = append(s.Nearby, picture.Nearby{Serial: n.Serial, Cluster: n.Cluster, Why: whyNotOurs(n, s.l.Cluster, s.l.Tag)})
		}
	}
	sort.SliceStable(s.Boards, func(i, j int) bool {
		a, b := s.Boards[i], s.Boards[j]
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Serial, b.Serial), cmp.Compare(a.Name, b.Name)) < 0
	})
}

// latest is what a board has said last: where no manager shows the swarm, its newest announcement may be all there is, for
// workers do not ask workers.
func (s sketch) latest(p policy.Peer, hints []discovery.Hint) policy.Peer {
	for _, h := range hints {
		if s.Source == "" && h.Claim.Serial == p.Claim.Serial && h.Heard.After(p.Met) {
			if !p.Claim.Clock.IsZero() {
				p.Claim.Clock = p.Claim.Clock.Add(h.Heard.Sub(p.Met))
			}
			p.Met, p.Claim.State, p.Claim.Swarm, p.Claim.Waits = h.Heard, h.Claim.State, h.Claim.Swarm, ""
		}
	}
	return p
}

// managerSilent reports whether this board is a worker, and no manager of its swarm answers.
func (s sketch) managerSilent() bool {
	v := s.seen.view
	answers := func(p policy.Peer) bool {
		return p.IsManagerOf(v.Engine.Status) && s.now.Sub(p.Met) < s.l.Timing.ManagerSilent
	}
	met := func(p policy.Peer) bool { return p.IsManagerOf(v.Engine.Status) }
	return s.Source == "" && v.Engine.State == swarm.Active && !v.Engine.Manager && !slices.ContainsFunc(v.Boards.Peers, answers) &&
		(slices.ContainsFunc(v.Boards.Peers, met) || s.now.Sub(v.Swarm.Answered) >= s.l.Timing.ManagerSilent)
}

// rank puts managers first, and boards outside the swarm last.
func rank(b picture.Board) int {
	switch {
	case b.State == picture.Out:
		return 3
	case b.Role == picture.Leader:
		return 0
	case b.Role == picture.Manager:
		return 1
	}
	return 2
}

// entry is the entry of the board that makes this claim, made where there is none. A claim that is not fresh may be from
// before the board has joined, or from before it went.
func (s sketch) entry(c peer.Claim, fresh bool) *picture.Board {
	i := slices.IndexFunc(s.Boards, func(b picture.Board) bool { return c.Node != "" && b.Node == c.Node })
	if i < 0 && c.Node == "" {
		i = slices.IndexFunc(s.Boards, func(b picture.Board) bool {
			return b.Serial == c.Serial && (b.State != picture.Down || !fresh)
		})
	}
	if i < 0 {
		s.Boards = append(s.Boards, picture.Board{State: picture.Out})
		i = len(s.Boards) - 1
	}
	b := &s.Boards[i]
	b.Serial, b.Model = c.Serial, cmp.Or(c.Model, b.Model)
	b.Name = cmp.Or(b.Name, c.Hostname, c.Serial.Name())
	return b
}

// self is this board. It knows itself best.
func (s sketch) self() {
	v := s.seen.view
	c := s.l.Claim()
	b := s.entry(c, true)
	b.Heard = s.now
	if s.drewIt() { // otherwise it is the manager who hears this board, or not
		b.Announced = s.now.Sub(s.l.Discovery.Snapshot().SelfHeard) < s.l.Timing.UnheardMax
	}
	if v.Engine.Err == nil {
		b.Engine = v.Engine.Version
	}
	if a, err := s.l.Network.Link(); err == nil {
		b.Addrs = addrs(b.Addrs, a.Addr, a.Stable)
		s.Interface = a.Name
	}
	switch {
	case s.Swarm == nil:
		b.State, b.Why = picture.Out, s.Doing
		if c.Waits != "" { // why it was refused rather than what it tries
			b.Why = sentence(c.Waits)
		}
	case s.Source == "":
		b.State, b.Role = picture.In, roleOf(c.State)
	}
}

func roleOf(s peer.State) picture.Role {
	switch s {
	case peer.Manager:
		return picture.Manager
	case peer.Worker:
		return picture.Worker
	}
	return ""
}

// addrs puts first before the others, each once. Addresses that are not valid are left out.
func addrs(others []netip.Addr, first ...netip.Addr) (all []netip.Addr) {
	for _, a := range append(slices.Clone(first), others...) {
		if a.IsValid() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// drewIt reports whether the list of nodes is this board's own, or there is none. Otherwise the manager whose list it is has
// met the boards since.
func (s sketch) drewIt() bool { return s.Source == "" || s.Source == s.l.name() }

// name is what people call this board, also where it has no hostname that it can have.
func (l *Loop) name() string { return cmp.Or(l.Claim().Hostname, l.Serial.Name()) }

// out says why a board is not in. A manager, which lets boards in, knows that better than a worker.
func (s sketch) out(b *picture.Board, why string) {
	if s.drewIt() || b.Why == "" {
		b.State, b.Why = picture.Out, why
	}
}

// ours reports whether that board may be in the swarm of this one, as far as is known.
func (s sketch) ours(c peer.Claim) bool {
	return s.Swarm == nil || s.Swarm.ID == "" || c.Swarm == "" || c.Swarm == s.Swarm.ID
}

// met takes in what the board of this entry has said.
func (s sketch) met(b *picture.Board, p policy.Peer, hints []discovery.Hint) {
	b.Heard = timing.Later(b.Heard, p.Met)
	b.Addrs = addrs(addrs(b.Addrs, p.Addrs...), p.Addr.Addr())
	if !p.Claim.Clock.IsZero() {
		off := p.Claim.Clock.Sub(p.Met).Round(time.Second / 10).Seconds()
		b.Clock = &off
	}
	why, unfollowed := s.unfollowed(p.Claim.Serial)
	switch {
	case b.Node == "" && unfollowed:
		s.out(b, why)
	case b.Node == "" && p.Claim.State.InSwarm() && s.Source == "" && s.ours(p.Claim):
		b.State, b.Role = picture.In, roleOf(p.Claim.State)
		if silent := s.now.Sub(p.Met); silent >= s.l.Timing.Rival {
			b.State, b.Why = picture.Down, fmt.Sprintf(whyUnheard, minutes(silent))
		}
	case b.Node == "":
		s.out(b, s.whyOut(p, b.Clock))
	case b.State == picture.Ready && p.Claim.State == peer.Worker && p.Claim.Waits != "":
		b.Why = sentence(p.Claim.Waits)
	case b.State == picture.Ready && s.unicast(p, hints):
		b.Why = whyUnicast
	}
}

// silent adds a board that announces itself and was not met lately. In a swarm that is no news: workers do not ask workers.
func (s sketch) silent(c roster.Contact) {
	b := s.entry(c.Hint, false)
	b.Addrs = addrs(b.Addrs, c.Addr.Addr())
	why, unfollowed := s.unfollowed(c.Hint.Serial)
	switch {
	case b.State != picture.Out:
	case unfollowed:
		s.out(b, why)
	case s.Source == "" && c.Hint.State.InSwarm() && c.Err == nil && s.ours(c.Hint):
		b.State, b.Role = picture.In, roleOf(c.Hint.State)
	default:
		s.out(b, s.whySilent(c))
	}
}
