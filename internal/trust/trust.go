// Package trust decides who is a peer: which boards belong to this cluster, and which of them may lead it or be let in.
// There are two models. In a cluster with a key whoever has that key is a peer; without one a board trusts whom it
// meets first. How boards talk is the business of package enroll, which asks a Model about each message.
package trust

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Model decides who is a peer. Both ends ask it in every exchange: for the proof that goes with each message, about the
// proof that came with one, before anything in that message is used, and last about the board, before a token is sent
// or accepted.
type Model interface {
	// Prove returns the proof that goes with a message of ours; empty in a cluster without a key.
	Prove(m Message) string
	// Check returns nil when the proof that came with m is as it must be, else an error that says in words what it is
	// not.
	Check(m Message, proof string) error
	// Peer returns nil for a peer, else an error that says in words why the board is none.
	Peer(c Contact) error
}

// ErrNotFollowed is why a manager is no peer of a board that follows another one.
var ErrNotFollowed = errors.New("it says that it is a manager, and this board follows another")

// Message is a request or an answer with all that its proof binds it to. In another place it proves nothing: not on
// another connection, be it later or behind a man in the middle, not for another path, and an answer not for another
// request.
type Message struct {
	Channel        []byte           // what only the two ends of this connection know
	Client, Server peer.Fingerprint // of the two ends; Channel does not cover the client's certificate
	Request        []byte           // method, path and body
	Answer         []byte           // status and body; nil in a request
}

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
	Asked   bool             // we asked and the other answers; otherwise it asks us
	From    netip.Addr       // the other end
	Key     peer.Fingerprint // key that the other end has proved to hold
	Claim   peer.Claim       // what it says about itself; well-formed, and not more
}

// Peer is a board that a Model has accepted, with the claim it made in a hello.
type Peer struct {
	Claim peer.Claim
	Key   peer.Fingerprint // of the board's node key
	Addr  netip.AddrPort   // where its channel is reached

	// Managers of its swarm, all of them, as it has told in answer to a hello; none where that is not needed.
	Managers []peer.Fingerprint
}

// SameName is the Model of trusting whoever names the same cluster, and has no key either.
type SameName struct {
	Cluster string
}

var _ Model = SameName{}

// Prove implements Model.
func (SameName) Prove(Message) string { return "" }

// Check implements Model.
func (SameName) Check(_ Message, proof string) error {
	if proof != "" {
		return errors.New("it has a cluster key, this board has none")
	}
	return nil
}

// Peer implements Model.
func (t SameName) Peer(c Contact) error {
	if c.Claim.Cluster != t.Cluster {
		return fmt.Errorf("it belongs to cluster %q, this board to %q", c.Claim.Cluster, t.Cluster)
	}
	return nil
}
