package enroll_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/secret"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const token = "SWMTKN-1-secret"

// host is a board behind a server.
type host struct {
	claim peer.Claim
	err   error // of Ticket and Look
	size  int   // of what Look shows, about

	managers []peer.Fingerprint
	probe    func(trust.Peer) map[string]string

	mu        sync.Mutex
	met       []trust.Peer
	strangers []peer.Claim
}

func (h *host) Answer(trust.Peer) peer.Claim { return h.claim }

func (h *host) Met(p trust.Peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.met = append(h.met, p)
}

func (h *host) Managers() []peer.Fingerprint { return h.managers }

func (h *host) Stranger(c peer.Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strangers = append(h.strangers, c)
}

func (h *host) Ticket(context.Context, trust.Peer) (enroll.Ticket, error) {
	manager := netip.MustParseAddrPort("10.77.0.1:2377")
	return enroll.Ticket{Token: secret.New(token), Managers: []netip.AddrPort{manager}}, h.err
}

func (h *host) Probe(_ context.Context, p trust.Peer) map[string]string { return h.probe(p) }

func (h *host) Look(_ context.Context, p trust.Peer) (json.RawMessage, error) {
	return json.RawMessage(fmt.Sprintf(`{"for":%q,"text":%q}`, p.Claim.Serial, strings.Repeat("x", h.size))), h.err
}

func claim(serial peer.Serial, state peer.State) peer.Claim {
	return peer.Claim{Serial: serial, Cluster: "pi", State: state, Model: "Raspberry Pi 4 Model B Rev 1.1", Hostname: "pi"}
}

