package peer

// This file has the short form of a node key, by which boards know each other.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Fingerprint is the SHA-256 of a board's public node key. It stays the same for as long as the card is not flashed
// anew.
type Fingerprint [sha256.Size]byte

// String gives the first 8 bytes in hexadecimal, enough to tell boards apart in a log.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:8]) }

// MarshalText implements encoding.TextMarshaler: all bytes in hexadecimal.
func (f Fingerprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(f) {
		return fmt.Errorf("fingerprint %.80q is not %d hexadecimal digits", text, 2*len(f))
	}
	copy(f[:], b)
	return nil
}
