// Package clusterkey has the one secret that all boards of a cluster share: what a person writes down (phrase.go),
// where it is kept (file.go), and the keys that are derived from it for each use. Whoever has it is a member.
package clusterkey

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/pi-agent/pi-agent/internal/secret"
)

const (
	// rounds of PBKDF2 for a passphrase, as OWASP advises for HMAC-SHA256. A guess costs as much as our start: 0.1 s on a
	// PC, 3 s on a Pi 3.
	rounds = 600_000
	// context is in the salt and in every label, so that the same words mean nothing to another program.
	context       = "pi-agent 1 "
	tagSize       = 6  // bytes
	signatureSize = 16 // bytes
)

// Key is a cluster key that is ready for use. The zero Key is none.
type Key struct {
	material secret.Secret // of HKDF, 32 bytes
}

// Key makes the key of the cluster with this name. The name is part of it: two clusters of one phrase have nothing in
// common. It takes seconds on a small board when the phrase is a passphrase.
func (p Phrase) Key(cluster string) (Key, error) {
	salt := []byte(context + "cluster " + cluster)
	strong := []byte(p.text.Reveal())
	if p.weak {
		var err error
		if strong, err = pbkdf2.Key(sha256.New, p.text.Reveal(), salt, rounds, sha256.Size); err != nil {
			return Key{}, fmt.Errorf("stretch the passphrase: %w", err)
		}
	}
	material, err := hkdf.Extract(sha256.New, strong, salt)
	if err != nil {
		return Key{}, fmt.Errorf("make the cluster key: %w", err)
	}
	return Key{secret.New(string(material))}, nil
}

// None reports whether there is no key.
func (k Key) None() bool { return k.material.Empty() }

// Derive makes the 32 byte key for one use (RFC 5869). Keys of different uses tell nothing about each other.
func (k Key) Derive(use string) ([]byte, error) {
	b, err := hkdf.Expand(sha256.New, []byte(k.material.Reveal()), context+use, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key for %s: %w", use, err)
	}
	return b, nil
}

// Signer returns a function for one use that signs texts: 16 bytes of HMAC-SHA256, in 22 characters of ASCII.
func (k Key) Signer(use string) (func(text string) string, error) {
	derived, err := k.Derive(use)
	if err != nil {
		return nil, err
	}
	return func(text string) string {
		h := hmac.New(sha256.New, derived)
		_, _ = h.Write([]byte(text)) // never fails
		return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:signatureSize])
	}, nil
}

// Tag tells keys apart without being secret: 12 hexadecimal digits. Like every use of the key that strangers see, it
// lets them test guesses, each at the price of rounds.
func (k Key) Tag() (string, error) {
	b, err := k.Derive("tag")
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:tagSize]), nil
}