func identity(t *testing.T, serial peer.Serial) *enroll.Identity {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := enroll.NewIdentity(serial, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// serve runs a server for h, in a cluster without a key, on loopback until the test ends.
func serve(t *testing.T, id *enroll.Identity, h *host) (netip.AddrPort, *observer.ObservedLogs) {
	t.Helper()
	return serveWith(t, id, h, trust.SameName{Cluster: "pi"})
}

func serveWith(t *testing.T, id *enroll.Identity, h *host, model trust.Model) (netip.AddrPort, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := enroll.NewServer("127.0.0.1:0", id, h, model, zap.New(core))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(s.Addr().String()), logs
}

func client(id *enroll.Identity) *enroll.Client {
	return enroll.NewClient(id, trust.SameName{Cluster: "pi"})
}

// The longest claim there can be is heard, and answered with another one.
func TestLongestClaim(t *testing.T) {
	longest := func(serial peer.Serial) peer.Claim {
		var others []netip.Addr
		for i := range peer.OthersMax {
			others = append(others, netip.AddrFrom4([4]byte{192, 168, 100, byte(100 + i)}))
		}
		c := peer.Claim{
			Serial: serial, Cluster: "pi", Tag: strings.Repeat("0", 16), State: peer.Electing,
			Swarm: strings.Repeat("s", 64), Node: strings.Repeat("n", 64),
			Model: strings.Repeat("<", 128), Hostname: strings.Repeat("&", 128),
			Machine: strings.Repeat("0", 16), Engine: strings.Repeat("0", 16), Peers: peer.JoinOthers(others),
			Trouble:  say.Words(strings.Repeat("<", peer.TroubleMax)),
			Waits:    say.Words(strings.Repeat(">", peer.TroubleMax)),
			Contents: peer.Contents{Nodes: 1_000_000, Services: 1_000_000, Secrets: 1_000_000, Configs: 1_000_000},
			Unlisted: true, Nodes: 1_000_000, Ready: 1_000_000, Orphan: true, Moving: true,
		}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	h := &host{claim: longest("10000000aabbcc01")}
	h.managers = make([]peer.Fingerprint, 16)
	addr, _ := serve(t, identity(t, "10000000aabbcc01"), h)
	p, err := client(identity(t, "10000000aabbcc02")).Hello(t.Context(), addr, longest("10000000aabbcc02"))
	if err != nil || p.Claim.Trouble != h.claim.Trouble || len(h.met) != 1 {
		t.Errorf("%v, %d were met", err, len(h.met))
	}
}

func TestHelloAndJoin(t *testing.T) {
	managerID, boardID := identity(t, "10000000aabbcc01"), identity(t, "10000000aabbcc02")
	h := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	addr, logs := serve(t, managerID, h)
	c := client(boardID)

	p, err := c.Hello(t.Context(), addr, claim("10000000aabbcc02", peer.Blank))
	if err != nil {
		t.Fatal(err)
	}
	if p.Key != managerID.Key() || p.Addr != addr {
		t.Errorf("key %v at %v, want %v at %v", p.Key, p.Addr, managerID.Key(), addr)
	}
	if off := time.Since(p.Claim.Clock).Abs(); off > time.Minute {
		t.Errorf("the other clock is off by %v, so it was not exchanged", off)
	}
	p.Claim.Clock = time.Time{}
	if diff := cmp.Diff(h.claim, p.Claim); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	want := trust.Peer{Key: boardID.Key(), Addr: netip.AddrPortFrom(addr.Addr(), peer.Port)}
	if len(h.met) != 1 || h.met[0].Key != want.Key || h.met[0].Addr != want.Addr ||
		h.met[0].Claim.Serial != "10000000aabbcc02" {
		t.Errorf("met %+v, want one board %+v", h.met, want)
	}

	ticket, err := c.Join(t.Context(), p, claim("10000000aabbcc02", peer.Blank))
	if err != nil {
		t.Fatal(err)
	}
	if ticket.Token.Reveal() != token || len(ticket.Managers) != 1 {
		t.Errorf("ticket %+v", ticket)
	}
	for _, e := range logs.All() {
		if strings.Contains(e.Message, token) || strings.Contains(cmp.Diff(nil, e.ContextMap()), token) {
			t.Errorf("the token is in the log: %v", e)
		}
	}
}

func TestRefusals(t *testing.T) {
	managerID, boardID := identity(t, "10000000aabbcc01"), identity(t, "10000000aabbcc02")
	h := &host{claim: claim("10000000aabbcc01", peer.Blank), err: errors.New("this board is not a manager now")}
	addr, _ := serve(t, managerID, h)
	c := client(boardID)
	mine := claim("10000000aabbcc02", peer.Blank)

	t.Run("another cluster", func(t *testing.T) {
		other := mine
		other.Cluster = "class-b"
		_, err := c.Hello(t.Context(), addr, other)
		if !errors.Is(err, enroll.ErrRefused) || !strings.Contains(err.Error(), `cluster "class-b"`) {
			t.Errorf("error %v", err)
		}
		if len(h.met) != 0 || len(h.strangers) != 1 || h.strangers[0].Cluster != "class-b" {
			t.Errorf("the host was told of the peers %v and the strangers %v", h.met, h.strangers)
		}
	})
	t.Run("the other side belongs to another cluster", func(t *testing.T) {
		lenient := enroll.NewClient(boardID, trust.SameName{Cluster: "class-b"})
		if _, err := lenient.Hello(t.Context(), addr, mine); !errors.Is(err, enroll.ErrNotPeer) {
			t.Errorf("error %v, want ErrNotPeer", err)
		}
	})
	t.Run("no ticket", func(t *testing.T) {
		p, err := c.Hello(t.Context(), addr, mine)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Join(t.Context(), p, mine)
		if !errors.Is(err, enroll.ErrRefused) || !strings.Contains(err.Error(), "not a manager now") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("in more words than are told", func(t *testing.T) {
		p, err := c.Hello(t.Context(), addr, mine)
		if err != nil {
			t.Fatal(err)
		}
		was := h.err
		defer func() { h.err = was }()
		h.err = errors.New("\x1b[J" + strings.Repeat("ä", 300))
		_, err = c.Join(t.Context(), p, mine)
		if !errors.Is(err, enroll.ErrRefused) || !strings.HasSuffix(err.Error(), ":  [J"+strings.Repeat("ä", 98)) ||
			len(err.Error()) > 400 {
			t.Errorf("error %q", err)
		}
	})
	t.Run("the manager was replaced by another board", func(t *testing.T) {
		h.err = nil
		p := trust.Peer{Claim: h.claim, Key: boardID.Key(), Addr: addr}
		if _, err := c.Join(t.Context(), p, mine); err == nil || !strings.Contains(err.Error(), "another board answers") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed := netip.MustParseAddrPort(l.Addr().String())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Hello(t.Context(), closed, mine); err == nil || !strings.HasSuffix(err.Error(), "connection refused") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("silent server", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Hello(ctx, netip.MustParseAddrPort(l.Addr().String()), mine); err == nil ||
			!strings.HasSuffix(err.Error(), "no answer in time") {
			t.Errorf("error %v", err)
		}
	})
}

// raw is an HTTP client that speaks the protocol without its manners.
func raw(t *testing.T, withKey bool) *http.Client {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	if withKey {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := enroll.NewTestCertificate("10000000aabbcc03", key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	tr := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestServerAgainstBadRequests(t *testing.T) {
	h := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	addr, _ := serve(t, identity(t, "10000000aabbcc01"), h)
	url := "https://" + addr.String()

	if res, err := raw(t, false).Post(url+"/v1/hello", "application/json", strings.NewReader("{}")); err == nil {
		_ = res.Body.Close()
		t.Error("a board without a node key was served")
	}
	old := raw(t, true)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if res, err := old.Post(url+"/v1/hello", "application/json", strings.NewReader("{}")); err == nil {
		_ = res.Body.Close()
		t.Error("TLS 1.2 was served")
	}

	c := raw(t, true)
	good := `{"serial":"10000000aabbcc03","cluster":"pi","state":"blank"`
	for name, tt := range map[string]struct {
		path, body string
		status     int
		word       string
	}{
		"not JSON":       {"/v1/hello", "hello", 400, "not understood"},
		"empty":          {"/v1/hello", "", 400, "not understood"},
		"no serial":      {"/v1/hello", "{}", 400, "serial"},
		"bad state":      {"/v1/hello", `{"serial":"10000000aabbcc03","cluster":"pi","state":"king"}`, 400, "state"},
		"too long":       {"/v1/hello", good + `,"model":"` + strings.Repeat("x", 32<<10) + `"}`, 400, "too large"},
		"other cluster":  {"/v1/join", `{"serial":"10000000aabbcc03","cluster":"b","state":"blank"}`, 403, "cluster"},
		"unknown field":  {"/v1/hello", good + `,"later":1}`, 200, ""},
		"other version":  {"/v2/hello", good + "}", 404, ""},
		"hello by join":  {"/v1/join", good + "}", 200, ""},
		"bad clock":      {"/v1/hello", good + `,"clock":"yesterday"}`, 400, "not understood"},
		"deep structure": {"/v1/hello", strings.Repeat("[", 4000), 400, "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := c.Post(url+tt.path, "application/json", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || !strings.Contains(string(b), tt.word) {
				t.Errorf("%d %s, want %d with %q", res.StatusCode, b, tt.status, tt.word)
			}
		})
	}
	res, err := c.Get(url + "/v1/hello")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", res.StatusCode)
	}
}

func TestServerBoundsRates(t *testing.T) {
	h := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	addr, _ := serve(t, identity(t, "10000000aabbcc01"), h)
	c := raw(t, true)
	refused := 0
	for range 100 {
		res, err := c.Post("https://"+addr.String()+"/v1/hello", "application/json", bytes.NewReader([]byte("{}")))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("100 requests in a row from one address were all served")
	}
}

func TestServerBoundsConnectionsOfOneSource(t *testing.T) {
	h := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	addr, _ := serve(t, identity(t, "10000000aabbcc01"), h)
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	for range 4 {
		c, err := net.Dial("tcp4", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	c, err := net.Dial("tcp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	silent = append(silent, c)
	if err := c.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the fifth silent connection of one address is kept open: %v", err)
	}
	_ = silent[0].Close()
	eventually(t, func() error {
		_, err := client(identity(t, "10000000aabbcc02")).Hello(t.Context(), addr, claim("10000000aabbcc02", peer.Blank))
		return err
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// eventually repeats f, which must itself take time or be cheap, until it succeeds or 5 s are over.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	end := time.Now().Add(5 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// An agent whose port another program has lives on, and answers as soon as it can.
func TestServerWaitsForItsPort(t *testing.T) {
	stranger, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	h := &host{claim: claim("10000000aabbcc01", peer.Blank)}
	at := stranger.Addr().String()
	s := enroll.NewServer(at, identity(t, "10000000aabbcc01"), h, trust.SameName{Cluster: "pi"}, zap.New(core))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready(): // the rest of the agent goes on
	case err := <-done:
		t.Fatalf("it ends: %v", err)
	}
	c := client(identity(t, "10000000aabbcc02"))
	if err := stranger.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := c.Hello(t.Context(), netip.MustParseAddrPort(at), claim("10000000aabbcc02", peer.Blank))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if all := logs.All(); len(all) != 2 || !strings.Contains(all[0].Message, "address already in use") {
		t.Errorf("%v", all)
	}
}

// What a board says in another form than ours is told in few words: parsers quote what they were given.
func TestLongNonsenseIsToldInFewWords(t *testing.T) {
	nonsense := strings.Repeat("ä", 1800)
	answers := map[string]http.HandlerFunc{
		"a clock": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"claim":{"serial":"10000000aabbcc01","cluster":"pi","state":"blank","clock":%q}}`, nonsense)
		},
		"a status line": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "HTTP/9 %s\r\n\r\n", nonsense)
			_ = conn.Close()
		},
	}
	for name, answer := range answers {
		c := client(identity(t, "10000000aabbcc02"))
		_, err := c.Hello(t.Context(), rogue(t, answer), claim("10000000aabbcc02", peer.Blank))
		if err == nil || len(err.Error()) > 300 || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %d bytes: %.80s", name, len(err.Error()), err)
		}
	}

	h := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	addr, _ := serve(t, identity(t, "10000000aabbcc01"), h)
	res := post(t, addr, "/v1/hello", "", fmt.Appendf(nil, `{"serial":"10000000aabbcc03","clock":%q}`, nonsense))
	if res == nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusBadRequest || len(text) > 300 || !utf8.Valid(text) {
		t.Errorf("%s, %d bytes: %.80s, %v", res.Status, len(text), text, err)
	}
}
