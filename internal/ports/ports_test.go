package ports

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// TestProbe knocks at real ports of loopback.
func TestProbe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]net.Addr{"tcp": l.Addr(), "udp": u.LocalAddr()}
	for network, at := range open {
		if err := Probe(t.Context(), network, netip.MustParseAddrPort(at.String())); err != nil {
			t.Errorf("%s, open: %v", network, err)
		}
	}
	if err := errors.Join(l.Close(), u.Close()); err != nil {
		t.Fatal(err)
	}
	for network, at := range open {
		if err := Probe(t.Context(), network, netip.MustParseAddrPort(at.String())); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s, closed: %v", network, err)
		}
	}
}

// A port that only containers open may refuse; the others may not.
func TestShut(t *testing.T) {
	for _, p := range All {
		if err := p.Shut(syscall.ECONNREFUSED); (err == nil) != (p.Number == 4789) {
			t.Errorf("%s that refuses: %v", p, err)
		}
		if p.Shut(nil) != nil || p.Shut(syscall.EPERM) == nil {
			t.Errorf("%s that answers is shut, or one that is not reached is not", p)
		}
	}
}

// TestKnock knocks at an address of loopback where nobody listens: a worker is not asked for the port of managers.
func TestKnock(t *testing.T) {
	nobody := netip.MustParseAddr("127.77.66.55")
	worker, manager := Knock(t.Context(), nobody, false), Knock(t.Context(), nobody, true)
	if len(manager) != 4 || manager["port 2377/tcp"] != "connection refused" || manager["port 7946/udp"] != "connection refused" {
		t.Errorf("a manager: %v", manager)
	}
	if _, asked := worker["port 2377/tcp"]; asked || len(worker) != 3 {
		t.Errorf("a worker: %v", worker)
	}
}
