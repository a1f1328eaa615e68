package policy

// Copies: the card of this board was in another one before. Either it was copied, and the other board goes on with the
// same membership of the swarm; then this one leaves it, which the other does not notice, and joins under its own name.
// Or it was moved, because a board broke; then the membership is this board's, for a swarm may have no other manager.
// Which of the two it is shows within minutes: two members with one node id are there, or not.

import (
	"cmp"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// copiedCard decides for a board with the card of another one that is met.
func copiedCard(v View) (Action, bool) {
	node := cmp.Or(v.Engine.NodeID, v.Member.Node) // an engine that cannot enter its swarm does not say which node it is
	if v.Member.From == "" || v.Engine.State == swarm.Inactive || node == "" {
		return Action{}, false
	}
	for _, p := range v.Boards.Peers {
		if p.Claim.Node == node && v.answers(p) {
			return Action{Kind: LeaveCopy, Reason: say.CopiedCard.With(p.name())}, true
		}
	}
	return Action{}, false
}
