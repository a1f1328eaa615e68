package status

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// render adds the boards to a picture.
type render struct {
	*picture.Picture
	Facts
}

func (r render) boards() {
	for i := range r.Boards {
		b := &r.Boards[i]
		b.Announced = b.Announced && b.Serial == r.View.Serial // who hears this board is the manager
	}
	r.self()
	met := map[peer.Serial]time.Time{r.View.Serial: r.Now}
	for _, p := range r.View.Boards.Peers {
		p = r.latest(p)
		met[p.Claim.Serial] = p.Met
		r.met(r.entry(p.Claim, r.drewIt() && r.Now.Sub(p.Met) < r.View.Timing.Out), p)
	}
	for _, p := range r.View.Boards.SameSerial {
		r.Boards = append(r.Boards,
			picture.Board{Serial: p.Claim.Serial, Name: cmp.Or(p.Claim.Hostname, p.Claim.Serial.Name()), Model: p.Claim.Model})
		r.met(&r.Boards[len(r.Boards)-1], p)
	}
	for _, c := range r.Unmet {
		if r.Now.Sub(met[c.Hint.Serial]) >= r.patience(c.Hint) {
			met[c.Hint.Serial] = r.Now
			r.silent(c)
		}
	}
	for i := range r.Boards {
		b := &r.Boards[i]
		for _, h := range r.Hints {
			if h.Claim.Serial == b.Serial {
				b.Announced, b.Heard = true, timing.Later(b.Heard, h.Heard)
			}
		}
		if b.State == picture.In && b.Role == picture.Worker && r.managerSilent() && !r.Swarm.Lost {
			b.Why = say.ManagerSilent.With()
		}
		if b.State == picture.Down && b.Why.IsZero() {
			b.Why = whyDown(*b, r.Board(b.Serial), r.Now, r.View.Timing)
		}
	}
	near := map[peer.Serial]bool{}
	for _, n := range r.Nearby {
		near[n.Serial] = true
	}
	for _, n := range r.Neighbours {
		if !near[n.Serial] && met[n.Serial].IsZero() {
			r.Nearby = append(r.Nearby,
				picture.Nearby{Serial: n.Serial, Cluster: n.Cluster, Why: whyNotOurs(n, r.Facts.Cluster, r.Tag)})
		}
	}
	sort.SliceStable(r.Boards, func(i, j int) bool {
		a, b := r.Boards[i], r.Boards[j]
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Serial, b.Serial), cmp.Compare(a.Name, b.Name)) < 0
	})
}

// latest is what a board has said last: where no manager shows the swarm, its newest announcement may be all there is,
// for workers do not ask workers.
func (r render) latest(p policy.Peer) policy.Peer {
	for _, h := range r.Hints {
		if r.Source == "" && h.Claim.Serial == p.Claim.Serial && h.Heard.After(p.Met) {
			if !p.Claim.Clock.IsZero() {
				p.Claim.Clock = p.Claim.Clock.Add(h.Heard.Sub(p.Met))
			}
			p.Met, p.Claim.State, p.Claim.Swarm, p.Claim.Waits = h.Heard, h.Claim.State, h.Claim.Swarm, say.Text{}
		}
	}
	return p
}

