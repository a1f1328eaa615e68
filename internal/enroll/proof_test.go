package enroll_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const proofHeader = "Pi-Agent-Proof"

func sameKey(t *testing.T, text string) trust.SameKey {
	t.Helper()
	phrase, err := clusterkey.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := phrase.Key("pi")
	if err != nil {
		t.Fatal(err)
	}
	model, err := trust.NewSameKey("pi", key)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// pair is a manager and the board that asks it.
type pair struct {
	manager, board *enroll.Identity
	host           *host
	claim          peer.Claim // of the board
}

func newPair(t *testing.T) pair {
	t.Helper()
	return pair{
		manager: identity(t, "10000000aabbcc01"), board: identity(t, "10000000aabbcc02"),
		host:  &host{claim: claim("10000000aabbcc01", peer.Manager)},
		claim: claim("10000000aabbcc02", peer.Blank),
	}
}

// manages is what the board believes the one at addr to be.
func (p pair) manages(addr netip.AddrPort) trust.Peer {
	return trust.Peer{Claim: p.host.claim, Key: p.manager.Key(), Addr: addr}
}

func TestSameKey(t *testing.T) {
	p, key := newPair(t), sameKey(t, clusterkey.Generate())
	addr, _ := serveWith(t, p.manager, p.host, key)
	c := enroll.NewClient(p.board, key)
	manager, err := c.Hello(t.Context(), addr, p.claim)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := c.Join(t.Context(), manager, p.claim)
	if err != nil || ticket.Token.Reveal() != token {
		t.Fatalf("Join: %v, %v", ticket, err)
	}
	p.host.err = errors.New("not today")
	if _, err := c.Join(t.Context(), manager, p.claim); !errors.Is(err, enroll.ErrRefused) ||
		!strings.Contains(err.Error(), "not today") {
		t.Errorf("a refusal of a member is not understood: %v", err)
	}
	p.claim.Cluster = "class-b"
	if _, err := c.Hello(t.Context(), addr, p.claim); !errors.Is(err, enroll.ErrRefused) ||
		!strings.Contains(err.Error(), "class-b") {
		t.Errorf("another cluster name: %v", err)
	}
}

func TestOtherKeyIsNoPeer(t *testing.T) {
	one, other, none := sameKey(t, clusterkey.Generate()), sameKey(t, clusterkey.Generate()), trust.SameName{Cluster: "pi"}
	for _, tt := range []struct {
		name           string
		server, client trust.Model
		want           error
		word           string
	}{
		{"wrong key", one, other, enroll.ErrNotPeer, "cluster key, this board has one (status 403)"},
		{"only the server has a key", one, none, enroll.ErrRefused, "not a peer: it does not show that it has a cluster key"},
		{"only the client has a key", none, one, enroll.ErrNotPeer,
			"it does not show that it has a cluster key, this board has one (status 403)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			addr, _ := serveWith(t, p.manager, p.host, tt.server)
			c := enroll.NewClient(p.board, tt.client)
			_, err := c.Hello(t.Context(), addr, p.claim)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.word) {
				t.Errorf("Hello: %v, want %v with %q", err, tt.want, tt.word)
			}
			if _, err := c.Join(t.Context(), p.manages(addr), p.claim); !errors.Is(err, tt.want) {
				t.Errorf("Join: %v, want %v", err, tt.want)
			}
			if len(p.host.met) != 0 || len(p.host.strangers) != 2 {
				t.Errorf("met %v, strangers %v, want none and 2", p.host.met, p.host.strangers)
			}
		})
	}
}

// altered makes the proofs of a board that says something else than what the proof is for, as after a change on the
// way.
type altered struct {
	trust.Model
	change func(*trust.Message)
}

func (a altered) Prove(m trust.Message) string {
	m.Request, m.Answer = bytes.Clone(m.Request), bytes.Clone(m.Answer)
	a.change(&m)
	return a.Model.Prove(m)
}

func TestProofIsOfTheWholeMessage(t *testing.T) {
	key := sameKey(t, clusterkey.Generate())
	changes := map[string]func(*trust.Message){
		"channel":            func(m *trust.Message) { m.Channel = make([]byte, 32) },
		"client":             func(m *trust.Message) { m.Client[0]++ },
		"server":             func(m *trust.Message) { m.Server[31]++ },
		"ends exchanged":     func(m *trust.Message) { m.Client, m.Server = m.Server, m.Client },
		"method":             func(m *trust.Message) { m.Request[0]++ },
		"path":               func(m *trust.Message) { m.Request[bytes.IndexByte(m.Request, '/')+2]++ }, // /v2
		"request":            func(m *trust.Message) { m.Request[len(m.Request)-1]++ },
		"truncated request":  func(m *trust.Message) { m.Request = m.Request[:len(m.Request)-1] },
		"longer request":     func(m *trust.Message) { m.Request = append(m.Request, ' ') },
		"request as answer":  func(m *trust.Message) { m.Answer = []byte{} },
		"everything at once": func(m *trust.Message) { *m = trust.Message{} },
	}
	answers := map[string]func(*trust.Message){
		"status":            func(m *trust.Message) { m.Answer[0]++ },
		"answer":            func(m *trust.Message) { m.Answer[len(m.Answer)-1]++ },
		"truncated answer":  func(m *trust.Message) { m.Answer = m.Answer[:len(m.Answer)-1] },
		"longer answer":     func(m *trust.Message) { m.Answer = append(m.Answer, ' ') },
		"answer as request": func(m *trust.Message) { m.Answer = nil },
	}
	p := newPair(t)
	addr, _ := serveWith(t, p.manager, p.host, key)
	for name, change := range changes {
		c := enroll.NewClient(p.board, altered{key, change})
		if _, err := c.Hello(t.Context(), addr, p.claim); !errors.Is(err, enroll.ErrNotPeer) {
			t.Errorf("%s: the server takes the proof: %v", name, err)
		}
		answers[name] = change
	}
	delete(answers, "request as answer") // an answer is one
	if len(p.host.met) != 0 {
		t.Errorf("met %v", p.host.met)
	}
	for name, change := range answers {
		p := newPair(t)
		addr, _ := serveWith(t, p.manager, p.host, altered{key, change})
		c := enroll.NewClient(p.board, key)
		if _, err := c.Hello(t.Context(), addr, p.claim); !errors.Is(err, enroll.ErrNotPeer) {
			t.Errorf("%s: the client takes the proof: %v", name, err)
		}
		if _, err := c.Join(t.Context(), p.manages(addr), p.claim); !errors.Is(err, enroll.ErrNotPeer) {
			t.Errorf("%s: the client takes the token: %v", name, err)
		}
	}
}

