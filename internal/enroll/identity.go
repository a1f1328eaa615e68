package enroll

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Identity is a board's node key with the certificate that carries it.
type Identity struct {
	cert tls.Certificate
	key  peer.Fingerprint
}

// NewIdentity makes the certificate for a node key. It is valid from 1970 to 9999, because a Pi has no clock that
// survives a power cut: what counts is the key, which trust looks at, and never a date.
func NewIdentity(serial peer.Serial, key ed25519.PrivateKey) (*Identity, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("node key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serial.Instance()},
		NotBefore:    time.Unix(0, 0).UTC(),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make node certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make node certificate: %w", err)
	}
	fp, err := fingerprint(leaf)
	if err != nil {
		return nil, err
	}
	return &Identity{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, key: fp}, nil
}

// Key is the fingerprint under which other boards know this one.
func (id *Identity) Key() peer.Fingerprint { return id.key }

// tlsConfig serves both sides. The handshake proves that each side holds the key in its certificate; whether that key
// is a peer's is decided afterwards by trust, which also sees the claim.
func (id *Identity) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{id.cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // no authority signs these certificates: see VerifyConnection and Trust
		SessionTicketsDisabled: true, // a resumed session would skip the proof of the key
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := peerKey(cs)
			return err
		},
	}
}

// peerKey is the fingerprint of the key that the other end has proved to hold.
func peerKey(cs tls.ConnectionState) (peer.Fingerprint, error) {
	if len(cs.PeerCertificates) != 1 {
		return peer.Fingerprint{}, fmt.Errorf("%d certificates were sent, want 1", len(cs.PeerCertificates))
	}
	return fingerprint(cs.PeerCertificates[0])
}

func fingerprint(c *x509.Certificate) (peer.Fingerprint, error) {
	pub, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok {
		return peer.Fingerprint{}, errors.New("the node key is not ed25519")
	}
	return sha256.Sum256(pub), nil
}
