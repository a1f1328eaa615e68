package enroll

// The third request beside hello and join: a board of the swarm asks its manager for the picture of the cluster.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const (
	lookMax    = 5 * time.Second // one look, as the asker sees it: a manager may have to ask its engine first
	pictureMax = 1 << 20         // bytes of the answer; 30 boards with 20 services have about 20 kB
)

// answerLimit is how many bytes the answer to a request may have.
func answerLimit(path string) int {
	if path == lookPath {
		return pictureMax
	}
	return bodyMax
}

// Picture asks the manager at m.Addr for its picture of the cluster, in JSON. The answer counts only when it comes from
// the very board that said hello as m. It takes at most 5 s.
func (c *Client) Picture(ctx context.Context, m trust.Peer, claim peer.Claim) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	var answer json.RawMessage
	if err := c.postTo(ctx, m, lookPath, claim, &answer); err != nil {
		return nil, fmt.Errorf("ask %s for its picture of the cluster: %w", m.Addr, err)
	}
	return answer, nil
}

func (s *Server) look(ctx context.Context, p trust.Peer) (status int, answer any) {
	shown, err := s.host.Look(ctx, p)
	if err != nil {
		return http.StatusConflict, refusal{err.Error()}
	}
	return http.StatusOK, shown
}
