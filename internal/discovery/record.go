package discovery

// This file has the form of announcements on the wire: what a board says of itself, and what is read of others.

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Names and numbers on the wire.
const (
	domain      = "local."
	service     = "_pi-agent._tcp"
	serviceName = service + "." + domain
	metaName    = "_services._dns-sd._udp." + domain // lists the kinds of service on a link, RFC 6763 section 9
	txtVersion  = "1"
	recordTTL   = 120 * time.Second  // of all that we say; RFC 6762 section 10 has it for records with an address
	ttlMax      = 4500 * time.Second // longest time we believe what others say, RFC 6762 section 10
	topBit      = 1 << 15            // of a class: RFC 6762 section 10.2 in a record, section 5.4 in a question
	knownMax    = 32                 // known answers in a question, which is to fit into one packet
)

// announcement is what this board says of itself at one of its addresses: its service instance.
type announcement struct {
	claim   peer.Claim
	addr    netip.Addr
	records *mdns.MDNSService
	parting *mdns.MDNSService // the same records with the signature of a goodbye
}

// newAnnouncement keeps of c what is announced, so that a claim which changed elsewhere makes the same announcement,
// and nothing else of it can keep the board from announcing itself.
func newAnnouncement(c peer.Claim, addr netip.Addr, cluster Cluster) (announcement, error) {
	c = peer.Claim{Serial: c.Serial, Cluster: c.Cluster, Tag: c.Tag, State: c.State, Swarm: c.Swarm}.Sound()
	if err := c.Validate(); err != nil {
		return announcement{}, err
	}
	if !addr.Is4() {
		return announcement{}, fmt.Errorf("address %s is not an IPv4 address", addr)
	}
	records, err := serviceOf(instance{serial: c.Serial, claim: c, ttl: recordTTL}, addr, cluster)
	if err != nil {
		return announcement{}, err
	}
	parting, err := serviceOf(instance{serial: c.Serial, claim: c}, addr, cluster)
	return announcement{c, addr, records, parting}, err
}

// serviceOf makes the records of an instance, all of which the library gives recordTTL.
func serviceOf(i instance, addr netip.Addr, cluster Cluster) (*mdns.MDNSService, error) {
	txt := []string{
		"v=" + txtVersion,
		"serial=" + string(i.serial),
		"cluster=" + i.claim.Cluster,
		"state=" + string(i.claim.State),
		"swarm=" + i.claim.Swarm,
	}
	if signature := cluster.signature(i, addr); signature != "" {
		txt = append(txt, "tag="+i.claim.Tag, "mac="+signature)
	}
	label := i.serial.Instance()
	return mdns.NewMDNSService(label, service, domain, label+"."+domain, peer.Port, []net.IP{addr.AsSlice()}, txt)
}

// same reports whether two announcements say the same.
func (a announcement) same(b announcement) bool { return a.claim == b.claim && a.addr == b.addr }

// pack makes the packet that tells everybody, RFC 6762 section 8.3.
func (a announcement) pack() ([]byte, error) {
	kind := a.records.Records(pointersOf(metaName))
	return response(recordTTL, append(kind, a.records.Records(pointersOf(serviceName))...)...)
}

// goodbye makes the packet that takes the announcement back, RFC 6762 section 10.1. The kind of service stays: other
// boards offer it too.
func (a announcement) goodbye() ([]byte, error) {
	return response(0, a.parting.Records(pointersOf(serviceName))...)
}

// pointersOf asks for the PTR records of a name.
func pointersOf(name string) dns.Question {
	return dns.Question{Name: name, Qtype: dns.TypePTR, Qclass: dns.ClassINET}
}

// question makes the packet that asks who is there, with the known answers: whoever finds itself among them is silent
// (RFC 6762 section 7.1). It does not ask for unicast replies (section 5.4), since the kernel gives a packet that is
// sent to an address and port 5353 to the program that opened that port last, which may be avahi.
func question(known []dns.RR) ([]byte, error) {
	msg := dns.Msg{
		Compress: true, Question: []dns.Question{pointersOf(serviceName)}, Answer: known[:min(len(known), knownMax)],
	}
	return msg.Pack()
}

// pointer is the record that says that a board is there.
func pointer(serial peer.Serial, ttl time.Duration) dns.RR {
	h := dns.RR_Header{Name: serviceName, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
	return &dns.PTR{Hdr: h, Ptr: serial.Instance() + "." + serviceName}
}

// response makes a packet of records. Those that other boards have none of flush what was known, RFC 6762 section 10.2.
func response(ttl time.Duration, records ...dns.RR) ([]byte, error) {
	for _, rr := range records {
		h := rr.Header()
		h.Ttl = uint32(ttl / time.Second)
		if h.Rrtype != dns.TypePTR {
			h.Class |= topBit
		}
	}
	msg := dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true, Answer: records}
	return msg.Pack()
}

