// Package enroll is the channel between boards: HTTPS in which a board says hello, and in which a manager hands out the
// token to join. It turns hints into verified peers; who is a peer is decided by package trust.
package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
	"github.com/pi-agent/pi-agent/internal/tame"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Bounds of the channel. A hello has about 300 bytes and takes a few milliseconds on a LAN; the bounds leave room for a
// slow board and none for a flood.
const (
	bodyMax        = 16 << 10            // bytes of a request or an answer; see TestLongestClaim
	headerMax      = 4 << 10             // bytes of request headers, besides the 4 KiB that net/http adds
	connMax        = 64                  // connections served at once; a further one takes the place of the oldest
	connPerSource  = 4                   // of which from one address: a silent client cannot shut the others out
	connectMax     = 3 * time.Second / 2 // until a board takes a connection; a lost packet is sent again after 1 s
	handshakeMax   = 5 * time.Second     // TLS handshake
	requestMax     = 10 * time.Second    // reading one request
	answerMax      = 30 * time.Second    // serving one request; a join asks the engine for its token
	idleMax        = 20 * time.Second    // a connection without a request
	sourceRate     = 10                  // connections, and requests, a second from one address
	sourceBurst    = 30                  // the same at once
	sourcesTracked = 512                 // addresses whose rate is remembered
	helloMax       = 3 * time.Second     // one hello, as the asker sees it
	managersMax    = 16                  // managers named in a ticket; Docker advises at most 7
)

// The paths of version 1 of the protocol.
const (
	helloPath = "/v1/hello"
	joinPath  = "/v1/join"
	lookPath  = "/v1/picture"
	probePath = "/v1/probe"
)

// Ticket is all that a board needs to join a swarm as a worker.
type Ticket struct {
	Token    secret.Secret
	Managers []netip.AddrPort // addresses of the swarm's managers, for the engine
}

// Host is the board that a Server speaks for. Its methods are called by many goroutines at once.
type Host interface {
	// Answer is what the board says about itself to p.
	Answer(p trust.Peer) peer.Claim
	// Managers are the node keys of all managers of the swarm that the board manages, for those that follow it; none
	// with a cluster key.
	Managers() []peer.Fingerprint
	// Met tells the board that p has said hello.
	Met(p trust.Peer)
	// Stranger tells the board that one of another cluster has asked. Nothing in the claim is proved.
	Stranger(c peer.Claim)
	// Ticket returns what p needs to join, or an error that says in words why not now.
	Ticket(ctx context.Context, p trust.Peer) (Ticket, error)
	// Look returns the picture of the cluster in JSON for p, or an error that says in words why not.
	Look(ctx context.Context, p trust.Peer) (json.RawMessage, error)
	// Probe probes the ports of p, which has asked for it, and returns why those are shut that are, by their names.
	Probe(ctx context.Context, p trust.Peer) (shut map[string]string)
}

// Errors of the asking side, for errors.Is.
var (
	// ErrRefused: the other board answered, and said no. Its words follow.
	ErrRefused = errors.New("refused")
	// ErrNotPeer: trust does not accept the board at the other end.
	ErrNotPeer = errors.New("not a peer")
)

// helloWire is the answer to a hello.
type helloWire struct {
	Claim    peer.Claim         `json:"claim"` // not embedded: its methods for JSON would be those of the whole
	Managers []peer.Fingerprint `json:"managers,omitempty"`
}

// ticketWire is a Ticket as it travels. The token is a plain string here and nowhere else.
type ticketWire struct {
	Token    string           `json:"token"`
	Managers []netip.AddrPort `json:"managers"`
}

// refusal is the body of every answer that is not 200 OK.
type refusal struct {
	Error string `json:"error"`
}

// wordsMax is how much is told of what another board has sent, in bytes.
const wordsMax = 200

// words are the beginning of what another board has sent, or of an error of a parser, which quotes that.
func words(text string) string { return tame.Cut(tame.Line(text), wordsMax) }
