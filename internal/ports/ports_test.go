package ports

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// TestProbe probes real ports of loopback.
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

// TestProbeAll probes an address of loopback where nobody listens: a worker is not asked for the port of managers.
func TestProbeAll(t *testing.T) {
	nobody := netip.MustParseAddr("127.77.66.55")
	worker, manager := ProbeAll(t.Context(), nobody, false), ProbeAll(t.Context(), nobody, true)
	if len(manager) != 4 || manager["port 2377/tcp"] != "connection refused" || manager["port 7946/udp"] != "connection refused" {
		t.Errorf("a manager: %v", manager)
	}
	if _, asked := worker["port 2377/tcp"]; asked || len(worker) != 3 {
		t.Errorf("a worker: %v", worker)
	}
}

// speaker listens at a port of an address that is this test's own, and does that with each connection.
func speaker(t *testing.T, port uint16, speak func(net.Conn)) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.77.66.54"), port)
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nothing is written
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			speak(c)
		}
	}()
	return at
}

// A stranger who accepts a probe is not taken for ours.
func TestProbeStranger(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	shakesHands := func(issuer string) func(net.Conn) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: issuer}, NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
		der, err := x509.CreateCertificate(nil, template, template, public, key)
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		return func(c net.Conn) {
			go func() { _ = tls.Server(c, config).Handshake() }() // who probes says no more
		}
	}
	silent := func(net.Conn) {} // as nc -l is
	hangsUp := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	complains := func(c net.Conn) { // in the words of Docker 20.10, 26.1 and 28.5, the beginning
		_, _ = c.Read(make([]byte, 1))
		_, _ = c.Write([]byte{10, 0, 0, 0, 113, 1, 239, 18, 72, 115})
		_ = c.Close()
	}
	talks := func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n")) }
	tests := []struct {
		port  uint16
		name  string
		speak func(net.Conn)
		ours  bool
	}{
		{2378, "an agent", shakesHands("pi-agent"), true}, {2378, "silent", silent, false}, {2378, "talks", talks, false},
		{2378, "hangs up", hangsUp, false},
		{2377, "a manager", shakesHands("swarm-ca"), true}, {2377, "another one with TLS", shakesHands("example.org"), false},
		{2377, "silent", silent, false}, {2377, "talks", talks, false},
		{7946, "an engine", complains, true}, {7946, "silent", silent, false}, {7946, "talks", talks, false}, {7946, "hangs up", hangsUp, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.port, tt.name), func(t *testing.T) {
			err := Probe(t.Context(), "tcp", speaker(t, tt.port, tt.speak))
			if (err == nil) != tt.ours {
				t.Errorf("%v, ours: %v", err, tt.ours)
			}
			if !tt.ours && tt.name != "hangs up" && !errors.Is(err, ErrStranger) {
				t.Errorf("%v, want %v", err, ErrStranger)
			}
		})
	}
}