// instance is what a response says of one service instance, which is a board.
type instance struct {
	serial    peer.Serial
	claim     peer.Claim    // zero in a goodbye that names the board only
	ttl       time.Duration // how long it holds, at most ttlMax; zero is a goodbye
	signature string        // empty without one
}

// errVersion is the error of an announcement that was made for another version of pi-agent.
var errVersion = errors.New("other version of the announcement")

// instances reads the service instances of a response, with an error for each that is not as it should be. Records of
// other services, and instances of which only a part is there, are passed over.
func instances(msg *dns.Msg) (all []instance, errs []error) {
	type parts struct {
		ttl uint32
		srv *dns.SRV
		txt *dns.TXT
	}
	heard := map[string]*parts{}
	var order []string
	part := func(instance string, ttl uint32) *parts {
		name := dns.CanonicalName(instance)
		p := heard[name]
		if p == nil {
			p = &parts{ttl: ttl}
			heard[name] = p
			order = append(order, name)
		}
		p.ttl = min(p.ttl, ttl)
		return p
	}
	for _, section := range [][]dns.RR{msg.Answer, msg.Extra} {
		for _, rr := range section {
			h := rr.Header()
			if h.Class&^topBit != dns.ClassINET {
				continue
			}
			switch rr := rr.(type) {
			case *dns.PTR:
				if dns.CanonicalName(h.Name) == serviceName {
					part(rr.Ptr, h.Ttl)
				}
			case *dns.SRV:
				if isInstance(h.Name) {
					part(h.Name, h.Ttl).srv = rr
				}
			case *dns.TXT:
				if isInstance(h.Name) {
					part(h.Name, h.Ttl).txt = rr
				}
			}
		}
	}

	for _, name := range order {
		p := heard[name]
		if p.ttl > 0 && (p.srv == nil || p.txt == nil) {
			continue
		}
		var i instance
		var err error
		if p.srv == nil || p.txt == nil {
			i.serial, err = serialOf(name)
		} else {
			i, err = instanceOf(name, p.srv.Port, p.txt.Txt, min(time.Duration(p.ttl)*time.Second, ttlMax))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, i)
	}
	return all, errs
}

func isInstance(name string) bool {
	return strings.HasSuffix(dns.CanonicalName(name), "."+serviceName)
}

// serialOf reads the serial in an instance name such as pi-10000000aabbcc01._pi-agent._tcp.local.
func serialOf(instance string) (peer.Serial, error) {
	label, isOfService := strings.CutSuffix(dns.CanonicalName(instance), "."+serviceName)
	text, isBoard := strings.CutPrefix(label, "pi-")
	if !isOfService || !isBoard {
		return "", fmt.Errorf("%.80q: not a pi-agent instance", instance)
	}
	serial, err := peer.ParseSerial(text)
	if err != nil {
		return "", fmt.Errorf("instance %.80q: %w", instance, err)
	}
	if serial.Instance() != label {
		return "", fmt.Errorf("instance %.80q: serial is not in its normal form %q", instance, serial)
	}
	return serial, nil
}

// instanceOf reads the strings of a TXT record (RFC 6763 section 6). Unknown keys are left to later versions.
func instanceOf(name string, port uint16, txt []string, ttl time.Duration) (instance, error) {
	serial, err := serialOf(name)
	if err != nil {
		return instance{}, err
	}
	values := map[string]string{}
	for _, s := range txt {
		key, value, _ := strings.Cut(s, "=")
		key = strings.ToLower(key)
		if _, twice := values[key]; !twice { // RFC 6763 section 6.4: the first one counts
			values[key] = value
		}
	}
	if v := values["v"]; v != txtVersion {
		return instance{}, fmt.Errorf("%s announces version %.20q, this pi-agent understands version %s: %w",
			serial.Name(), v, txtVersion, errVersion)
	}
	c := peer.Claim{
		Serial:  peer.Serial(values["serial"]),
		Cluster: values["cluster"],
		Tag:     values["tag"],
		State:   peer.State(values["state"]),
		Swarm:   values["swarm"],
	}
	if err := c.Validate(); err != nil {
		return instance{}, fmt.Errorf("%s: %w", serial.Name(), err)
	}
	if c.Serial != serial {
		return instance{}, fmt.Errorf("%s announces serial %q under the name of another", serial.Name(), c.Serial)
	}
	if port != peer.Port { // no board has another; a flood could make 65535 boards of each address
		return instance{}, fmt.Errorf("%s announces port %d, want %d", serial.Name(), port, peer.Port)
	}
	return instance{serial: serial, claim: c, ttl: ttl, signature: values["mac"]}, nil
}
