package enroll

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/secret"
)

// proofHeader carries the proof of a request or an answer.
const proofHeader = "Pi-Agent-Proof"

// Uses of the cluster key in version 1 of the protocol. With a key for each direction no proof can be sent back as one's own.
const (
	clientUse = "v1 client"
	serverUse = "v1 server"
)

// exporterLabel is for the TLS exporter (RFC 8446 section 7.5, RFC 9266 has the idea): a value that both ends of one
// connection know and nobody else, and that is another one on every connection.
const exporterLabel = "EXPORTER-pi-agent-v1"

// Message is a request or an answer with all that its proof binds it to. In another place it proves nothing: not on another
// connection, be it later or behind a man in the middle, not for another path, and an answer not for another request.
type Message struct {
	Channel        []byte      // of the connection, see channel
	Client, Server Fingerprint // of the two ends; the exporter does not cover the client's certificate
	Request        []byte      // method, path and body
	Answer         []byte      // status and body; nil in a request
}

// requestText and answerText are what a proof says of the two.
func requestText(method, path string, body []byte) []byte {
	return append([]byte(method+" "+path+"\n"), body...)
}

func answerText(status int, body []byte) []byte {
	return append([]byte(strconv.Itoa(status)+"\n"), body...)
}

// channel identifies a connection.
func channel(cs *tls.ConnectionState) ([]byte, error) {
	return cs.ExportKeyingMaterial(exporterLabel, nil, sha256.Size)
}

// SameKey is the Trust of a cluster with a key: whoever proves to have it, and names the same cluster, is a peer.
type SameKey struct {
	name           SameName
	client, server secret.Secret // keys of the two directions
}

var _ Trust = SameKey{}

// NewSameKey returns the Trust of the cluster that has this key.
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

// Prove implements Trust.
func (t SameKey) Prove(m Message) string {
	use := t.client
	if m.Answer != nil {
		use = t.server
	}
	h := hmac.New(sha256.New, []byte(use.Reveal()))
	request, answer := sha256.Sum256(m.Request), sha256.Sum256(m.Answer)
	for _, part := range [][]byte{m.Channel, m.Client[:], m.Server[:], request[:], answer[:]} { // each has its fixed length
		_, _ = h.Write(part) // never fails
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

// Check implements Trust.
func (t SameKey) Check(m Message, proof string) error {
	switch {
	case proof == "":
		return errors.New("it does not show that it has a cluster key, this board has one")
	case !hmac.Equal([]byte(proof), []byte(t.Prove(m))):
		return errors.New("it has another cluster key than this board")
	}
	return nil
}

// Peer implements Trust.
func (t SameKey) Peer(c Contact) error { return t.name.Peer(c) }
