package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
)

// StatusName is the name of the second socket, in the directory of the first one. It only shows the picture of the
// cluster, in which there is no secret, so everybody on the board may open it: pi-agent status needs no sudo.
const StatusName = "status.sock"

const (
	statusPath = "/v1/status"
	statusMax  = 2 << 20 // bytes of a picture
)

// ErrNotRunning is the error when nobody listens on the socket.
var ErrNotRunning = errors.New("the agent does not run")

// Show listens on the socket at path until ctx ends and then returns nil; an error means that it could not listen.
// status returns the picture in JSON.
func Show(ctx context.Context, path string, status func(context.Context) ([]byte, error)) error {
	l, err := listen(ctx, path, func(path string) error { return os.Chmod(path, 0o666) })
	if err != nil {
		return fmt.Errorf("listen for status: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, r *http.Request) {
		text, err := status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // who does not wait for the answer does not want it
	})
	h := &http.Server{
		Handler: mux, ReadTimeout: callMax, WriteTimeout: callMax, IdleTimeout: callMax, MaxHeaderBytes: headerMax,
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() }) // nobody misses an answer
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for status: %w", err)
	}
	return nil
}

// Status asks the agent that listens at path for the picture of the cluster, in JSON. It takes at most 10 s. The error
// is ErrNotRunning when there is no agent.
func Status(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	text, ok, err := ask(ctx, path, http.MethodGet, statusPath, statusMax)
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, op.Err)
	case err != nil:
		return nil, fmt.Errorf("the agent does not answer: %w", err)
	case !ok:
		return nil, fmt.Errorf("the agent does not answer: %s", text)
	}
	return text, nil
}
