// Package control is the local socket, over which commands on this board speak to the agent that runs on it. Only root
// and group pi-agent can open it.
package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/tame"
)

// Path is where the socket is unless the command line says otherwise.
const Path = "/run/pi-agent/agent.sock"

const (
	groupName = "pi-agent"       // who may speak to the agent beside root, where there is such a group
	callMax   = 10 * time.Second // a whole call, on either side
	dialMax   = time.Second      // until the agent, or the kernel for it, takes the connection
	answerMax = 64 << 10         // bytes of an answer
	headerMax = 4 << 10          // bytes of the header of a request
	pairPath  = "/v1/pair"
)

// Server answers commands.
type Server struct {
	// Pair lets new boards in for a while. It returns what was done in a sentence, or an error that says why not.
	Pair func() (string, error)
	// Reset takes the board out of its swarm, also when it is the only manager of the swarm with this id. It answers as
	// Pair.
	Reset func(ctx context.Context, swarmID string) (string, error)
	// Yield gives up the swarm with this id, or says what would be lost when the id is empty. Its results are as those
	// of Pair.
	Yield func(ctx context.Context, swarmID string) (string, error)
	// Reached lets the other boards probe the ports of this one, and returns by their names what each found shut, and
	// why.
	Reached func(ctx context.Context) (map[string]map[string]string, error)
	// Listening is called once commands are taken; nil tells nobody.
	Listening func()
}

// Run listens on the socket at path until ctx ends and then returns nil; an error means that it could not listen.
func (s Server) Run(ctx context.Context, path string) error {
	l, err := listen(ctx, path, share)
	if err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pairPath, answer(func(*http.Request) (string, error) { return s.Pair() }))
	mux.HandleFunc("POST "+resetPath, s.serveReset)
	mux.HandleFunc("POST "+yieldPath, answer(s.yield))
	mux.HandleFunc("POST "+probePath, answer(s.probe))
	h := &http.Server{Handler: mux, ReadTimeout: callMax, WriteTimeout: callMax, IdleTimeout: callMax}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() }) // no command is worth waiting for
	defer stop()
	if s.Listening != nil {
		s.Listening()
	}
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for commands: %w", err)
	}
	return nil
}

// answer makes the handler of a command.
func answer(do func(*http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := do(r)
		if err != nil {
			w.WriteHeader(http.StatusConflict)
			text = err.Error()
		}
		_, _ = io.WriteString(w, text) // who does not wait for the answer does not want it
	}
}

// listen makes the socket in the place of one that an agent before may have left, for those whom open lets in.
func listen(ctx context.Context, path string, open func(path string) error) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := open(path); err != nil {
		return nil, cmp.Or(err, l.Close())
	}
	return l, nil
}

// share lets the group in. The service's umask has kept everybody else out since the socket was made.
func share(path string) error {
	g, err := user.LookupGroup(groupName)
	if err != nil {
		return os.Chmod(path, 0o600)
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	if id != os.Getegid() { // otherwise the socket is the group's already, and the service's sandbox has no chown
		if err := os.Chown(path, -1, id); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// Pair calls Server.Pair of the agent that listens at path.
func Pair(ctx context.Context, path string) (string, error) {
	return call(ctx, path, pairPath, callMax)
}

// call gives a command to the agent that listens at path.
func call(ctx context.Context, path, command string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	text, ok, err := ask(ctx, path, http.MethodPost, command, answerMax)
	switch {
	case errors.Is(err, os.ErrPermission):
		return "", fmt.Errorf("only root and group %s may do that: try with sudo", groupName)
	case err != nil:
		return "", fmt.Errorf("the agent does not answer, is it running? "+
			"\"sudo systemctl restart pi-agent\" starts it anew: %w", err)
	case !ok:
		return "", errors.New(strings.TrimSpace(string(text)))
	}
	return strings.TrimSpace(string(text)), nil
}

// ask makes one request of the agent that listens at path. The answer has at most so many bytes, and is an error in
// words where it is not ok.
func ask(ctx context.Context, path, method, command string, most int) (answer []byte, ok bool, err error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialMax}).DialContext(ctx, "unix", path)
		},
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+command, nil)
	if err != nil {
		return nil, false, err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = res.Body.Close() }() // a failed close of a body that was read loses nothing
	answer, err = tame.Read(res.Body, most, "its answer", "use the pi-agent command of the version that runs")
	return answer, res.StatusCode == http.StatusOK, err
}
