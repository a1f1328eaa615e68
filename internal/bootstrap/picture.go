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
	"strings"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

const (
	pictureAge = time.Second     // how old a picture may be that is shown once more
	drawMax    = 4 * time.Second // for drawing one; a manager that has just lost the majority leaves its callers hanging
)

// snapshot is what a turn of the loop has seen and decided.
type snapshot struct {
	view   policy.View
	action policy.Action
}

// latestPicture keeps the newest picture for a moment, so that however many look at it cost the engine one look a second.
type latestPicture struct {
	mu    sync.Mutex
	at    time.Time
	shown picture.Picture
}

// Picture is the cluster as this board knows it, at most a second old. It may be called from any goroutine, and takes up to
// 4 s. What is returned is shared: do not change it.
func (l *Loop) Picture(ctx context.Context) picture.Picture {
	l.picture.mu.Lock()
	defer l.picture.mu.Unlock()
	if now := time.Now(); now.Sub(l.picture.at) >= pictureAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drawMax) // for all who look
		defer cancel()
		l.picture.shown = l.draw(ctx)
		l.picture.at = time.Now()
	}
	return l.picture.shown
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

// draw makes the picture.
func (l *Loop) draw(ctx context.Context) picture.Picture {
	seen := l.snapshot.Load()
	if seen == nil {
		return picture.Picture{Version: picture.Version, Drawn: time.Now(), Cluster: l.Cluster, Keyed: l.Tag != "", Self: l.Serial,
			Doing: "The agent has just started."}
	}
	f := l.facts(*seen)
	p := status.Begin(f)
	engine := f.Engine()
	var err error
	switch {
	case engine.State == swarm.Active && engine.Manager:
		err = l.overview(ctx, &p, f.Name())
	case engine.State == swarm.Active:
		err = l.fetch(ctx, &p, f.View)
	}
	if err != nil {
		l.Log.Debug("The picture of the cluster lacks something of the swarm: " + err.Error())
		p.Swarm.Leaderless = status.Leaderless(engine, err) || errors.Is(err, enroll.ErrRefused) && strings.Contains(err.Error(), errNoMajority.Error())
	}
	status.Finish(&p, f)
	l.obstruct(&p)
	for _, s := range l.sharedIDs() {
		p.Warnings = append(p.Warnings, picture.Warning{Text: s.text(), Remedy: s.help()})
	}
	return p
}

// facts are what the newest turn has seen, and whom the board has heard and met since.
func (l *Loop) facts(seen snapshot) status.Facts {
	heard, now := l.Discovery.Snapshot(), time.Now()
	f := status.Facts{
		Now: now, Cluster: l.Cluster, Tag: l.Tag, Keyless: l.Pins != nil, View: seen.view, Action: seen.action, Claim: l.Claim(),
		Hints: heard.Hints, SelfHeard: heard.SelfHeard, Neighbours: l.Discovery.Nearby(), Unmet: l.roster.Unmet(now),
	}
	f.View.Boards.Peers, f.View.Boards.SameSerial = l.roster.Peers(l.Serial)
	choice, err := l.Network.Link()
	f.Link, f.View.Network.Link = choice.Link, err
	return f
}

// errNoMajority is what a manager that cannot show the swarm tells the boards that ask it.
var errNoMajority = errors.New("the managers have no majority now")

// overview takes in what the engine of a manager of that name knows.
func (l *Loop) overview(ctx context.Context, p *picture.Picture, name string) error {
	o, err := l.Engine.Overview(ctx)
	if err != nil {
		return err
	}
	status.FromEngine(p, o, name)
	p.StackErrors, p.StackAdvice, err = l.stacks(ctx, *p)
	return err
}

// fetch takes in what a manager of this worker's swarm shows.
func (l *Loop) fetch(ctx context.Context, p *picture.Picture, v policy.View) error {
	failed := errors.New("no manager has answered lately")
	peers, _ := l.roster.Peers(l.Serial)
	for _, m := range peers {
		if m.Claim.State != peer.Manager || !m.IsManagerOf(v.Engine.Status) {
			continue
		}
		lent, err := l.pictureOf(ctx, m)
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