// managerSilent reports whether this board is a worker, and no manager of its swarm answers.
func (r render) managerSilent() bool {
	v := r.View
	answers := func(p policy.Peer) bool {
		return p.IsManagerOf(v.Engine.Status) && r.Now.Sub(p.Met) < r.View.Timing.ManagerSilent
	}
	met := func(p policy.Peer) bool { return p.IsManagerOf(v.Engine.Status) }
	return r.Source == "" && v.Engine.State == swarm.Active && !v.Engine.Manager &&
		!slices.ContainsFunc(v.Boards.Peers, answers) &&
		(slices.ContainsFunc(v.Boards.Peers, met) || r.Now.Sub(v.Swarm.Answered) >= r.View.Timing.ManagerSilent)
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

// entry is the entry of the board that makes this claim, made where there is none. A claim that is not fresh may be
// from before the board has joined, or from before it went.
func (r render) entry(c peer.Claim, fresh bool) *picture.Board {
	i := slices.IndexFunc(r.Boards, func(b picture.Board) bool { return c.Node != "" && b.Node == c.Node })
	if i < 0 && c.Node == "" {
		i = slices.IndexFunc(r.Boards, func(b picture.Board) bool {
			return b.Serial == c.Serial && (b.State != picture.Down || !fresh)
		})
	}
	if i < 0 {
		r.Boards = append(r.Boards, picture.Board{State: picture.Out})
		i = len(r.Boards) - 1
	}
	b := &r.Boards[i]
	b.Serial, b.Model = c.Serial, cmp.Or(c.Model, b.Model)
	b.Name = cmp.Or(b.Name, c.Hostname, c.Serial.Name())
	return b
}

// self is this board. It knows itself best.
func (r render) self() {
	v := r.View
	c := r.Claim
	b := r.entry(c, true)
	b.Heard = r.Now
	if r.drewIt() { // otherwise it is the manager who hears this board, or not
		b.Announced = r.Now.Sub(r.SelfHeard) < r.View.Timing.UnheardMax
	}
	if v.Engine.Err == nil {
		b.Engine = v.Engine.Version
	}
	if r.View.Network.Link == nil {
		b.Addrs = Addrs(b.Addrs, r.Link.Addr, r.Link.Stable)
		r.Interface = r.Link.Name
	}
	switch {
	case r.Swarm == nil:
		b.State, b.Why = picture.Out, r.Doing
		if !c.Waits.IsZero() { // why it was refused rather than what it tries
			b.Why = c.Waits.Dot()
		}
	case r.Source == "":
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

// drewIt reports whether the list of nodes is this board's own, or there is none. Otherwise the manager whose list it
// is has met the boards since.
func (r render) drewIt() bool { return r.Source == "" || r.Source == r.Name() }

// out says why a board is not in. A manager, which lets boards in, knows that better than a worker.
func (r render) out(b *picture.Board, why say.Text) {
	if r.drewIt() || b.Why.IsZero() {
		b.State, b.Why = picture.Out, why
	}
}

// ours reports whether that board may be in the swarm of this one, as far as is known.
func (r render) ours(c peer.Claim) bool {
	return r.Swarm == nil || r.Swarm.ID == "" || c.Swarm == "" || c.Swarm == r.Swarm.ID
}

// met takes in what the board of this entry has said.
func (r render) met(b *picture.Board, p policy.Peer) {
	b.Heard = timing.Later(b.Heard, p.Met)
	b.Addrs = Addrs(Addrs(b.Addrs, p.Addrs...), p.Addr.Addr())
	if !p.Claim.Clock.IsZero() {
		off := p.Claim.Clock.Sub(p.Met).Round(time.Second / 10).Seconds()
		b.Clock = &off
	}
	why, unfollowed := r.unfollowed(p.Claim.Serial)
	switch {
	case b.Node == "" && unfollowed:
		r.out(b, why)
	case b.Node == "" && p.Claim.State.InSwarm() && r.Source == "" && r.ours(p.Claim):
		b.State, b.Role = picture.In, roleOf(p.Claim.State)
		if silent := r.Now.Sub(p.Met); silent >= r.View.Timing.Rival {
			b.State, b.Why = picture.Down, say.Unheard.With(minutes(silent))
		}
	case b.Node == "":
		r.out(b, r.whyOut(p, b.Clock))
	case b.State == picture.Ready && p.Claim.State == peer.Worker && !p.Claim.Waits.IsZero():
		b.Why = p.Claim.Waits.Dot()
	case b.State == picture.Ready && r.unicast(p):
		b.Why = say.Unicast.With()
	}
}

// silent adds a board that announces itself and was not met lately. In a swarm that is no news: workers do not ask
// workers.
func (r render) silent(c roster.Contact) {
	b := r.entry(c.Hint, false)
	b.Addrs = Addrs(b.Addrs, c.Addr.Addr())
	why, unfollowed := r.unfollowed(c.Hint.Serial)
	switch {
	case b.State != picture.Out:
	case unfollowed:
		r.out(b, why)
	case r.Source == "" && c.Hint.State.InSwarm() && c.Err == nil && r.ours(c.Hint):
		b.State, b.Role = picture.In, roleOf(c.Hint.State)
	default:
		r.out(b, r.whySilent(c))
	}
}
