package status

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Sources are whom to ask for what this board does not know by itself.
type Sources struct {
	Engine swarm.Engine // of this board, when it manages the swarm
	// Manager asks a manager of this board's swarm for its picture, encoded.
	Manager func(ctx context.Context, m policy.Peer) ([]byte, error)
	// Stacks is what is wrong with the Compose files of this board, and what Docker leaves out of them; nil without any.
	Stacks    func() (wrong, advice []say.Text)
	Obstacles func() []picture.Warning // what is in the way on this board; nil for nothing
	Log       *zap.Logger
}

// Draw draws the picture of the cluster. A manager asks its engine for the swarm, a worker asks a manager.
func (s Sources) Draw(ctx context.Context, f Facts) picture.Picture {
	p := begin(f)
	engine := f.engine()
	var err error
	switch {
	case engine.State == swarm.Active && engine.Manager:
		err = s.overview(ctx, &p, f)
	case engine.State == swarm.Active:
		err = s.fetch(ctx, &p, f)
	}
	if err != nil {
		s.Log.Debug("The picture of the cluster lacks something of the swarm: " + err.Error())
		p.Swarm.Leaderless = p.Swarm.Leaderless || leaderless(engine, err)
	}
	render{&p, f}.boards()
	p.Judge()
	s.addObstacles(&p)
	for _, shared := range SharedIDs(f.Claim, f.View.Boards.Peers) {
		p.Warnings = append(p.Warnings, picture.Warning{Text: shared.Text(), Remedy: shared.Help()})
	}
	return p
}

// overview takes in what the engine of this manager knows.
func (s Sources) overview(ctx context.Context, p *picture.Picture, f Facts) error {
	o, err := s.Engine.Overview(ctx)
	if err != nil {
		return err
	}
	fromEngine(p, o, f.Name())
	p.StackErrors, p.StackAdvice, err = s.stacks(ctx, *p, f)
	return err
}

// fetch takes in what a manager of this worker's swarm shows.
func (s Sources) fetch(ctx context.Context, p *picture.Picture, f Facts) error {
	failed := errors.New("no manager has answered lately")
	for _, m := range f.View.Boards.Peers {
		if m.Claim.State != peer.Manager || !m.IsManagerOf(f.View.Engine.Status) {
			continue
		}
		lent, err := s.pictureOf(ctx, m)
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
			if p.Needs && p.Doing != lent.Doing {
				p.Doing = say.Join(" ", p.Doing, lent.Doing)
			} else {
				p.Doing, p.Needs = lent.Doing, true
			}
		}
		return nil
	}
	return failed
}

// stacks are what is wrong with the Compose files of the board that leads, and what Docker leaves out of them, for only
// those count. Another manager asks that board.
func (s Sources) stacks(ctx context.Context, p picture.Picture, f Facts) (wrong, advice []say.Text, err error) {
	i := slices.IndexFunc(p.Boards, func(b picture.Board) bool { return b.Role == picture.Leader })
	switch {
	case i < 0:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node && s.Stacks == nil:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node:
		wrong, advice = s.Stacks()
		return wrong, advice, nil
	}
	for _, m := range f.View.Boards.Peers {
		if m.Claim.Node == p.Boards[i].Node {
			lent, err := s.pictureOf(ctx, m)
			return lent.StackErrors, lent.StackAdvice, err
		}
	}
	return nil, nil, errors.New("the board that leads has not been met lately")
}

// pictureOf asks a manager for its picture.
func (s Sources) pictureOf(ctx context.Context, m policy.Peer) (picture.Picture, error) {
	shown, err := s.Manager(ctx, m)
	if err != nil {
		return picture.Picture{}, err
	}
	return picture.Decode(shown)
}

// addObstacles adds what is in the way on this board to its picture. What is told there already is left out.
func (s Sources) addObstacles(p *picture.Picture) {
	if s.Obstacles == nil {
		return
	}
	var all []picture.Warning
	for _, w := range s.Obstacles() {
		if !p.Needs || say.Join(" ", w.Text, w.Remedy) != p.Doing {
			all = append(all, w)
		}
	}
	p.Warnings = append(all, p.Warnings...)
}
