package enroll

import (
	"crypto/ed25519"
	"crypto/tls"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// NewTestCertificate is the certificate of a board that does not use Client.
func NewTestCertificate(s peer.Serial, key ed25519.PrivateKey) (tls.Certificate, error) {
	id, err := NewIdentity(s, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return id.cert, nil
}
