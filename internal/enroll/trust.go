package enroll

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Purpose is what a contact is for.
type Purpose int

// The purposes of a contact.
const (
	Hello Purpose = iota // learn each other's claims
	Join                 // obtain, or hand out, the join token
)

// Contact is one exchange with another board, before it is believed.
type Contact struct {
	Purpose Purpose
	Asked   bool        // we asked and the other answers; otherwise it asks us
	From    netip.Addr  // the other end
	Key     Fingerprint // key that the other end has proved to hold
	Claim   peer.Claim  // what it says about itself; well-formed, and not more
}

// Trust decides who is a peer. Both ends ask it in every exchange: for the proof that goes with each message, about the
// proof that came with one, before anything in that message is used, and last about the board, before a token is sent or
// accepted.
type Trust interface {
	// Prove returns the proof that goes with a message of ours; empty in a cluster without a key.
	Prove(m Message) string
	// Check returns nil when the proof that came with m is as it must be, else an error that says in words what it is not.
	Check(m Message, proof string) error
	// Peer returns nil for a peer, else an error that says in words why the board is none.
	Peer(c Contact) error
}

// SameName is the Trust in whoever names the same cluster, and has no key either.
type SameName struct {
	Cluster string
}

var _ Trust = SameName{}

// Prove implements Trust.
func (SameName) Prove(Message) string { return "" }

// Check implements Trust.
func (SameName) Check(_ Message, proof string) error {
	if proof != "" {
		return errors.New("it has a cluster key, this board has none")
	}
	return nil
}

// Peer implements Trust.
func (t SameName) Peer(c Contact) error {
	if c.Claim.Cluster != t.Cluster {
		return fmt.Errorf("it belongs to cluster %q, this board to %q", c.Claim.Cluster, t.Cluster)
	}
	return nil
}
