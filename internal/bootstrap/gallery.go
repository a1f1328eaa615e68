package bootstrap

// The picture of the cluster for people: drawn when somebody looks, from what the loop has seen in its newest turn, what
// the roster and discovery know, and one overview of the swarm. A manager asks its engine for that, a worker asks a manager.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

const (
	pictureAge = time.Second     // how old a picture may be that is shown once more
	drawMax    = 4 * time.Second // for drawing one; a manager that has just lost the majority leaves its callers hanging
)

// gallery draws pictures for whoever looks, from any goroutine. The newest is kept for a moment, so that however many look cost
// the engine one look a second.
type gallery struct {
	*host
	mu     sync.Mutex
	at     time.Time
	newest picture.Picture
}

// Picture is the cluster as this board knows it, at most a second old. It may be called from any goroutine, and takes up to
// 4 s. What is returned is shared: do not change it.
func (g *gallery) Picture(ctx context.Context) picture.Picture {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.at) >= pictureAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drawMax) // for all who look
		defer cancel()
		g.newest = g.draw(ctx)
		g.at = time.Now()
	}
	return g.newest
}

// Look implements enroll.Host: a manager shows the picture to the boards of its swarm, and to nobody else.
func (g *gallery) Look(ctx context.Context, p enroll.Peer) (json.RawMessage, error) {
	if g.Load().ticket == nil {
		return nil, errors.New("this board is not a manager now")
	}
	shown := g.Picture(ctx)
	if shown.Source == "" { // nor can it tell who is a node
		return picture.Picture{Swarm: &picture.Swarm{Leaderless: true}}.Encode()
	}
	node := func(b picture.Board) bool {
		return b.Node != "" && b.Node == p.Claim.Node && slices.ContainsFunc(b.Addrs, func(a netip.Addr) bool { return g.metAt(p, a) })
	}
	if !slices.ContainsFunc(shown.Boards, node) {
		return nil, fmt.Errorf("%s is not a node of this swarm", p.Claim.Serial.Name())
	}
	return shown.Encode()
}

// metAt reports whether the board p is at addr, or was met there.
func (g *gallery) metAt(p enroll.Peer, addr netip.Addr) bool {
	if p.Addr.Addr() == addr {
		return true
	}
	return slices.ContainsFunc(g.peers(), func(o policy.Peer) bool { return o.Key == p.Key && o.At(addr) })
}

// draw makes the picture.
func (g *gallery) draw(ctx context.Context) picture.Picture {
	seen := g.Load()
	if seen.action.Rule == "" {
		return picture.Picture{Version: picture.Version, Drawn: time.Now(), Cluster: g.Cluster, Keyed: g.Tag != "", Self: g.Serial,
			Doing: say.JustStarted.With()}
	}
	f := g.facts(seen)
	p := status.Begin(f)
	engine := f.Engine()
	var err error
	switch {
	case engine.State == swarm.Active && engine.Manager:
		err = g.overview(ctx, &p, f.Name())
	case engine.State == swarm.Active:
		err = g.fetch(ctx, &p, f.View)
	}
	if err != nil {
		g.Log.Debug("The picture of the cluster lacks something of the swarm: " + err.Error())
		p.Swarm.Leaderless = p.Swarm.Leaderless || status.Leaderless(engine, err)
	}
	status.Finish(&p, f)
	g.obstruct(&p)
	for _, s := range g.sharedIDs() {
		p.Warnings = append(p.Warnings, picture.Warning{Text: s.text(), Remedy: s.help()})
	}
	return p
}

// facts are what the newest turn has seen, and whom the board has heard and met since.
func (g *gallery) facts(seen *snapshot) status.Facts {
	heard, now := g.Discovery.Snapshot(), time.Now()
	f := status.Facts{
		Now: now, Cluster: g.Cluster, Tag: g.Tag, Keyless: g.Pins != nil, View: seen.view, Action: seen.action, Claim: seen.claim,
		Hints: heard.Hints, SelfHeard: heard.SelfHeard, Neighbours: g.Discovery.Nearby(), Unmet: g.roster.Unmet(now),
	}
	f.View.Boards.Peers, f.View.Boards.SameSerial = g.roster.Peers(g.Serial)
	choice, err := g.Network.Link()
	f.Link, f.View.Network.Link = choice.Link, err
	return f
}

// overview takes in what the engine of a manager of that name knows.
func (g *gallery) overview(ctx context.Context, p *picture.Picture, name string) error {
	o, err := g.Engine.Overview(ctx)
	if err != nil {
		return err
	}
	status.FromEngine(p, o, name)
	p.StackErrors, p.StackAdvice, err = g.stacks(ctx, *p)
	return err
}

// fetch takes in what a manager of this worker's swarm shows.
func (g *gallery) fetch(ctx context.Context, p *picture.Picture, v policy.View) error {
	failed := errors.New("no manager has answered lately")
	for _, m := range g.peers() {
		if m.Claim.State != peer.Manager || !m.IsManagerOf(v.Engine.Status) {
			continue
		}
		lent, err := g.pictureOf(ctx, m)
		if err == nil && lent.Source == "" {
			p.Swarm.Leaderless = lent.Swarm != nil && lent.Swarm.Leaderless
			err = errors.New("a manager knows no more than this board")
		}
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

// stacks are what is wrong with the Compose files of the board that leads, and what Docker leaves out of them, for only those
// count. Another manager asks that board.
func (g *gallery) stacks(ctx context.Context, p picture.Picture) (wrong, advice []say.Text, err error) {
	i := slices.IndexFunc(p.Boards, func(b picture.Board) bool { return b.Role == picture.Leader })
	switch {
	case i < 0:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node && g.Stacks == nil:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node:
		wrong, advice = g.Stacks()
		return wrong, advice, nil
	}
	for _, m := range g.peers() {
		if m.Claim.Node == p.Boards[i].Node {
			lent, err := g.pictureOf(ctx, m)
			return lent.StackErrors, lent.StackAdvice, err
		}
	}
	return nil, nil, errors.New("the board that leads has not been met lately")
}

// pictureOf asks a manager for its picture.
func (g *gallery) pictureOf(ctx context.Context, m policy.Peer) (picture.Picture, error) {
	shown, err := g.Asker.Picture(ctx, verified(m), g.Claim())
	if err != nil {
		return picture.Picture{}, err
	}
	return picture.Decode(shown)
}

// obstruct adds what is in the way on this board to its picture. What is told there already is left out.
func (g *gallery) obstruct(p *picture.Picture) {
	if g.Obstacles == nil {
		return
	}
	var all []picture.Warning
	for _, w := range g.Obstacles() {
		if !p.Needs || say.Join(" ", w.Text, w.Remedy) != p.Doing {
			all = append(all, w)
		}
	}
	p.Warnings = append(all, p.Warnings...)
}
