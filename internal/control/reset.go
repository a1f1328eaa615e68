package control

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const (
	resetPath = "/v1/reset"
	resetMax  = 90 * time.Second // a manager becomes a worker first, and an engine that joins waits for the end of that
)

// serveReset answers the command with that name.
func (s Server) serveReset(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), resetMax)
	defer cancel()
	// Without it the answer is late, and lost.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(resetMax))
	answer(func(r *http.Request) (string, error) { return s.Reset(ctx, r.URL.Query().Get("swarm")) })(w, r)
}

// Reset calls Server.Reset of the agent that listens at path.
func Reset(ctx context.Context, path, swarmID string) (string, error) {
	return call(ctx, path, resetPath+"?"+url.Values{"swarm": {swarmID}}.Encode(), resetMax)
}
