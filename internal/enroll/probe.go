package enroll

// The fourth request: a board asks another one to probe its ports. Whether a firewall on it lets the others in, it
// cannot find out by itself.

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const (
	probeMax  = 8 * time.Second // one request, as the asker sees it
	probesMax = 3               // boards for which one probes at the same time
)

// Probe asks the board at p.Addr to probe the ports of this one, and returns why those are shut that are, by their
// names. The answer counts only when it comes from the very board that said hello as p. It takes at most 8 s.
func (c *Client) Probe(ctx context.Context, p trust.Peer, claim peer.Claim) (shut map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeMax)
	defer cancel()
	if err := c.postTo(ctx, p, probePath, claim, &shut); err != nil {
		return nil, fmt.Errorf("ask %s to probe the ports of this board: %w", p.Addr, err)
	}
	return shut, nil
}

// probe goes to the address where the request came from and to no other: what boards ask for cannot be turned on
// somebody else.
func (s *Server) probe(ctx context.Context, p trust.Peer) (status int, answer any) {
	select {
	case s.probes <- struct{}{}:
		defer func() { <-s.probes }()
	default:
		return http.StatusTooManyRequests, refusal{"this board probes the ports of others now"}
	}
	return http.StatusOK, s.host.Probe(ctx, p)
}
