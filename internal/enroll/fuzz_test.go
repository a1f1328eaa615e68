package enroll

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// strictHost fails the test when the server passes on a claim that is not valid.
type strictHost struct{ t *testing.T }

func (strictHost) Answer(trust.Peer) peer.Claim {
	return peer.Claim{Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Blank}
}

func (h strictHost) Met(p trust.Peer) { h.Stranger(p.Claim) }

func (strictHost) Managers() []peer.Fingerprint { return nil }

func (h strictHost) Stranger(c peer.Claim) {
	if err := c.Validate(); err != nil {
		h.t.Errorf("passed on: %v", err)
	}
}

func (strictHost) Probe(context.Context, trust.Peer) map[string]string { return nil }
func (strictHost) Look(context.Context, trust.Peer) (json.RawMessage, error) {
	return nil, errors.New("no")
}

func (h strictHost) Ticket(_ context.Context, p trust.Peer) (Ticket, error) {
	h.Met(p)
	return Ticket{}, nil
}

// connected is the state of a connection between two boards, as the first one sees it.
func connected(tb testing.TB, server, client *Identity) tls.ConnectionState {
	tb.Helper()
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	s, c := tls.Server(a, server.tlsConfig()), tls.Client(b, client.tlsConfig())
	done := make(chan error, 1)
	go func() { done <- c.Handshake() }()
	if err := s.Handshake(); err != nil {
		tb.Fatal(err)
	}
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
	return s.ConnectionState()
}

func newIdentity(tb testing.TB, serial peer.Serial) *Identity {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := NewIdentity(serial, key)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func newKey(tb testing.TB, text, cluster string) trust.SameKey {
	tb.Helper()
	phrase, err := clusterkey.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := phrase.Key(cluster)
	if err != nil {
		tb.Fatal(err)
	}
	model, err := trust.NewSameKey(cluster, key)
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

// FuzzServer has a third of its requests without a key on either side, a third with the right proof, and a third with
// any.
func FuzzServer(f *testing.F) {
	f.Add(false, byte(0), "",
		[]byte(`{"serial":"10000000aabbcc03","cluster":"pi","state":"blank","clock":"2026-11-23T07:00:00Z"}`))
	f.Add(true, byte(1), "",
		[]byte(`{"serial":"10000000aabbcc03","cluster":"pi","state":"manager","swarm":"abc","model":"\u001b"}`))
	f.Add(true, byte(2), "YWJj",
		[]byte(`{"serial":"10000000aabbcc03","cluster":"pi","state":"blank","tag":"b95870fe8d71"}`))
	id, other := newIdentity(f, "10000000aabbcc01"), newIdentity(f, "10000000aabbcc03")
	state := connected(f, id, other)
	key := newKey(f, "0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP", "pi")
	f.Fuzz(func(t *testing.T, join bool, mode byte, proof string, body []byte) {
		var model trust.Model = key
		path := helloPath
		if join {
			path = joinPath
		}
		switch mode % 3 {
		case 0:
			model, proof = trust.SameName{Cluster: "pi"}, ""
		case 1:
			where, err := channel(&state)
			if err != nil {
				t.Fatal(err)
			}
			m := trust.Message{Channel: where, Client: other.Key(), Server: id.Key()}
			m.Request = requestText(http.MethodPost, path, body)
			proof = key.Prove(m)
		}
		s := NewServer("", id, strictHost{t}, model, zap.NewNop())
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set(proofHeader, proof)
		r.TLS = &state
		w := httptest.NewRecorder()
		handler := s.serve(trust.Hello, s.hello)
		if join {
			handler = s.serve(trust.Join, s.join)
		}
		handler(w, r)
		proved := w.Header().Get(proofHeader) != ""
		switch {
		case mode%3 == 2 && (w.Code == http.StatusOK || proved):
			t.Errorf("proof %q was taken, or answered with one", proof)
		case mode%3 == 1 && len(body) <= bodyMax && !proved:
			t.Error("a board with the key got an answer without a proof")
		}
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusForbidden:
		default:
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
