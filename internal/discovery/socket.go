package discovery

// This file is the socket of the mDNS group, on Linux.

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/address"
)

const (
	mdnsPort  = 5353        // RFC 6762 section 3, as the group
	mdnsTTL   = 255         // IP TTL of all packets: one from beyond a router has less, RFC 6762 section 11
	packetMax = 9000        // bytes, RFC 6762 section 17
	sendMax   = time.Second // for the kernel to take a packet
)

var (
	groupAddr = netip.AddrFrom4([4]byte{224, 0, 0, 251})
	groupUDP  = net.UDPAddrFromAddrPort(netip.AddrPortFrom(groupAddr, mdnsPort))
)

// packet is one datagram that was sent to the mDNS group on our link.
type packet struct {
	from netip.AddrPort
	ttl  int // IP TTL
	data []byte
}

// groupConn is the real conn. It is bound to the group, not to every address: so it gets no unicast packet, of which
// the kernel gives each to one socket only and which avahi on this machine may be waiting for. For the same reason all
// answers that we want come by multicast.
type groupConn struct {
	index int // of the link
	udp   *net.UDPConn
	pc    *ipv4.PacketConn
	buf   []byte
}

// openGroup needs no route to the group, since the kernel is told the interface. The net package cannot open such a
// socket: it turns a group address into 0.0.0.0.
func openGroup(link address.Link) (conn, error) {
	if len(link.Addrs()) == 0 {
		return nil, fmt.Errorf("%s has no IPv4 address", link.Name)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "mdns group")
	defer func() { _ = file.Close() }() // FilePacketConn has its own duplicate
	if err := setUp(fd, link); err != nil {
		return nil, err
	}
	generic, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("use the socket: %w", err)
	}
	udp := generic.(*net.UDPConn)
	pc := ipv4.NewPacketConn(udp)
	if err := pc.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		_ = udp.Close() // the first error counts
		return nil, fmt.Errorf("ask for the TTL of packets: %w", err)
	}
	return &groupConn{index: link.Index, udp: udp, pc: pc, buf: make([]byte, packetMax)}, nil
}

// setUp makes fd a socket of the group on the link. Its error says what the kernel did not allow.
func setUp(fd int, link address.Link) error {
	group := groupAddr.As4()
	for _, o := range []struct {
		level, name, value int
		what               string
	}{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, "share port 5353"},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0, "hear one interface only"},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, mdnsTTL, "set the TTL"},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1, "hear ourselves"},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.what, err)
		}
	}
	out := &unix.IPMreqn{Ifindex: int32(link.Index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, out); err != nil {
		return fmt.Errorf("send on %s: %w", link.Name, err)
	}
	in := &unix.IPMreqn{Multiaddr: group, Ifindex: int32(link.Index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, in); err != nil {
		return fmt.Errorf("join the mDNS group on %s: %w", link.Name, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: mdnsPort, Addr: group}); err != nil {
		return fmt.Errorf("use UDP port %d: %w", mdnsPort, err)
	}
	return nil
}

// Receive implements conn.
func (c *groupConn) Receive() (packet, error) {
	n, control, from, err := c.pc.ReadFrom(c.buf)
	if err != nil {
		return packet{}, fmt.Errorf("receive: %w", err)
	}
	p := packet{from: from.(*net.UDPAddr).AddrPort(), data: append([]byte(nil), c.buf[:n]...)}
	p.from = netip.AddrPortFrom(p.from.Addr().Unmap(), p.from.Port())
	if control != nil {
		p.ttl = control.TTL
	}
	return p, nil
}

// Send implements conn.
func (c *groupConn) Send(data []byte, from netip.Addr) error {
	if err := c.udp.SetWriteDeadline(time.Now().Add(sendMax)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	source := &ipv4.ControlMessage{Src: from.AsSlice(), IfIndex: c.index}
	if _, err := c.pc.WriteTo(data, source, groupUDP); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Close implements conn.
func (c *groupConn) Close() error { return c.udp.Close() }
