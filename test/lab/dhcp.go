package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// leaseTime is that of every lease. Clients ask for more after half of it.
const leaseTime = 2 * time.Minute

// StartDHCP lets the gateway give addresses to who asks, from .100 to .199, as a home router does. It does so from the
// start in a lab with machines.
func (l *Lab) StartDHCP() error {
	if l.dhcp != nil && l.dhcp.Running() {
		return errors.New("the DHCP server runs already")
	}
	var err error
	l.dhcp, err = l.startInLAN("dnsmasq", "dnsmasq",
		"--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--log-facility=-", "--log-dhcp",
		"--no-resolv", "--no-hosts", "--interface="+bridge, "--bind-interfaces",
		"--dhcp-authoritative", "--no-ping",
		fmt.Sprintf("--dhcp-range=%v,%v,%d", l.host(100), l.host(199), int(leaseTime.Seconds())),
		"--dhcp-leasefile="+l.leases(),
	)
	return err
}

// leases is where the DHCP server of this subnet keeps who has which address.
func (l *Lab) leases() string { return filepath.Join(l.Dir, "lan", "leases-"+l.host(0).String()) }

// StopDHCP lets nobody get or keep an address any more. Leases run on until they end.
func (l *Lab) StopDHCP() error {
	if l.dhcp == nil {
		return errors.New("the DHCP server was never started")
	}
	l.dhcp.Kill() // it has nothing to finish
	return nil
}

// Renumber replaces the router by one with another subnet, an IPv4 /24. A machine gets an address of the new one when
// its lease ends, or when it has been unplugged for so long that it has given up its old one, or is rebooted. Pis keep
// theirs, which then are of no use.
func (l *Lab) Renumber(subnet netip.Prefix) error {
	if !subnet.Addr().Is4() || subnet.Bits() != 24 {
		return fmt.Errorf("subnet %v: give an IPv4 /24", subnet)
	}
	serving := l.dhcp != nil && l.dhcp.Running()
	if serving {
		if err := l.StopDHCP(); err != nil {
			return err
		}
	}
	old := l.Gateway()
	l.options.Subnet = subnet
	if err := l.lan.ip(
		"addr del "+old.String()+"/24 dev "+bridge,
		"addr add "+l.Gateway().String()+"/24 dev "+bridge,
	); err != nil {
		return err
	}
	if serving {
		return l.StartDHCP()
	}
	return nil
}
