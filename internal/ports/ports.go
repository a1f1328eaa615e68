// Package ports has the ports at which the boards of a cluster reach each other, and probes them. A firewall that
// drops what they need is the commonest reason why a board that is found is not in.
package ports

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Port is one that boards reach each other at.
type Port struct {
	Network  string // "tcp" or "udp"
	Number   uint16
	Use      say.Text // what it is needed for
	Managers bool     // only managers have it
	Agent    bool     // it is the agent's, the others are the engine's
	Lazy     bool     // it is open only while containers use it, so that a refusal is as good: the packet has arrived
	// IPv4: it is bound for IPv4 alone, beside a program that has it for IPv6 alone. Go binds the others for both.
	IPv4 bool
}

// The ports that boards do not probe.
const (
	Page = 7380 // of the agent's page
	MDNS = 5353 // of announcements
)

// Own are the ports that nobody but the engine and the agent may have.
var Own = append(slices.Clone(All),
	Port{Network: "tcp", Number: Page, Use: say.ForPage.With(), Agent: true},
	Port{Network: "udp", Number: MDNS, Use: say.ForMDNS.With(), Agent: true, IPv4: true},
)

// All are the ports that boards probe.
var All = []Port{
	{Network: "tcp", Number: peer.Port, Use: say.ForHello.With(), Agent: true, IPv4: true},
	{Network: "tcp", Number: swarm.Port, Use: say.ForManagers.With(), Managers: true},
	{Network: "tcp", Number: 7946, Use: say.ForGossip.With()},
	{Network: "udp", Number: 7946, Use: say.ForGossip.With()},
	{Network: "udp", Number: 4789, Use: say.ForOverlay.With(), Lazy: true, IPv4: true},
}

// ID is the port as machines write it, such as 2378/tcp.
func (p Port) ID() string { return fmt.Sprintf("%d/%s", p.Number, p.Network) }

func (p Port) String() string { return "port " + p.ID() }

// Shut is why the port does not let packets in, as Probe told; nil when it does.
func (p Port) Shut(err error) error {
	if p.Lazy && errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// ProbeAll probes the ports of a node of the swarm, or of one that manages it, all at once. It returns why those are
// shut that are, by the name of the port. It takes at most 4 s.
func ProbeAll(ctx context.Context, at netip.Addr, manager bool) map[string]string {
	var mu sync.Mutex
	var wg sync.WaitGroup
	shut := map[string]string{}
	for _, p := range All {
		if p.Managers && !manager {
			continue
		}
		wg.Go(func() {
			if err := p.Shut(Probe(ctx, p.Network, netip.AddrPortFrom(at, p.Number))); err != nil {
				mu.Lock()
				defer mu.Unlock()
				shut[p.String()] = err.Error()
			}
		})
	}
	wg.Wait()
	return shut
}

// probeMax is how long a port may take to answer.
const probeMax = 2 * time.Second

// Probe tries a port. One that has a stranger behind it is as shut as one that refuses, as far as strangers can be
// told. UDP has no answer that can be waited for: silence is well, only a refusal is an error. It takes at most 4 s.
func Probe(ctx context.Context, network string, addr netip.AddrPort) error {
	conn, err := (&net.Dialer{Timeout: probeMax}).DialContext(ctx, network, addr.String())
	if err != nil {
		return why(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written that could be lost
	if network != "udp" {
		if err := conn.SetDeadline(time.Now().Add(probeMax)); err != nil {
			return err
		}
		return known(ctx, conn, addr.Port())
	}
	// A refusal of the first packet is told when the next one is sent or read.
	if _, err := conn.Write([]byte{0}); err != nil {
		return why(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeMax / 4)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return why(err)
	}
	return nil
}

// ErrStranger says that a port is open, and that another program has it than the one that it is meant for.
var ErrStranger = errors.New("another program answers there")

const (
	gossip    = 7946 // the TCP port of the engine's news
	encrypted = 10   // how an encrypted message begins there, in engines from 20.10 on
)

// known is nil when the program at the other end of a connection behaves as that should to which the port belongs.
func known(ctx context.Context, conn net.Conn, port uint16) error {
	switch port {
	case peer.Port, swarm.Port:
		// Whose certificate it is does not matter to a probe. Managers want one, too, and say so only afterwards.
		c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if err := c.HandshakeContext(ctx); err != nil {
			return strange(err)
		}
		certs := c.ConnectionState().PeerCertificates
		switch {
		case len(certs) == 0,
			port == swarm.Port && certs[0].Issuer.CommonName != "swarm-ca",
			port == peer.Port && !ofAgent(certs[0]):
			return ErrStranger
		}
	case gossip:
		// News of engines is encrypted, and so is what they say to whoever begins otherwise.
		if _, err := conn.Write([]byte{0xff}); err != nil {
			return strange(err)
		}
		var kind [1]byte
		if _, err := conn.Read(kind[:]); err != nil {
			return strange(err)
		}
		if kind[0] != encrypted {
			return ErrStranger
		}
	}
	return nil
}

// ofAgent reports whether a certificate has the form of those that agents make for themselves.
func ofAgent(c *x509.Certificate) bool {
	return c.PublicKeyAlgorithm == x509.Ed25519 && c.NotAfter.Year() == 9999
}

// strange is what an error in a conversation tells: who hangs up may be ours, and just ending or very busy.
func strange(err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it hangs up")
	}
	return ErrStranger
}

// why is the cause of a network error without addresses.
func why(err error) error {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer")
	}
	return err
}
