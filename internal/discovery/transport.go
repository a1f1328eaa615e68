package discovery

// This file is a link while it is open, and what is between the loop and the socket.

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/mdns"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/address"
)

const (
	reopenFirst = time.Second      // pause after a link that could not be opened; doubles, up to
	reopenMax   = 30 * time.Second // this
	deafAfter   = 4                // announcements in a row that did not come back before the socket is opened anew
)

// network is the way out of the process.
type network struct {
	open  func(address.Link) (conn, error)
	serve func(address.Link, mdns.Zone) (responder, error)
	local func(netip.Addr) (bool, error)             // whether an address is this machine's own
	near  func(address.Link) ([]netip.Prefix, error) // the networks that are reached without a router
}

// conn sends to the mDNS group on one link, and hears what is sent to it, its own packets included.
type conn interface {
	// Receive blocks until a packet comes or the conn is closed.
	Receive() (packet, error)
	// Send sends from one of the link's addresses.
	Send(data []byte, from netip.Addr) error
	Close() error
}

// transport is a link while it is open: the socket, and the responder that answers one-shot questions. After an error
// it is closed until a pause is over.
type transport struct {
	conn      conn // nil while it is closed
	responder responder
	packets   chan received
	reopen    time.Time
	pause     time.Duration // before reopen
	unheard   int           // announcements since one came back
}

// received is a packet, or the error after which there are no more.
type received struct {
	packet
	err error
}

func (t *transport) isOpen() bool { return t.conn != nil }

// open opens a link, with the zone to answer from.
func (t *transport) open(n network, link address.Link, z mdns.Zone) error {
	c, err := n.open(link)
	if err != nil {
		return err
	}
	r, err := n.serve(link, z)
	if err != nil {
		_ = c.Close() // nothing was written
		return err
	}
	t.conn, t.responder, t.packets, t.unheard = c, r, make(chan received), 0
	go receive(c, t.packets)
	return nil
}

// receive ends after an error, which c.Close makes; close drains what is left.
func receive(c conn, packets chan<- received) {
	defer close(packets)
	for {
		p, err := c.Receive()
		packets <- received{p, err}
		if err != nil {
			return
		}
	}
}

// close closes the link without a goodbye, if it is open.
func (t *transport) close(log *zap.Logger) {
	if t.conn == nil {
		return
	}
	if err := errors.Join(t.responder.Shutdown(), t.conn.Close()); err != nil {
		log.Debug("Closing the mDNS sockets failed.", zap.Error(err))
	}
	for range t.packets { // until receive has ended
	}
	t.conn, t.packets, t.responder = nil, nil, nil
}

// backOff postpones the next try to open the link, twice as long each time.
func (t *transport) backOff(now time.Time) {
	t.pause = min(max(2*t.pause, reopenFirst), reopenMax)
	t.reopen = now.Add(t.pause)
}

// heard notes that an announcement of ours came back.
func (t *transport) heard() { t.unheard, t.pause = 0, 0 }

// send sends a packet for each announcement, from its address: whoever hears it takes the board to be where it comes
// from. It is enough when one can be sent: the other address may just have gone.
func (t *transport) send(all []announcement, pack func(announcement) ([]byte, error)) error {
	var errs []error
	for _, a := range all {
		data, err := pack(a)
		if err == nil {
			err = t.conn.Send(data, a.addr)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(all) || len(all) == 0 {
		return nil
	}
	return unsent(errs)
}

// unsent is one error for all packets that could not be sent, most often for one cause.
func unsent(errs []error) error {
	var causes []string
	for _, err := range errs {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner
		}
		if !slices.Contains(causes, err.Error()) {
			causes = append(causes, err.Error())
		}
	}
	text := "announcements cannot be sent"
	if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, unix.EPERM) }) {
		text += fmt.Sprintf(", look for a firewall that drops what goes out to UDP port %d", mdnsPort)
	}
	return fmt.Errorf("%s: %s", text, strings.Join(causes, ", "))
}
