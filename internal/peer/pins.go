package peer

// This file has the keys that a board trusts where there is no cluster key.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
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

// PinsMax is how many boards one manager lets into a swarm without a cluster key.
const PinsMax = 256

// fellowsMax is how many managers a board follows beside the one that it has joined. Docker advises at most 7 in all.
const fellowsMax = 15

// Pins are the node keys that a board in a cluster without a key has learned to trust.
type Pins struct {
	Cluster string                 `json:"cluster"`           // name of the cluster where that was
	Manager Fingerprint            `json:"manager,omitzero"`  // whom the board follows; zero is nobody so far
	Fellows []Fingerprint          `json:"fellows,omitempty"` // the other managers of that swarm, at most fellowsMax
	Boards  map[Serial]Fingerprint `json:"boards,omitempty"`  // whom it has let in as a manager, at most PinsMax
}

// Validate checks pins that were read. The error names the field and its value.
func (p Pins) Validate() error {
	if p.Cluster != "" {
		if err := CheckCluster(p.Cluster); err != nil {
			return err
		}
	}
	if len(p.Boards) > PinsMax {
		return fmt.Errorf("%d boards are pinned, at most %d are allowed", len(p.Boards), PinsMax)
	}
	if len(p.Fellows) > fellowsMax {
		return fmt.Errorf("%d further managers are pinned, at most %d are allowed", len(p.Fellows), fellowsMax)
	}
	for s := range p.Boards {
		if got, err := ParseSerial(string(s)); err != nil || got != s {
			return fmt.Errorf("serial %q of a pinned board is not in its normal form", s)
		}
	}
	return nil
}

// Follows reports whether the board follows the manager with this key.
func (p Pins) Follows(key Fingerprint) bool {
	return key != Fingerprint{} && (key == p.Manager || slices.Contains(p.Fellows, key))
}

// FollowOnly makes the board follow these managers and no other, or nobody.
func (p *Pins) FollowOnly(managers []Fingerprint) {
	p.Fellows = nil
	if len(managers) == 0 {
		p.Manager = Fingerprint{}
		return
	}
	if !slices.Contains(managers, p.Manager) {
		p.Manager = slices.MinFunc(managers, Fingerprint.compare)
	}
	for _, m := range slices.SortedFunc(slices.Values(managers), Fingerprint.compare) {
		if !p.Follows(m) && len(p.Fellows) < fellowsMax {
			p.Fellows = append(p.Fellows, m)
		}
	}
}

func (f Fingerprint) compare(o Fingerprint) int { return bytes.Compare(f[:], o[:]) }
