package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A stable address is not on the cluster interface itself, but on the loopback interface, with a route over the cluster
// interface. The kernel answers ARP for it all the same, on whatever interface is asked. A network manager that flushes
// its interface does not reach it there; and NetworkManager, which takes an address on an interface without a lease for
// a configuration by hand, would ask no DHCP server any more.

// loopback is the index of lo in every network namespace.
const loopback = 1

// place gives this board the address addr, with the route to LinkLocal over the link. It reports whether something was
// missing.
func place(link Link, addr netip.Addr) (missing bool, err error) {
	has, err := Kernel{}.Has(addr)
	if err != nil {
		return false, err
	}
	if !has {
		lo := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: loopback}}
		a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, addr.BitLen())), Scope: unix.RT_SCOPE_LINK}
		if err := netlink.AddrAdd(lo, a); err != nil && !errors.Is(err, unix.EEXIST) {
			return true, because("have the address "+addr.String(), err)
		}
	}
	routes, err := routeList()
	if err != nil {
		return !has, err
	}
	for _, r := range routes {
		p, ok := destination(r)
		if ok && p == LinkLocal && r.LinkIndex == link.Index && r.Priority == 0 && r.Src.Equal(addr.AsSlice()) {
			return !has, nil
		}
	}
	// It takes the place of the one over another link.
	err = netlink.RouteReplace(&netlink.Route{
		LinkIndex: link.Index, Dst: ipNet(LinkLocal), Scope: netlink.SCOPE_LINK, Src: addr.AsSlice(),
	})
	if err != nil {
		return true, because(fmt.Sprintf("route %s over %s", LinkLocal, link.Name), err)
	}
	return true, nil
}

// withdraw takes addr away from this board; its route goes with it.
func withdraw(addr netip.Addr) error {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if !a.IP.Equal(addr.AsSlice()) {
			continue
		}
		on := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.LinkIndex}}
		if err := netlink.AddrDel(on, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			return because("remove the address "+addr.String(), err)
		}
	}
	return nil
}

// elsewhere finds another interface over which LinkLocal is routed already, other than for addr, whoever did that.
func elsewhere(link Link, addr netip.Addr) error {
	routes, err := routeList()
	if err != nil {
		return err
	}
	for _, r := range routes {
		p, ok := destination(r)
		own := r.LinkIndex == link.Index || addr.IsValid() && r.Src.Equal(addr.AsSlice())
		if !ok || own || p.Bits() < widest || p.Bits() > LinkLocal.Bits() || !p.Contains(LinkLocal.Addr()) {
			continue
		}
		name := device(r.LinkIndex)
		return refuse("%s is routed over %s already, so %s cannot have an address of it: "+
			"turn link-local addresses off on %s, or give interface = %q", p, name, link.Name, name, name)
	}
	return nil
}

// widest is the shortest prefix of a network; shorter ones are default routes, such as the 128.0.0.0/1 of many a VPN.
const widest = 8

// because says what the kernel did not let us do.
func because(what string, err error) error {
	if errors.Is(err, unix.EPERM) {
		return refuse("this service may not %s: it needs CAP_NET_ADMIN", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
