package ports

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// An HTTPS server of somebody else at the port of hello and join is not taken for an agent.
func TestHTTPSServerIsNoAgent(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.77:2378")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	if err := s.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	s.StartTLS()
	defer s.Close()
	if err := Probe(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.77"), peer.Port)); err == nil {
		t.Error("the probe of an HTTPS server of somebody else is: it answers, for hello and join")
	}
}
