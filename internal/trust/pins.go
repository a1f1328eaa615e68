package trust

// This file has the keys that a board trusts where there is no cluster key.

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// PinsMax is how many boards one manager lets into a swarm without a cluster key.
const PinsMax = 256

// otherManagersMax is how many managers a board follows beside the one that it has joined. Docker advises at most 7 in
// all.
const otherManagersMax = 15

// Pins are the node keys that a board in a cluster without a key has learned to trust.
type Pins struct {
	// Cluster is the name of the cluster where that was.
	Cluster string `json:"cluster"`
	// Manager is whom the board follows; zero is nobody so far.
	Manager peer.Fingerprint `json:"manager,omitzero"`
	// OtherManagers are those of that swarm, at most otherManagersMax.
	OtherManagers []peer.Fingerprint `json:"other_managers,omitempty"`
	// Boards are whom it has let in as a manager, at most PinsMax.
	Boards map[peer.Serial]peer.Fingerprint `json:"boards,omitempty"`
}

// Validate checks pins that were read. The error names the field and its value.
func (p Pins) Validate() error {
	if p.Cluster != "" {
		if err := peer.CheckCluster(p.Cluster); err != nil {
			return err
		}
	}
	if len(p.Boards) > PinsMax {
		return fmt.Errorf("%d boards are pinned, at most %d are allowed", len(p.Boards), PinsMax)
	}
	if len(p.OtherManagers) > otherManagersMax {
		return fmt.Errorf("%d further managers are pinned, at most %d are allowed", len(p.OtherManagers), otherManagersMax)
	}
	for s := range p.Boards {
		if got, err := peer.ParseSerial(string(s)); err != nil || got != s {
			return fmt.Errorf("serial %q of a pinned board is not in its normal form", s)
		}
	}
	return nil
}

// Follows reports whether the board follows the manager with this key.
func (p Pins) Follows(key peer.Fingerprint) bool {
	return key != peer.Fingerprint{} && (key == p.Manager || slices.Contains(p.OtherManagers, key))
}

// FollowOnly makes the board follow these managers and no other, or nobody.
func (p *Pins) FollowOnly(managers []peer.Fingerprint) {
	p.OtherManagers = nil
	if len(managers) == 0 {
		p.Manager = peer.Fingerprint{}
		return
	}
	if !slices.Contains(managers, p.Manager) {
		p.Manager = slices.MinFunc(managers, compareKeys)
	}
	for _, m := range slices.SortedFunc(slices.Values(managers), compareKeys) {
		if !p.Follows(m) && len(p.OtherManagers) < otherManagersMax {
			p.OtherManagers = append(p.OtherManagers, m)
		}
	}
}

func compareKeys(a, b peer.Fingerprint) int { return bytes.Compare(a[:], b[:]) }
