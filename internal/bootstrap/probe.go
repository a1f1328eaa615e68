package bootstrap

// Boards probe the ports of each other when one asks for it, for doctor.

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Probe implements enroll.Host.
func (h *host) Probe(ctx context.Context, p trust.Peer) (shut map[string]string) {
	return ports.ProbeAll(ctx, p.Addr.Addr(), p.Claim.State == peer.Manager)
}

// Reached lets the other boards of the swarm probe the ports of this one, and returns by their names what each found
// shut, and why. Those that do not answer are left out. It may be called from any goroutine, and takes up to 8 s.
func (h *host) Reached(ctx context.Context) (map[string]map[string]string, error) {
	claim := h.Claim()
	if !claim.State.InSwarm() {
		return nil, errors.New("this board is in no swarm")
	}
	reached := map[string]map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range h.peers() {
		if !p.Claim.State.InSwarm() {
			continue
		}
		name := cmp.Or(p.Claim.Hostname, p.Claim.Serial.Name())
		wg.Go(func() {
			shut, err := h.Asker.Probe(ctx, verified(p), claim)
			if err != nil {
				h.Log.Debug("A board did not probe the ports of this one.", zap.String("board", name), zap.Error(err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if _, twice := reached[name]; twice {
				name += " (" + p.Claim.Serial.Name() + ")"
			}
			reached[name] = shut
		})
	}
	wg.Wait()
	return reached, nil
}
