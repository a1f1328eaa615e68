package main

import (
	"crypto/tls"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

var mdnsGroup = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}

// rogue is what the parts of the program share.
type rogue struct {
	addr netip.Addr   // where it answers
	all  []netip.Addr // from which it asks
	cert tls.Certificate

	refused sync.Map // address, path and status -> true

	mu    sync.Mutex
	heard map[netip.Addr]overheard // the newest announcement of each board, by its address
}

// overheard is an announcement of a member: all that a stranger has of the key.
type overheard struct {
	packet            []byte
	cluster, tag, mac string
}

func (r *rogue) victims() map[netip.Addr]overheard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.heard)
}

func listen(eth *net.Interface) (*ipv4.PacketConn, error) {
	udp, err := net.ListenMulticastUDP("udp4", eth, mdnsGroup)
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(udp)
	if err := p.SetMulticastInterface(eth); err != nil {
		return nil, err
	}
	return p, p.SetMulticastTTL(255)
}

func (r *rogue) listen(group *ipv4.PacketConn) {
	buf := make([]byte, 9000)
	for {
		n, _, from, err := group.ReadFrom(buf)
		if err != nil {
			return
		}
		at := from.(*net.UDPAddr).AddrPort().Addr().Unmap()
		var msg dns.Msg
		if msg.Unpack(buf[:n]) != nil || slices.Contains(r.all, at) {
			continue
		}
		for _, rr := range msg.Answer {
			txt, ok := rr.(*dns.TXT)
			if !ok || !strings.Contains(txt.Hdr.Name, "_pi-agent") || txt.Hdr.Ttl == 0 {
				continue
			}
			r.mu.Lock()
			r.heard[at] = overheard{slices.Clone(buf[:n]), valueOf(txt, "cluster"), valueOf(txt, "tag"), valueOf(txt, "mac")}
			r.mu.Unlock()
		}
	}
}

func valueOf(txt *dns.TXT, key string) string {
	for _, s := range txt.Txt {
		if value, ok := strings.CutPrefix(s, key+"="); ok {
			return value
		}
	}
	return ""
}
