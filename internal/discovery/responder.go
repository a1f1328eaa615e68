package discovery

// This file answers one-shot questions, and tells which questions ask for us, by hashicorp/mdns.

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
)

// responder answers one-shot questions until it is shut down. Those come from another port than 5353 and want a reply
// of their own (RFC 6762 section 6.7); all other questions are answered by an announcement, which everybody hears.
type responder interface{ Shutdown() error }

// respond returns a function that starts hashicorp/mdns on a link. Where another program, such as avahi, listens to the
// group on a second interface, the kernel hands questions from there to mdns.Server as well, and those are answered
// too.
func respond(l *zap.Logger) func(address.Link, mdns.Zone) (responder, error) {
	logger := log.New(quiet{l}, "", 0)
	return func(link address.Link, z mdns.Zone) (responder, error) {
		iface, err := net.InterfaceByIndex(link.Index)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", link.Name, err)
		}
		server, err := mdns.NewServer(&mdns.Config{Zone: z, Iface: iface, Logger: logger})
		if err != nil {
			return nil, fmt.Errorf("answer questions on %s: %w", link.Name, err)
		}
		return server, nil
	}
}

// quiet is the log of hashicorp/mdns, which has a line for every odd packet on the LAN.
type quiet struct{ log *zap.Logger }

// Write implements io.Writer.
func (q quiet) Write(line []byte) (int, error) {
	q.log.Debug(string(bytes.TrimSpace(line)))
	return len(line), nil
}

// zone has the records that answer questions: those of the newest announcement, and none while there is none. Its
// methods may be called by many goroutines at once.
type zone struct {
	service atomic.Pointer[mdns.MDNSService]
}

var _ mdns.Zone = (*zone)(nil)

// Records implements mdns.Zone: the records that answer q, then those the asker will want next (RFC 6763 section 12).
// Names are compared without regard to case, RFC 6762 section 16.
func (z *zone) Records(q dns.Question) []dns.RR {
	service := z.service.Load()
	if class := q.Qclass &^ topBit; service == nil || class != dns.ClassINET && class != dns.ClassANY {
		return nil
	}
	q.Name = dns.CanonicalName(q.Name)
	if q.Name == service.HostName && q.Qtype == dns.TypeANY { // of which the library knows nothing
		q.Qtype = dns.TypeA
	}
	return service.Records(q)
}

// wanted reports whether a query asks for something of ours that is not among its known answers. These count while at
// least half their TTL is left (RFC 6762 section 7.1).
func (z *zone) wanted(query *dns.Msg) bool {
	known := func(rr dns.RR) bool {
		return slices.ContainsFunc(query.Answer, func(k dns.RR) bool {
			return k.Header().Ttl >= rr.Header().Ttl/2 && dns.IsDuplicate(k, rr)
		})
	}
	for _, q := range query.Question {
		for _, rr := range z.Records(q) {
			if rr.Header().Name == dns.CanonicalName(q.Name) && !known(rr) {
				return true
			}
		}
	}
	return false
}
