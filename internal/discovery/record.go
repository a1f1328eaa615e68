package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Names and numbers on the wire.
const (
	domain      = "local."
	serviceName = "_pi-agent._tcp." + domain
	metaName    = "_services._dns-sd._udp." + domain // lists the kinds of service on a link, RFC 6763 section 9
	txtVersion  = "1"
	recordTTL   = 120 * time.Second  // of all that we say; RFC 6762 section 10 has it for records with an address
	ttlMax      = 4500 * time.Second // longest time we believe what others say, RFC 6762 section 10
	topBit      = 1 << 15            // of a class: RFC 6762 section 10.2 in a record, section 5.4 in a question
)

// statement is what this board says: its claim, and the address where it is reached. Statements can be compared with ==.
type statement struct {
	claim       peer.Claim
	addr        netip.Addr
	mac, byeMAC string // signatures of the announcement and of the goodbye, empty without a cluster key
}

// newStatement keeps of c what is announced, so that a claim which changed elsewhere makes an equal statement, and nothing
// else of it can keep the board from announcing itself.
func newStatement(c peer.Claim, addr netip.Addr, cluster Cluster) (statement, error) {
	c = peer.Claim{Serial: c.Serial, Cluster: c.Cluster, Tag: c.Tag, State: c.State, Swarm: c.Swarm}.Sound()
	if err := c.Validate(); err != nil {
		return statement{}, err
	}
	if !addr.Is4() {
		return statement{}, fmt.Errorf("address %s is not an IPv4 address", addr)
	}
	said := sighting{serial: c.Serial, port: peer.Port, ttl: recordTTL, claim: c}
	s := statement{claim: said.claim, addr: addr, mac: cluster.sign(said, addr)}
	said.ttl = 0
	s.byeMAC = cluster.sign(said, addr)
	return s, nil
}

func (s statement) instance() string { return s.claim.Serial.Instance() + "." + serviceName }
func (s statement) host() string     { return s.claim.Serial.Instance() + "." + domain }

// The records of a statement. The first two are shared with other boards, the others belong to this one alone.

func (s statement) meta() dns.RR {
	return &dns.PTR{Hdr: header(metaName, dns.TypePTR), Ptr: serviceName}
}

func (s statement) ptr() dns.RR {
	return &dns.PTR{Hdr: header(serviceName, dns.TypePTR), Ptr: s.instance()}
}

func (s statement) srv() dns.RR {
	return &dns.SRV{Hdr: header(s.instance(), dns.TypeSRV), Port: peer.Port, Target: s.host()}
}

func (s statement) txt() dns.RR { return s.txtWith(s.mac) }

func (s statement) txtWith(mac string) dns.RR {
	txt := []string{
		"v=" + txtVersion,
		"serial=" + string(s.claim.Serial),
		"cluster=" + s.claim.Cluster,
		"state=" + string(s.claim.State),
		"swarm=" + s.claim.Swarm,
	}
	if mac != "" {
		txt = append(txt, "tag="+s.claim.Tag, "mac="+mac)
	}
	return &dns.TXT{Hdr: header(s.instance(), dns.TypeTXT), Txt: txt}
}

func (s statement) a() dns.RR {
	return &dns.A{Hdr: header(s.host(), dns.TypeA), A: net.IP(s.addr.AsSlice())}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(recordTTL / time.Second)}
}

// announcement is the packet that tells everybody, RFC 6762 section 8.3. The address comes last because the client of
// hashicorp/mdns takes an entry for complete, or asks for more, when it has read the last record.
func (s statement) announcement() ([]byte, error) {
	return response(recordTTL, s.meta(), s.ptr(), s.srv(), s.txt(), s.a())
}

// question is the packet that asks who is there.
func question() ([]byte, error) {
	msg := dns.Msg{Question: []dns.Question{{Name: serviceName, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	return msg.Pack()
}

// goodbye is the packet that takes the statement back, RFC 6762 section 10.1. The kind of service stays: other boards offer
// it too.
func (s statement) goodbye() ([]byte, error) {
	return response(0, s.ptr(), s.srv(), s.txtWith(s.byeMAC), s.a())
}

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

// sighting is what somebody said about a board.
type sighting struct {
	serial peer.Serial
	claim  peer.Claim    // zero in a goodbye that names the board only
	port   uint16        // likewise
	ttl    time.Duration // how long it holds, at most ttlMax; zero is a goodbye
	mac    string        // signature, empty without one
}

// errVersion is the error of an announcement that was made for another version of pi-agent.
var errVersion = errors.New("other version of the announcement")

// errForeign is the error of a name that is not a board's.
var errForeign = errors.New("not a pi-agent instance")

// sightings reads what a response says about boards, with an error for each board that is not told rightly. Records of other
// services, and boards of which only a part is told, are passed over.
func sightings(msg *dns.Msg) (seen []sighting, errs []error) {
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
		var s sighting
		var err error
		if p.srv == nil || p.txt == nil {
			s.serial, err = serialOf(name)
		} else {
			s, err = sightingOf(name, p.srv.Port, p.txt.Txt, min(time.Duration(p.ttl)*time.Second, ttlMax))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen = append(seen, s)
	}
	return seen, errs
}

func isInstance(name string) bool {
	return strings.HasSuffix(dns.CanonicalName(name), "."+serviceName)
}

// serialOf reads the serial in an instance name such as pi-10000000aabbcc01._pi-agent._tcp.local.
func serialOf(instance string) (peer.Serial, error) {
	label, ok := strings.CutSuffix(dns.CanonicalName(instance), "."+serviceName)
	if !ok {
		return "", fmt.Errorf("%.80q: %w", instance, errForeign)
	}
	text, ok := strings.CutPrefix(label, "pi-")
	if !ok {
		return "", fmt.Errorf("%.80q: %w", instance, errForeign)
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

// sightingOf reads the strings of a TXT record (RFC 6763 section 6). Unknown keys are left to later versions.
func sightingOf(instance string, port uint16, txt []string, ttl time.Duration) (sighting, error) {
	serial, err := serialOf(instance)
	if err != nil {
		return sighting{}, err
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
		return sighting{}, fmt.Errorf("%s announces version %.20q, this pi-agent understands version %s: %w",
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
		return sighting{}, fmt.Errorf("%s: %w", serial.Name(), err)
	}
	if c.Serial != serial {
		return sighting{}, fmt.Errorf("%s announces serial %q under the name of another", serial.Name(), c.Serial)
	}
	if port != peer.Port { // no board has another; a flood could make 65535 boards of each address
		return sighting{}, fmt.Errorf("%s announces port %d, want %d", serial.Name(), port, peer.Port)
	}
	return sighting{serial: serial, claim: c, port: port, ttl: ttl, mac: values["mac"]}, nil
}
