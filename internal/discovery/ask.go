package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/mdns"
	"go.uber.org/zap"
)

const (
	queryWait = time.Second // mdns.QueryContext takes all of it, even when its context is cancelled
	queryMax  = 512         // entries; further ones are lost
)

// found is a board that answered a question, with the address it named.
type found struct {
	sighting
	addr netip.Addr
}

// answer is the outcome of one question.
type answer struct {
	link  Link // where it was asked
	found []found
	err   error
}

// query asks once, on the link, and waits queryWait for answers. It fails where there is no default route, because the
// client of hashicorp/mdns joins the group on whatever interface that leads to; announcements are heard all the same.
func query(ctx context.Context, link Link, logger *log.Logger) ([]found, error) {
	// The client leaks a socket when it cannot join, so that is found out before.
	probe, err := net.ListenMulticastUDP("udp4", nil, groupUDP)
	if err != nil {
		return nil, fmt.Errorf("join the mDNS group without a route: %w", err)
	}
	_ = probe.Close() // nothing was written
	iface, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", link.Name, err)
	}
	entries := make(chan *mdns.ServiceEntry, queryMax)
	err = mdns.QueryContext(ctx, &mdns.QueryParam{
		Service:     strings.TrimSuffix(serviceName, "."+domain),
		Domain:      strings.TrimSuffix(domain, "."),
		Timeout:     queryWait,
		Interface:   iface,
		Entries:     entries,
		DisableIPv6: true,
		Logger:      logger,
	})
	if err != nil {
		return nil, fmt.Errorf("ask on %s: %w", link.Name, err)
	}
	near, err := networks(link)
	if err != nil {
		return nil, err
	}
	// The client goes on writing into entries that it has handed over, so they are read only now. It does not tell who sent
	// them, and a board with two interfaces may answer on one LAN with its address on the other: see serve.
	var all []found
	for len(entries) > 0 {
		f, err := readEntry(<-entries)
		switch {
		case errors.Is(err, errForeign): // the client hands over whatever service speaks while it listens
		case err != nil:
			logger.Printf("ignored an answer: %v", err)
		case f.addr.IsLinkLocalUnicast(), slices.ContainsFunc(near, func(p netip.Prefix) bool { return p.Contains(f.addr) }):
			// A link-local one is near by definition, also where we have none yet: a board is there, to be reached soon.
			all = append(all, f)
		}
	}
	return all, nil
}

// networks lists those that are reached over the link without a router.
func networks(link Link) ([]netip.Prefix, error) {
	iface, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", link.Name, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Name, err)
	}
	var all []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}

func readEntry(e *mdns.ServiceEntry) (found, error) {
	if e.Port < 0 || e.Port > math.MaxUint16 {
		return found{}, fmt.Errorf("%.80q has port %d", e.Name, e.Port)
	}
	s, err := sightingOf(e.Name, uint16(e.Port), e.InfoFields, recordTTL)
	if err != nil {
		return found{}, err
	}
	addr, ok := netip.AddrFromSlice(e.AddrV4.To4())
	if !ok || !usable(addr) {
		return found{}, fmt.Errorf("%.80q has no usable address", e.Name)
	}
	return found{s, addr}, nil
}

// usable reports whether a board can be reached at addr.
func usable(addr netip.Addr) bool {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return addr.Is4() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() && addr != broadcast
}

// serve answers questions on the link until the result is shut down. Where another program, such as avahi, listens to the
// group on a second interface, the kernel hands questions from there to mdns.Server as well, and those are answered too.
func serve(link Link, z *zone, logger *log.Logger) (responder, error) {
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

// quietLogger is for hashicorp/mdns, which has a line for every odd packet on the LAN and one for every question asked.
func quietLogger(l *zap.Logger) *log.Logger {
	return log.New(quiet{l}, "", 0)
}

type quiet struct{ log *zap.Logger }

var _ io.Writer = quiet{}

func (q quiet) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("[INFO]")) {
		q.log.Debug(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
