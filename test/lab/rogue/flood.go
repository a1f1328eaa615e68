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

// flood announces boards that do not exist from addresses of others, so many packets a second. Nine in ten are boards of
// the cluster that was heard, as far as one can say that without its key; the rest is garbage and questions.
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
		from := r.addr.As4()
		from[3] = byte(1 + rand.IntN(253))
		head, payload := datagram(netip.AddrFrom4(from), r.invented())
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

// invented is an announcement that nobody has made.
func (r *rogue) invented() []byte {
	board := announced{serial: randomHex(), cluster: "pi", swarm: swarmID, state: "manager"}
	for _, v := range r.victims() {
		board.cluster, board.tag, board.mac = v.cluster, v.tag, "AAAAAAAAAAAAAAAAAAAAAA"
	}
	switch n := rand.IntN(100); {
	case n < 60:
		board.state, board.swarm = "blank", ""
	case n < 90:
	case n < 92:
		board.cluster = "c" + randomHex()
	case n < 94:
		board.more = []string{"v=2", randomText(255), randomText(200), randomText(250)}
	case n < 96:
		return []byte(randomText(rand.IntN(1400)))
	case n < 98:
		return question()
	default:
		p := r.announcement(board)
		return p[:rand.IntN(len(p))]
	}
	return r.announcement(board)
}

func randomHex() string { return fmt.Sprintf("%016x", rand.Uint64()) }

func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}
