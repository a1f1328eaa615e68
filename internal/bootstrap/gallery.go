package bootstrap

// The picture of the cluster for people: drawn when somebody looks, from what the loop has seen in its newest turn,
// what the roster and discovery know, and one overview of the swarm. A manager asks its engine for that, a worker asks
// a manager.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const (
	pictureAge = time.Second     // how old a picture may be that is shown once more
	drawMax    = 4 * time.Second // for drawing one; a manager that has just lost the majority leaves its callers hanging
)

// gallery draws pictures for whoever looks, from any goroutine. The newest is kept for a moment, so that however many
// look cost the engine one look a second.
type gallery struct {
	*host
	mu     sync.Mutex
	at     time.Time
	newest picture.Picture
}

// Picture is the cluster as this board knows it, at most a second old. It may be called from any goroutine, and takes
// up to 4 s. What is returned is shared: do not change it.
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
func (g *gallery) Look(ctx context.Context, p trust.Peer) (json.RawMessage, error) {
	if g.Claim().State != peer.Manager {
		return nil, errors.New("this board is not a manager now")
	}
	shown := g.Picture(ctx)
	if shown.Source == "" { // nor can it tell who is a node
		return picture.Picture{Swarm: &picture.Swarm{Leaderless: true}}.Encode()
	}
	node := func(b picture.Board) bool {
		return b.Node != "" && b.Node == p.Claim.Node && slices.ContainsFunc(b.Addrs, func(a netip.Addr) bool {
			return g.metAt(p, a)
		})
	}
	if !slices.ContainsFunc(shown.Boards, node) {
		return nil, fmt.Errorf("%s is not a node of this swarm", p.Claim.Serial.Name())
	}
	return shown.Encode()
}

// metAt reports whether the board p is at addr, or was met there.
func (g *gallery) metAt(p trust.Peer, addr netip.Addr) bool {
	if p.Addr.Addr() == addr {
		return true
	}
	return slices.ContainsFunc(g.peers(), func(o policy.Peer) bool { return o.Key == p.Key && o.At(addr) })
}

// draw makes the picture.
func (g *gallery) draw(ctx context.Context) picture.Picture {
	seen := g.Load()
	if seen.action.Rule == "" {
		return picture.Picture{Version: picture.Version, Drawn: time.Now(), Cluster: g.Cluster, Keyed: g.Tag != "",
			Self:  g.Serial,
			Doing: say.JustStarted.With()}
	}
	sources := status.Sources{
		Engine: g.Engine, Stacks: g.Stacks, Obstacles: g.Obstacles, Log: g.Log,
		Manager: func(ctx context.Context, m policy.Peer) ([]byte, error) {
			return g.Asker.Picture(ctx, verified(m), g.Claim())
		},
	}
	return sources.Draw(ctx, g.facts(seen))
}

// facts are what the newest turn has seen, and whom the board has heard and met since.
func (g *gallery) facts(seen *snapshot) status.Facts {
	heard, now := g.Discovery.Snapshot(), time.Now()
	f := status.Facts{
		Now: now, Cluster: g.Cluster, Tag: g.Tag, Keyless: g.Pins != nil, View: seen.view, Action: seen.action,
		Claim: seen.claim,
		Hints: heard.Hints, SelfHeard: heard.SelfHeard, Neighbours: g.Discovery.Nearby(), Unmet: g.roster.Unmet(now),
	}
	f.View.Boards.Peers, f.View.Boards.SameSerial = g.roster.Peers(g.Serial)
	choice, err := g.Network.Link()
	f.Link, f.View.Network.Link = choice.Link, err
	return f
}
