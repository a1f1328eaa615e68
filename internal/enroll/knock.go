package enroll

// The fourth request: a board asks another one to knock at its ports. Whether a firewall on it lets the others in, it cannot find
// out by itself.

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const (
	knockMax  = 8 * time.Second // one request, as the asker sees it
	knocksMax = 3               // boards for which one knocks at the same time
)

// Knock asks the board at p.Addr to knock at the ports of this one, and returns why those are shut that are, by their names. The answer
// counts only when it comes from the very board that said hello as p. It takes at most 8 s.
func (c *Client) Knock(ctx context.Context, p trust.Peer, claim peer.Claim) (shut map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, knockMax)
	defer cancel()
	if err := c.postTo(ctx, p, knockPath, claim, &shut); err != nil {
		return nil, fmt.Errorf("ask %s to knock: %w", p.Addr, err)
	}
	return shut, nil
}

// knock goes to the address where the request came from and to no other: what boards ask for cannot be turned on somebody else.
func (s *Server) knock(ctx context.Context, p trust.Peer) (status int, answer any) {
	select {
	case s.knocks <- struct{}{}:
		defer func() { <-s.knocks }()
	default:
		return http.StatusTooManyRequests, refusal{"this board knocks for others now"}
	}
	return http.StatusOK, s.host.Knock(ctx, p)
}
