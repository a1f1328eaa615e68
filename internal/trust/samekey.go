package trust

// This file is the model of a cluster with a key.

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/secret"
)

// Uses of the cluster key in version 1 of the protocol. With a key for each direction no proof can be sent back as
// one's own.
const (
	clientUse = "v1 client"
	serverUse = "v1 server"
)

// SameKey is the Model of a cluster with a key: whoever proves to have it, and names the same cluster, is a peer.
type SameKey struct {
	name           SameName
	client, server secret.Secret // keys of the two directions
}

var _ Model = SameKey{}

// NewSameKey returns the Model of the cluster that has this key.
func NewSameKey(cluster string, key clusterkey.Key) (SameKey, error) {
	client, err := key.Derive(clientUse)
	if err != nil {
		return SameKey{}, err
	}
	server, err := key.Derive(serverUse)
	if err != nil {
		return SameKey{}, err
	}
	return SameKey{SameName{cluster}, secret.New(string(client)), secret.New(string(server))}, nil
}

// Prove implements Model.
func (t SameKey) Prove(m Message) string {
	use := t.client
	if m.Answer != nil {
		use = t.server
	}
	h := hmac.New(sha256.New, []byte(use.Reveal()))
	request, answer := sha256.Sum256(m.Request), sha256.Sum256(m.Answer)
	// Each part has its fixed length.
	for _, part := range [][]byte{m.Channel, m.Client[:], m.Server[:], request[:], answer[:]} {
		_, _ = h.Write(part) // never fails
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

// Check implements Model.
func (t SameKey) Check(m Message, proof string) error {
	switch {
	case proof == "":
		return errors.New("it does not show that it has a cluster key, this board has one")
	case !hmac.Equal([]byte(proof), []byte(t.Prove(m))):
		return errors.New("it has another cluster key than this board")
	}
	return nil
}

// Peer implements Model.
func (t SameKey) Peer(c Contact) error { return t.name.Peer(c) }
