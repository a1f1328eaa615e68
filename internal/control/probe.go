package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

const probePath = "/v1/probe"

// probe answers the command with that name.
func (s Server) probe(r *http.Request) (string, error) {
	reached, err := s.Reached(r.Context())
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(reached)
	return string(text), err
}

// Reached calls Server.Reached of the agent that listens at path.
func Reached(ctx context.Context, path string) (reached map[string]map[string]string, err error) {
	text, err := call(ctx, path, probePath, callMax)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &reached); err != nil {
		return nil, fmt.Errorf("the answer of the agent is not understood: %w", err)
	}
	return reached, nil
}
