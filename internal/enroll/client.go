package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
	"github.com/pi-agent/pi-agent/internal/tame"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Client asks other boards. It opens a connection for each request, so that none is left that somebody has to look
// after.
type Client struct {
	id    *Identity
	model trust.Model
}

// NewClient returns a client that speaks for id and believes whom model accepts.
func NewClient(id *Identity, model trust.Model) *Client { return &Client{id: id, model: model} }

// Hello tells the board at addr our claim and returns it with its own. The error is ErrRefused when the other board
// says no, ErrNotPeer when we do, and a network error otherwise. It takes at most 3 s.
func (c *Client) Hello(ctx context.Context, addr netip.AddrPort, claim peer.Claim) (trust.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, helloMax)
	defer cancel()
	var answer helloWire
	contact, err := c.post(ctx, addr, helloPath, claim, &answer)
	if err != nil {
		return trust.Peer{}, fmt.Errorf("hello to %s: %w", addr, err)
	}
	contact.Claim = answer.Claim
	if err := c.believe(contact); err != nil {
		return trust.Peer{}, fmt.Errorf("hello to %s: %w", addr, err)
	}
	if len(answer.Managers) > managersMax {
		return trust.Peer{}, fmt.Errorf("hello to %s: the answer names %d managers, want at most %d",
			addr, len(answer.Managers), managersMax)
	}
	return trust.Peer{Claim: answer.Claim, Key: contact.Key, Addr: addr, Managers: answer.Managers}, nil
}

// Join asks the manager at m.Addr for a ticket. The answer counts only when it comes from the very board that said
// hello as m. It takes at most 30 s.
func (c *Client) Join(ctx context.Context, m trust.Peer, claim peer.Claim) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	asked := trust.Contact{Purpose: trust.Join, Asked: true, From: m.Addr.Addr(), Key: m.Key, Claim: m.Claim}
	if err := c.believe(asked); err != nil {
		return Ticket{}, fmt.Errorf("ask %s for the join token: %w", m.Addr, err)
	}
	var wire ticketWire
	if err := c.postTo(ctx, m, joinPath, claim, &wire); err != nil {
		return Ticket{}, fmt.Errorf("ask %s for the join token: %w", m.Addr, err)
	}
	switch {
	case wire.Token == "":
		return Ticket{}, fmt.Errorf("ask %s for the join token: the answer has no token", m.Addr)
	case len(wire.Managers) == 0 || len(wire.Managers) > managersMax:
		return Ticket{}, fmt.Errorf("ask %s for the join token: the answer names %d managers, want 1 to %d",
			m.Addr, len(wire.Managers), managersMax)
	}
	return Ticket{Token: secret.New(wire.Token), Managers: wire.Managers}, nil
}

// postTo is post to a board that has said hello before. It fails when another one answers.
func (c *Client) postTo(ctx context.Context, p trust.Peer, path string, claim peer.Claim, out any) error {
	contact, err := c.post(ctx, p.Addr, path, claim, out)
	if err == nil && contact.Key != p.Key {
		err = errors.New("another board answers there now")
	}
	return err
}

// post sends the claim and decodes the answer into out. It returns who answered, with an empty claim.
func (c *Client) post(ctx context.Context, addr netip.AddrPort, path string, claim peer.Claim, out any,
) (trust.Contact, error) {
	claim.Clock = time.Now().UTC()
	body, err := json.Marshal(claim)
	if err != nil {
		return trust.Contact{}, err
	}
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return trust.Contact{}, plain(err)
	}
	defer func() { _ = conn.Close() }() // it is closed already when all was read
	state := conn.ConnectionState()
	m := trust.Message{Client: c.id.Key(), Request: requestText(http.MethodPost, path, body)}
	if m.Server, err = peerKey(state); err != nil {
		return trust.Contact{}, err
	}
	if m.Channel, err = channel(&state); err != nil {
		return trust.Contact{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr.String()+path, bytes.NewReader(body))
	if err != nil {
		return trust.Contact{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if proof := c.model.Prove(m); proof != "" {
		req.Header.Set(proofHeader, proof)
	}
	status, proof, answer, err := exchange(conn, req)
	if err != nil {
		return trust.Contact{}, plain(err)
	}
	m.Answer = answerText(status, answer)
	if err := c.model.Check(m, proof); err != nil {
		return trust.Contact{}, fmt.Errorf("%w: %w (status %d)", ErrNotPeer, err, status)
	}
	if status != http.StatusOK {
		var r refusal
		if json.Unmarshal(answer, &r) != nil || r.Error == "" {
			return trust.Contact{}, fmt.Errorf("%w with status %d", ErrRefused, status)
		}
		return trust.Contact{}, fmt.Errorf("%w: %s", ErrRefused, words(r.Error))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return trust.Contact{}, fmt.Errorf("the answer is not understood: %s", words(err.Error()))
	}
	return trust.Contact{Asked: true, From: addr.Addr(), Key: m.Server}, nil
}

func (c *Client) dial(ctx context.Context, addr netip.AddrPort) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeMax)
	defer cancel()
	tcp, err := (&net.Dialer{Timeout: connectMax}).DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, err
	}
	conn := tls.Client(tcp, c.id.tlsConfig())
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = tcp.Close() // the first error counts
		return nil, err
	}
	return conn, nil
}

// exchange sends the one request of a connection and reads the answer.
func exchange(conn net.Conn, req *http.Request) (status int, proof string, answer []byte, err error) {
	transport := &http.Transport{
		DialTLSContext:         func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: headerMax,
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = res.Body.Close() }() // a failed close of a body that was read loses nothing
	answer, err = tame.Read(res.Body, answerLimit(req.URL.Path), "the answer",
		"install the same version of pi-agent on all boards")
	if err != nil {
		return 0, "", nil, err
	}
	return res.StatusCode, res.Header.Get(proofHeader), answer, nil
}

func (c *Client) believe(contact trust.Contact) error {
	if err := contact.Claim.Validate(); err != nil {
		return fmt.Errorf("its claim is not valid: %w", err)
	}
	if err := c.model.Peer(contact); err != nil {
		return fmt.Errorf("%w: %w", ErrNotPeer, err)
	}
	return nil
}

// plain drops what net/http puts before a cause: the method and the URL, which the caller names better. A cause that
// quotes much of what the other board has sent is cut.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer in time")
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			if text := err.Error(); len(text) > wordsMax {
				return errors.New(words(text))
			}
			return err
		}
		err = inner
	}
}
