package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	api "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// stub is an engine that answers what the test says, by method and path without the version, such as "GET /info".
type stub struct {
	mu      sync.Mutex
	version string // of the API
	answers map[string]func(http.ResponseWriter, *http.Request)
	calls   []string
}

var versioned = regexp.MustCompile(`^/v([0-9.]+)`)

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Api-Version", s.version)
	if r.URL.Path == "/_ping" {
		return
	}
	body, _ := io.ReadAll(r.Body) // at once, else the client may see its connection end before the answer
	r.Body = io.NopCloser(bytes.NewReader(body))
	if v := versioned.FindStringSubmatch(r.URL.Path); v != nil && v[1] > s.version {
		text := "client version %s is too new. Maximum supported API version is %s"
		refuse(w, http.StatusBadRequest, fmt.Sprintf(text, v[1], s.version))
		return
	}
	call := r.Method + " " + versioned.ReplaceAllString(r.URL.Path, "")
	s.calls = append(s.calls, call)
	if answer, ok := s.answers[call]; ok {
		answer(w, r)
		return
	}
	refuse(w, http.StatusTeapot, "nobody expected "+call)
}

func (s *stub) count(call string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message}) // the client sees what is missing
}

func refusal(status int, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, message) }
}

func reply(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body)) // the client sees what is missing
	}
}

// serve starts the stub and returns the Docker that talks to it.
func serve(t testing.TB, s *stub) *Docker {
	t.Helper()
	if s.version == "" {
		s.version = "1.41"
	}
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(l) }() // ends with Close
	d := NewDocker("unix://"+path, zap.NewNop())
	t.Cleanup(func() {
		d.Close()
		check(t, server.Close())
	})
	return d
}

const inactive = `{"Name":"pi1","ServerVersion":"26.1.5","Swarm":{"LocalNodeState":"inactive"}}`

func TestUnreachable(t *testing.T) {
	t.Run("no socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "docker.sock")
		_, err := NewDocker("unix://"+path, zap.NewNop()).Status(t.Context())
		wantErr(t, "Status", err, ErrUnreachable)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name the socket", err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "docker.sock")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		must(t, err)
		l.SetUnlinkOnClose(false)
		check(t, l.Close())
		_, err = NewDocker("unix://"+path, zap.NewNop()).Status(t.Context())
		wantErr(t, "Status", err, ErrUnreachable)
	})
	t.Run("no permission", func(t *testing.T) {
		c, err := client.NewClientWithOpts(client.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
		}))
		must(t, err)
		d := NewDocker("", zap.NewNop())
		d.api = c
		_, err = d.Status(t.Context())
		wantErr(t, "Status", err, ErrUnreachable)
		wantErr(t, "Status", err, ErrNoPermission)
		if err == nil || !strings.Contains(err.Error(), "root or in group docker") {
			t.Errorf("%v does not say what to do", err)
		}
	})
	t.Run("goes away", func(t *testing.T) {
		for _, sent := range []string{"", `{"Name":"pi`} {
			d := serve(t, &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
				"GET /info": func(w http.ResponseWriter, r *http.Request) {
					if sent != "" {
						reply(sent)(w, r)
						_ = http.NewResponseController(w).Flush() // the client sees what is missing
					}
					panic(http.ErrAbortHandler)
				},
			}})
			_, err := d.Status(t.Context())
			wantErr(t, "Status", err, ErrUnreachable)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		hang := make(chan struct{})
		d := serve(t, &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
			"GET /info": func(http.ResponseWriter, *http.Request) { <-hang },
		}})
		defer close(hang)
		began := time.Now()
		_, err := d.Status(t.Context())
		wantErr(t, "Status", err, ErrUnreachable)
		if took := time.Since(began); took > statusMax+2*time.Second {
			t.Errorf("Status took %v, want %v", took, statusMax)
		}
	})
}

func TestBadAddress(t *testing.T) {
	_, err := NewDocker("nonsense", zap.NewNop()).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v, want an error that names the address", err)
	}
}

// An engine that is exchanged for an older one is asked with its own version of the API from then on.
func TestEngineDowngraded(t *testing.T) {
	s := &stub{version: "1.51", answers: map[string]func(http.ResponseWriter, *http.Request){"GET /info": reply(inactive)}}
	d := serve(t, s)
	status(t, d)
	s.mu.Lock()
	s.version = "1.41"
	s.mu.Unlock()
	if got := status(t, d).Version; got != "26.1.5" {
		t.Errorf("version %q", got)
	}
}

func TestSorted(t *testing.T) {
	tests := []struct {
		status int
		text   string
		want   error // nil: none of ours
	}{
		{503, "This node is already part of a swarm. Use \"docker swarm leave\" to leave this swarm.", ErrAlready},
		{503, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect.",
			ErrNotManager},
		{503, "This node is not part of a swarm", ErrNotMember},
		{503, "Swarm is encrypted and needs to be unlocked before it can be used.", ErrLocked},
		{503, "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.", ErrLocked},
		{500, "--live-restore daemon configuration is incompatible with swarm mode", ErrLiveRestore},
		{500, "--firewall-backend=nftables is incompatible with swarm mode", ErrNftables},
		{500, "--cluster-store and --cluster-advertise daemon configurations are incompatible with swarm mode",
			ErrClusterStore},
		{503, "You are attempting to leave the swarm on a node that is participating as a manager. " +
			"Removing the last manager erases all current state of the swarm.", ErrLastManager},
		{503, "You are attempting to leave the swarm on a node that is participating as a manager. " +
			"Removing this node leaves 1 managers out of 2.", ErrIsManager},
		{500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", ErrNoLeader},
		{500, "rpc error: code = Unknown desc = The swarm does not have a leader.", ErrNoLeader},
		{503, "Timeout was reached before node joined. The attempt will continue in the background.", ErrPending},
		{500, "remote CA does not match fingerprint. Expected: 1234", ErrRefused},
		{400, "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster", ErrRefused},
		{500, "invalid join token", ErrRefused},
		{404, "node x not found", ErrNoNode},
		{400, "advertise address must be a non-zero IP", nil},
	}
	kinds := []error{
		ErrUnreachable, ErrAlready, ErrNotManager, ErrNotMember, ErrNoLeader, ErrPending, ErrRefused, ErrLocked, ErrLiveRestore, ErrNftables, ErrClusterStore,
		ErrLastManager, ErrIsManager, ErrNoNode,
	}
	for _, tt := range tests {
		d := serve(t, &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
			"POST /swarm/leave": refusal(tt.status, tt.text),
		}})
		err := d.Leave(t.Context(), false)
		for _, kind := range kinds {
			if errors.Is(err, kind) != (kind == tt.want) {
				t.Errorf("%q became %v", tt.text, err)
			}
		}
		if tt.want == nil && err.Error() != tt.text {
			t.Errorf("%q became %q, want the engine's own words", tt.text, err)
		}
	}
}

