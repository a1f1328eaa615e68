package bootstrap

import (
	"context"
	"errors"
	"slices"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
)

// stacks are what is wrong with the Compose files of the board that leads, and what Docker leaves out of them, for only those
// count. Another manager asks that board.
func (l *Loop) stacks(ctx context.Context, p picture.Picture) (wrong, advice []string, err error) {
	i := slices.IndexFunc(p.Boards, func(b picture.Board) bool { return b.Role == picture.Leader })
	switch {
	case i < 0:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node && l.Stacks == nil:
		return nil, nil, nil
	case p.Boards[i].Node == p.Swarm.Node:
		wrong, advice = l.Stacks()
		return wrong, advice, nil
	}
	peers, _ := l.roster.Peers(l.Serial)
	for _, m := range peers {
		if m.Claim.Node == p.Boards[i].Node {
			lent, err := l.pictureOf(ctx, m)
			return lent.StackErrors, lent.StackAdvice, err
		}
	}
	return nil, nil, errors.New("the board that leads has not been met lately")
}

// pictureOf asks a manager for its picture.
func (l *Loop) pictureOf(ctx context.Context, m policy.Peer) (picture.Picture, error) {
	shown, err := l.Asker.Picture(ctx, verified(m), l.Claim())
	if err != nil {
		return picture.Picture{}, err
	}
	return picture.Decode(shown)
}
