package enroll

import (
	"crypto/tls"
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
	Asked   bool                // we asked and the other answers; otherwise it asks us
	TLS     tls.ConnectionState // of the channel; its exporter binds proofs to this very connection
	From    netip.Addr          // the other end
	Key     Fingerprint         // key that the other end has proved to hold
	Claim   peer.Claim          // what it says about itself; well-formed, and not more
}

// Trust decides who is a peer. Both ends ask it in every exchange, before anything in the claim is used and before a
// token is sent or accepted.
type Trust interface {
	// Peer returns nil for a peer, else an error that says in words why the board is none.
	Peer(c Contact) error
}

// SameName is the Trust of a cluster without a key: whoever names the same cluster is a peer.
type SameName struct {
	Cluster string
}

// Peer implements Trust.
func (t SameName) Peer(c Contact) error {
	if c.Claim.Cluster != t.Cluster {
		return fmt.Errorf("it belongs to cluster %q, this board to %q", c.Claim.Cluster, t.Cluster)
	}
	return nil
}
