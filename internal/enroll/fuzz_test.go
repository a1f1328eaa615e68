package enroll

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// strictHost fails the test when the server passes on a claim that is not valid.
type strictHost struct{ t *testing.T }

func (strictHost) Claim() peer.Claim {
	return peer.Claim{Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Blank}
}

func (h strictHost) Met(p Peer) {
	if err := p.Claim.Validate(); err != nil {
		h.t.Errorf("passed on: %v", err)
	}
}

func (h strictHost) Ticket(_ context.Context, p Peer) (Ticket, error) {
	h.Met(p)
	return Ticket{}, nil
}

func FuzzServer(f *testing.F) {
	f.Add(false, []byte(`{"serial":"10000000aabbcc03","cluster":"pi","state":"blank","clock":"2026-11-23T07:00:00Z"}`))
	f.Add(true, []byte(`{"serial":"10000000aabbcc03","cluster":"pi","state":"manager","swarm":"abc","model":"\u001b"}`))
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	cert, err := NewTestCertificate("10000000aabbcc03", key)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, join bool, body []byte) {
		s := NewServer("", nil, strictHost{t}, SameName{Cluster: "pi"}, zap.NewNop())
		r := httptest.NewRequest(http.MethodPost, helloPath, bytes.NewReader(body))
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
		handler := s.hello
		if join {
			handler = s.join
		}
		w := httptest.NewRecorder()
		handler(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusForbidden:
		default:
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
