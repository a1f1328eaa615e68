package control

import (
	"context"
	"net/http"
	"net/url"
)

const yieldPath = "/v1/yield"

// yield answers the command of that name.
func (s Server) yield(r *http.Request) (string, error) {
	return s.Yield(r.Context(), r.URL.Query().Get("swarm"))
}

// Yield calls Server.Yield of the agent that listens at path.
func Yield(ctx context.Context, path, swarmID string) (string, error) {
	return call(ctx, path, yieldPath+"?"+url.Values{"swarm": {swarmID}}.Encode(), callMax)
}