// rogue is a board without the key that answers as it is told.
func rogue(t *testing.T, answer http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.TLS = rogueTLS(t)
	s.TLS.ClientAuth = tls.RequireAnyClientCert
	s.StartTLS()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func rogueTLS(t *testing.T) *tls.Config {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := enroll.NewTestCertificate("0000000000000001", key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}
}

// post sends a request with a proof of which the sender does not know whether it is good.
func post(t *testing.T, addr netip.AddrPort, path, proof string, body []byte) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+addr.String()+path,
		bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set(proofHeader, proof)
	tr := &http.Transport{TLSClientConfig: rogueTLS(t), DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	return res
}

func TestProofSentBack(t *testing.T) {
	p, key := newPair(t), sameKey(t, clusterkey.Generate())
	body, err := json.Marshal(p.host.claim)
	if err != nil {
		t.Fatal(err)
	}
	addr := rogue(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(proofHeader, r.Header.Get(proofHeader))
		_, _ = w.Write(body) // a client that is gone fails the test
	})
	if _, err := enroll.NewClient(p.board, key).Hello(t.Context(), addr, p.claim); !errors.Is(err, enroll.ErrNotPeer) {
		t.Errorf("the client took its own proof: %v", err)
	}
}

// A man in the middle who ends TLS on both sides and passes on what he reads learns nothing and is believed by nobody.
func TestRelay(t *testing.T) {
	p, key := newPair(t), sameKey(t, clusterkey.Generate())
	genuine, _ := serveWith(t, p.manager, p.host, key)
	var mu sync.Mutex
	var seen []string
	middle := rogue(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		res := post(t, genuine, r.URL.Path, r.Header.Get(proofHeader), body)
		if res == nil {
			return
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		seen = append(seen, res.Status+res.Header.Get(proofHeader)+string(answer))
		mu.Unlock()
		w.Header().Set(proofHeader, res.Header.Get(proofHeader))
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(answer) // a client that is gone fails the test
	})
	c := enroll.NewClient(p.board, key)
	if _, err := c.Hello(t.Context(), middle, p.claim); !errors.Is(err, enroll.ErrNotPeer) {
		t.Errorf("Hello through a man in the middle: %v", err)
	}
	manager := p.manages(middle)
	if _, err := c.Join(t.Context(), manager, p.claim); !errors.Is(err, enroll.ErrNotPeer) {
		t.Errorf("Join through a man in the middle: %v", err)
	}
	for _, s := range seen {
		if want := `403 Forbidden{"error":"not a peer: it has another cluster key than this board"}`; s != want {
			t.Errorf("the man in the middle saw %s, want %s", s, want)
		}
	}
	if len(seen) != 2 || len(p.host.met) != 0 {
		t.Errorf("the man in the middle passed on %d answers, the manager met %v", len(seen), p.host.met)
	}
}

// recorder keeps the proofs that a member makes.
type recorder struct {
	trust.SameKey
	mu    sync.Mutex
	wrote []recorded
}

type recorded struct {
	trust.Message
	proof string
}

func (r *recorder) Prove(m trust.Message) string {
	proof := r.SameKey.Prove(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote = append(r.wrote, recorded{m, proof})
	return proof
}

func TestReplay(t *testing.T) {
	p, key := newPair(t), sameKey(t, clusterkey.Generate())
	asked, answered := &recorder{SameKey: key}, &recorder{SameKey: key}
	addr, _ := serveWith(t, p.manager, p.host, answered)
	c := enroll.NewClient(p.board, asked)
	if _, err := c.Join(t.Context(), p.manages(addr), p.claim); err != nil {
		t.Fatal(err)
	}
	request, answer := asked.wrote[0], answered.wrote[0]

	_, body, _ := bytes.Cut(request.Request, []byte("\n"))
	res := post(t, addr, "/v1/join", request.proof, body)
	if res == nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusForbidden || bytes.Contains(got, []byte(token)) ||
		res.Header.Get(proofHeader) != "" {
		t.Errorf("a recorded request was answered with %s, %s, proof %q, %v",
			res.Status, got, res.Header.Get(proofHeader), err)
	}

	again := rogue(t, func(w http.ResponseWriter, _ *http.Request) {
		_, body, _ := bytes.Cut(answer.Answer, []byte("\n"))
		w.Header().Set(proofHeader, answer.proof)
		_, _ = w.Write(body) // a client that is gone fails the test
	})
	if _, err := c.Join(t.Context(), p.manages(again), p.claim); !errors.Is(err, enroll.ErrNotPeer) {
		t.Errorf("a recorded answer was taken: %v", err)
	}
}
