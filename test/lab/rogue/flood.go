package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// flood sends so many packets a second from addresses of others. Most announce a board that does not exist, of the
// cluster that was heard as far as one can say that without its key. The rest is what members have said, from elsewhere
// or taken back in their names, questions, and garbage.
func (r *rogue) flood(eth *net.Interface, rate int) {
	conn, err := net.ListenPacket("ip4:255", "0.0.0.0") // a protocol that nobody speaks: there is nothing to receive
	if err != nil {
		log.Fatal(err)
	}
	raw, err := ipv4.NewRawConn(conn)
	if err != nil {
		log.Fatal(err)
	}
	if err := raw.SetMulticastInterface(eth); err != nil {
		log.Fatal(err)
	}
	if err := raw.SetMulticastLoopback(false); err != nil {
		log.Fatal(err)
	}
	var sent tally
	go sent.report("packets")
	often(rate, func() {
		head, payload := datagram(r.invented())
		if err := raw.WriteTo(head, payload, nil); err != nil {
			log.Print(err)
			return
		}
		sent.n.Add(1)
	})
}

// datagram is an mDNS packet from whatever address, as IP header and the rest.
func datagram(from netip.Addr, data []byte) (*ipv4.Header, []byte) {
	const udpHeader, udp = 8, 17
	payload := make([]byte, udpHeader, udpHeader+len(data)) // without a checksum, which IPv4 allows
	binary.BigEndian.PutUint16(payload[0:], uint16(mdnsGroup.Port))
	binary.BigEndian.PutUint16(payload[2:], uint16(mdnsGroup.Port))
	binary.BigEndian.PutUint16(payload[4:], uint16(udpHeader+len(data)))
	payload = append(payload, data...)
	return &ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TotalLen: ipv4.HeaderLen + len(payload), TTL: 255, Protocol: udp,
		Src: net.IP(from.AsSlice()), Dst: mdnsGroup.IP,
	}, payload
}

// invented is a packet that nobody has sent, with the address of somebody who is to have sent it.
func (r *rogue) invented() (from netip.Addr, packet []byte) {
	somebody := r.addr.As4()
	somebody[3] = byte(1 + rand.IntN(253))
	from = netip.AddrFrom4(somebody)
	board := announced{serial: randomHex(), cluster: "pi", swarm: swarmID, state: "manager"}
	what := rand.IntN(100)
	for member, v := range r.victims() { // in an order by chance
		board.cluster, board.tag, board.mac = v.cluster, v.tag, "AAAAAAAAAAAAAAAAAAAAAA"
		switch {
		case what < 10:
			return from, v.packet
		case what < 15:
			return member, stolen(v.packet, 0)
		}
	}
	switch {
	case what < 60:
		board.state, board.swarm = "blank", ""
	case what < 90:
	case what < 92:
		board.cluster = "c" + randomHex()
	case what < 94:
		board.more = []string{"v=2", randomText(255), randomText(200), randomText(250)}
	case what < 96:
		return from, []byte(randomText(rand.IntN(1400)))
	case what < 98:
		return from, question()
	default:
		p := r.announcement(board)
		return from, p[:rand.IntN(len(p))]
	}
	return from, r.announcement(board)
}

func randomHex() string { return fmt.Sprintf("%016x", rand.Uint64()) }

func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}
