package address

// This file has ARP packets (RFC 826) and the socket for them.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// Numbers of ARP over Ethernet for IPv4, RFC 826. Wi-Fi has the same.
const (
	arpLen     = 28 // bytes
	arpEther   = 1
	arpIPv4    = unix.ETH_P_IP
	arpRequest = 1
	arpReply   = 2
)

// mac is a hardware address.
type mac [6]byte

// String implements fmt.Stringer.
func (m mac) String() string { return net.HardwareAddr(m[:]).String() }

var broadcast = packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}

// arp is one ARP packet, in the words of RFC 5227: a probe has no sender address, an announcement has its own as
// target.
type arp struct {
	reply          bool
	hardware       mac // of the sender
	sender, target netip.Addr
}

// errNotARP is the error of a packet that is not ARP over Ethernet for IPv4.
var errNotARP = errors.New("not an ARP packet for IPv4")

// marshal is the packet as RFC 826 has it, 28 bytes.
func (a arp) marshal() []byte {
	b := make([]byte, 0, arpLen)
	b = binary.BigEndian.AppendUint16(b, arpEther)
	b = binary.BigEndian.AppendUint16(b, arpIPv4)
	b = append(b, byte(len(mac{})), net.IPv4len)
	op := uint16(arpRequest)
	if a.reply {
		op = arpReply
	}
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, a.hardware[:]...)
	b = append(b, a.sender.AsSlice()...)
	b = append(b, make([]byte, len(mac{}))...) // the target's, which is what a request asks for
	return append(b, a.target.AsSlice()...)
}

// unmarshalARP reads a packet; what an Ethernet frame was filled up with may follow it. Its error is errNotARP.
func unmarshalARP(b []byte) (arp, error) {
	if len(b) < arpLen || binary.BigEndian.Uint16(b) != arpEther || binary.BigEndian.Uint16(b[2:]) != arpIPv4 ||
		b[4] != byte(len(mac{})) || b[5] != net.IPv4len {
		return arp{}, errNotARP
	}
	op := binary.BigEndian.Uint16(b[6:])
	if op != arpRequest && op != arpReply {
		return arp{}, errNotARP
	}
	return arp{
		reply:    op == arpReply,
		hardware: mac(b[8:14]),
		sender:   netip.AddrFrom4([4]byte(b[14:18])),
		target:   netip.AddrFrom4([4]byte(b[24:28])),
	}, nil
}

// wire sends ARP packets to everybody on one link, and hears what others send there.
type wire interface {
	Send(arp) error
	// Receive blocks until a packet comes or the wire is closed.
	Receive() (arp, error)
	Close() error
}

// socket is the real wire. The kernel answers ARP requests for its addresses by itself; this only listens beside it.
type socket struct {
	conn *packet.Conn
	buf  [64]byte
}

// openARP opens a wire on the link and returns it with the hardware address of the link.
func openARP(link Link) (wire, mac, error) {
	iface, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return nil, mac{}, fmt.Errorf("find %s: %w", link.Name, err)
	}
	if len(iface.HardwareAddr) != len(mac{}) {
		return nil, mac{}, refuse("%s is neither Ethernet nor Wi-Fi, so nobody can be asked whether an address is free",
			link.Name)
	}
	conn, err := packet.Listen(iface, packet.Datagram, unix.ETH_P_ARP, nil)
	if errors.Is(err, unix.EPERM) {
		return nil, mac{}, refuse("this service may not ask on %s whether an address is free: it needs CAP_NET_RAW",
			link.Name)
	}
	if err != nil {
		return nil, mac{}, fmt.Errorf("listen to ARP on %s: %w", link.Name, err)
	}
	return &socket{conn: conn}, mac(iface.HardwareAddr), nil
}

// Send implements wire.
func (s *socket) Send(a arp) error {
	if _, err := s.conn.WriteTo(a.marshal(), &broadcast); err != nil {
		return fmt.Errorf("send ARP: %w", err)
	}
	return nil
}

// Receive implements wire.
func (s *socket) Receive() (arp, error) {
	for {
		n, _, err := s.conn.ReadFrom(s.buf[:])
		if err != nil {
			return arp{}, fmt.Errorf("receive ARP: %w", err)
		}
		if a, err := unmarshalARP(s.buf[:n]); err == nil {
			return a, nil
		}
	}
}

// Close implements wire.
func (s *socket) Close() error { return s.conn.Close() }
