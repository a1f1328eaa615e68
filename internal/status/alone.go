package status

import (
	"context"
	"time"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// aloneMax is how long drawing may take: a manager that has just lost the majority leaves its callers hanging.
const aloneMax = 4 * time.Second

// Alone is the picture that can be drawn on a board whose agent does not run: of itself, and of its swarm as far as its
// engine tells. doing says why nobody else draws it.
func Alone(ctx context.Context, self picture.Board, cluster string, doing say.Text,
	engine swarm.Engine) picture.Picture {
	ctx, cancel := context.WithTimeout(ctx, aloneMax)
	defer cancel()
	p := picture.Picture{Version: picture.Version, Drawn: time.Now(), Cluster: cluster, Self: self.Serial, Doing: doing,
		Needs: true}
	self.State, self.Why = picture.Out, say.Text{}
	switch s, err := engine.Status(ctx); {
	case err != nil:
		p.Doing = say.Join(" ", p.Doing, say.EngineUnasked.With(err).Dot())
	case s.State == swarm.Inactive:
		self.Engine = s.Version
		p.Doing = say.Join(" ", p.Doing, say.EngineUp.With(s.Version))
	default:
		self.Engine, self.Node, self.State, self.Role = s.Version, s.NodeID, picture.In, picture.Worker
		if s.Manager {
			self.Role = picture.Manager
		}
		p.Swarm = &picture.Swarm{ID: s.SwarmID, Node: s.NodeID, Managers: len(s.Managers)}
		p.Doing = say.Join(" ", p.Doing, say.EngineUpIn.With(s.Version, inWords(s.State)))
		if o, err := engine.Overview(ctx); err == nil {
			fromEngine(&p, o, self.Name)
		} else {
			p.Swarm.Leaderless = s.Manager && leaderless(s, err)
		}
	}
	found := false
	for i := range p.Boards {
		if b := &p.Boards[i]; b.Node == self.Node {
			b.Serial, b.Model, found = self.Serial, self.Model, true
		} else if b.State == picture.Down {
			b.Why = whyDown(*b, p.Board(b.Serial), p.Drawn, timing.Product())
		}
	}
	if !found {
		p.Boards = append(p.Boards, self)
	}
	p.Judge()
	return p
}

// inWords is the state of an engine that is in a swarm, or on its way into one.
func inWords(s swarm.State) say.Text {
	switch s {
	case swarm.Pending:
		return say.StatePending.With()
	case swarm.Failed:
		return say.StateFailed.With()
	case swarm.Locked:
		return say.StateLocked.With()
	}
	return say.StateActive.With()
}
