package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The two switches of the LAN. They are not connected, so Pis on one do not hear those on the other.
const (
	bridge = "br0" // where Pis are plugged in; has the gateway address
	apart  = "br1" // where Partition moves them to
)

// Link says in which state a network interface comes up. The zero value is as after DHCP.
type Link struct {
	NoAddr  bool // without an IPv4 address, and so without a route
	NoRoute bool // without a default route
	Down    bool // not up at all; without address and route
}

func (l *Lab) startLAN() error {
	dir := filepath.Join(l.Dir, "lan")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var err error
	if l.lan, err = l.boot(dir, lanNamespaces, initName); err != nil {
		return err
	}
	// What is not for the LAN is refused at once, as by a router without an uplink. Silence would make every engine wait
	// for its registry.
	forward := func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) }
	if err := l.lan.enter(forward); err != nil {
		return err
	}
	return l.lan.ip(
		"link set lo up",
		"route add unreachable default",
		"link add "+bridge+" type bridge",
		"link add "+apart+" type bridge",
		"addr add "+l.Gateway().String()+"/24 dev "+bridge,
		"link set "+bridge+" up",
		"link set "+apart+" up",
	)
}

// Gateway is the LAN's own address, the Pis' router and name server. It has no uplink and answers no name.
func (l *Lab) Gateway() netip.Addr { return l.host(254) }

func (l *Lab) host(n byte) netip.Addr {
	a := l.options.Subnet.Masked().Addr().As4()
	a[3] = n
	return netip.AddrFrom4(a)
}

// InLAN calls f as Pi.Enter does, but on the host that has the Gateway's address. It has the machine's own files.
func (l *Lab) InLAN(f func() error) error { return l.lan.enter(f) }

// Partition plugs these Pis into a switch of their own: they hear each other, and nothing of the others. Mend undoes
// it.
func (l *Lab) Partition(pis ...*Pi) error {
	for _, p := range pis {
		if err := l.lan.ip("link set " + p.Name + " master " + apart); err != nil {
			return err
		}
	}
	return nil
}

// ip runs commands of ip(8) inside the machine, in one go. The first that fails ends it.
func (m *machine) ip(commands ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := command(ctx, m.enter, []string{"ip", "-batch", "-"})
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, out)
	}
	return nil
}

// Cut makes every packet to and from the computer vanish, while its interface looks well, as behind a broken access
// point.
func (c *Computer) Cut() error { return c.lab.lan.ip("link set " + c.Name + " nomaster") }

// Mend undoes Cut, Unplug and Partition.
func (c *Computer) Mend() error {
	return c.lab.lan.ip("link set "+c.Name+" master "+bridge, "link set "+c.Name+" up")
}

// Unplug takes the cable out at the switch: the computer's interface loses its carrier and keeps its addresses.
func (c *Computer) Unplug() error { return c.lab.lan.ip("link set " + c.Name + " down") }

// LinkDown sets the computer's interface down from inside. The kernel drops its routes then, and keeps IPv4 addresses.
func (c *Computer) LinkDown() error { return c.ip("link set eth0 down") }

// LinkUp sets the computer's interface up. It does not bring the default route back.
func (c *Computer) LinkUp() error { return c.ip("link set eth0 up") }

// SetAddr adds an address such as 10.77.0.99/24 to the computer's interface, or does nothing if it is there.
func (c *Computer) SetAddr(a netip.Prefix) error {
	return c.ip("addr replace " + a.String() + " dev eth0")
}

// DelAddr removes an address. Routes through it go with it.
func (c *Computer) DelAddr(a netip.Prefix) error { return c.ip("addr del " + a.String() + " dev eth0") }

// DefaultRoute adds or removes the default route.
func (c *Computer) DefaultRoute(on bool) error {
	if on {
		return c.ip("route replace default via " + c.lab.Gateway().String() + " dev eth0")
	}
	return c.ip("route del default")
}

// RecreateLink removes the Pi's interface and makes it anew, with the same name and hardware address and another
// index, as when a USB adapter is plugged again.
func (p *Pi) RecreateLink(state Link) error {
	if err := p.lab.lan.ip("link del " + p.Name); err != nil {
		return err
	}
	return p.connect(state)
}

// RecreateLink is that of a Pi. NetworkManager does the rest.
func (m *Machine) RecreateLink() error {
	if err := m.lab.lan.ip("link del " + m.Name); err != nil {
		return err
	}
	return m.plugIn()
}

// connect makes the cable from the Pi to the switch, and what a DHCP client would do then.
func (p *Pi) connect(state Link) error {
	if err := p.plugIn(); err != nil {
		return err
	}
	commands := []string{"link set lo up"}
	if !state.Down {
		commands = append(commands, "link set eth0 up")
	}
	if !state.Down && !state.NoAddr {
		commands = append(commands, "addr add "+p.Addr.String()+" brd + dev eth0")
		if !state.NoRoute {
			commands = append(commands, "route add default via "+p.lab.Gateway().String()+" dev eth0")
		}
	}
	return p.ip(commands...)
}

// Wireless gives the Pi a second interface on the same LAN, wlan0, as a radio beside the cable has it. The default
// route over it comes after the one over the cable. Only the name is that of a radio.
func (p *Pi) Wireless(addr netip.Prefix) error {
	m, err := p.on()
	if err != nil {
		return err
	}
	if err := p.lab.lan.ip(
		fmt.Sprintf("link add %s type veth peer name wlan0 netns %d", p.radio(), m.cmd.Process.Pid),
		"link set "+p.radio()+" master "+bridge+" up"); err != nil {
		return err
	}
	return m.ip("link set wlan0 up", "addr add "+addr.String()+" brd + dev wlan0",
		"route add default via "+p.lab.Gateway().String()+" dev wlan0 metric 600")
}

// WirelessGone undoes Wireless.
func (p *Pi) WirelessGone() error { return p.lab.lan.ip("link del " + p.radio()) }

// radio is the far end of wlan0.
func (p *Pi) radio() string { return p.Name + "-radio" }

// plugIn makes the cable to the switch.
func (c *Computer) plugIn() error {
	m, err := c.on()
	if err != nil {
		return err
	}
	return c.lab.lan.ip(
		fmt.Sprintf("link add %s type veth peer name eth0 address %s netns %d", c.Name, c.MAC, m.cmd.Process.Pid),
		"link set "+c.Name+" master "+bridge+" up")
}

func (c *Computer) ip(commands ...string) error {
	m, err := c.on()
	if err != nil {
		return err
	}
	return m.ip(commands...)
}

// Isolate makes the switch pass nothing between the computer and others that are isolated, as an access point with
// client isolation does, or all again.
func (c *Computer) Isolate(on bool) error {
	word := "off"
	if on {
		word = "on"
	}
	return c.lab.lan.ip("link set dev " + c.Name + " type bridge_slave isolated " + word)
}

// DropMulticast makes the switch pass no multicast to the computer, as an access point or a switch with IGMP snooping
// may. Broadcasts (ARP, DHCP) and what is sent to its address pass.
func (c *Computer) DropMulticast() error {
	return c.lab.lan.ip("link set dev " + c.Name + " type bridge_slave mcast_flood off")
}