// Whether a join worked is what the engine's state says, and not its words.
func TestJoinBelievesState(t *testing.T) {
	tests := []struct {
		name, state string
		leave       func(http.ResponseWriter, *http.Request)
		want        error
	}{
		{"in after all", "active", nil, nil},
		{"unknown words", "inactive", nil, ErrRefused},
		{"on its way", "pending", reply(""), ErrRefused},
		{"failed on its way", "error", reply(""), ErrRefused},
		{"ended by itself", "pending", refusal(503, "This node is not part of a swarm"), ErrRefused},
		{"on its way for good", "pending", refusal(500, "busy"), ErrPending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
				"POST /swarm/join":  refusal(503, "the moon is in the wrong place"),
				"POST /swarm/leave": tt.leave,
				"GET /info":         reply(strings.Replace(inactive, "inactive", tt.state, 1)),
			}}
			r := JoinRequest{Advertise: netip.MustParseAddr("10.77.0.12"), Managers: []netip.AddrPort{
				netip.MustParseAddrPort("10.77.0.1:2377"), netip.MustParseAddrPort("10.77.0.2:2377"),
			}, Token: someToken}
			err := serve(t, s).Join(t.Context(), r)
			wantErr(t, "Join", err, tt.want)
			tries := 1
			if tt.want == ErrRefused {
				tries = len(r.Managers)
			}
			if got := s.count("POST /swarm/join"); got != tries {
				t.Errorf("%d managers were asked, want %d", got, tries)
			}
		})
	}
}

func TestInit(t *testing.T) {
	var asked api.InitRequest
	s := &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
		"POST /swarm/init": func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				t.Error(err)
			}
			reply(`"id"`)(w, r)
		},
		"GET /swarm":         reply(`{"Version":{"Index":7},"Spec":{"CAConfig":{"NodeCertExpiry":5}}}`),
		"POST /swarm/update": refusal(500, "update out of sequence"),
	}}
	d := serve(t, s)
	core, logs := observer.New(zap.WarnLevel)
	d.log = zap.New(core)
	must(t, d.Init(t.Context(), InitRequest{Advertise: netip.MustParseAddr("10.77.0.11"), Pool: pool}))
	if asked.ListenAddr != "0.0.0.0:2377" || asked.AdvertiseAddr != "10.77.0.11:2377" ||
		asked.DataPathAddr != "10.77.0.11" || asked.DefaultAddrPool[0] != "10.201.0.0/16" || asked.SubnetSize != 24 ||
		asked.AutoLockManagers || asked.ForceNewCluster || asked.Spec.CAConfig.NodeCertExpiry != 43800*time.Hour ||
		asked.Availability != api.NodeAvailabilityActive {
		t.Errorf("asked for %+v", asked)
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings about certificates that were not exchanged, want 1", logs.Len())
	}
}

func TestLabel(t *testing.T) {
	tests := []struct {
		name      string
		labels    map[string]string
		conflicts int // answers "out of sequence" before the update is taken
		updates   int
		fails     bool
	}{
		{"there already", map[string]string{"a": "1"}, 0, 0, false},
		{"new", map[string]string{"b": "2"}, 0, 1, false},
		{"changed", map[string]string{"a": "2"}, 0, 1, false},
		{"somebody else is faster", map[string]string{"b": "2"}, updateTries - 1, updateTries, false},
		{"somebody else always is", map[string]string{"b": "2"}, 100, updateTries, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conflicts := tt.conflicts
			var spec api.NodeSpec
			s := &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
				"GET /nodes/n1": reply(`{"ID":"n1","Spec":{"Labels":{"a":"1"},"Role":"worker","Availability":"drain"}}`),
				"POST /nodes/n1/update": func(w http.ResponseWriter, r *http.Request) {
					if conflicts--; conflicts >= 0 {
						refuse(w, 500, "rpc error: code = Unknown desc = update out of sequence")
						return
					}
					if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
						t.Error(err)
					}
				},
			}}
			err := serve(t, s).Label(t.Context(), "n1", tt.labels)
			if (err != nil) != tt.fails {
				t.Errorf("error %v, want one: %v", err, tt.fails)
			}
			if got := s.count("POST /nodes/n1/update"); got != tt.updates {
				t.Errorf("%d updates, want %d", got, tt.updates)
			}
			want := maps.Clone(tt.labels)
			if want["a"] == "" {
				want["a"] = "1"
			}
			if tt.updates > 0 && !tt.fails && (spec.Availability != "drain" || !maps.Equal(spec.Labels, want)) {
				t.Errorf("node became %+v, want labels %v and the rest as it was", spec, want)
			}
		})
	}
}
