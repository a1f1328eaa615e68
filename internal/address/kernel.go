package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readTries bounds how often a list is read that changes while the kernel gives it. Docker changes interfaces in bursts.
const readTries = 5

// Kernel reads interfaces and routes from the kernel it runs on, in the current network namespace.
type Kernel struct {
	Want string // name of the interface to use; empty chooses
	Home string // name of the interface that comes first as long as it can be used, where Want is empty; empty is none
	// Bare lets an interface do that has no address, and takes no notice of addresses of 169.254.0.0/16.
	Bare bool
}

// Link is the cluster interface right now. The error says in words what is missing until there is one.
func (k Kernel) Link() (Choice, error) {
	all, err := k.candidates()
	if err != nil {
		return Choice{}, err
	}
	return choose(all, k.Want, k.Home)
}

// candidates are all interfaces.
func (k Kernel) candidates() ([]candidate, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	addrs, err := addresses()
	if err != nil {
		return nil, err
	}
	metrics, err := defaultRoutes()
	if err != nil {
		return nil, err
	}
	all := make([]candidate, 0, len(links))
	for _, l := range links {
		a := l.Attrs()
		addr := addrs[a.Index]
		if k.Bare && addr.IsLinkLocalUnicast() {
			addr = netip.Addr{}
		}
		metric, ok := metrics[a.Index]
		if !ok {
			metric = -1
		}
		all = append(all, candidate{
			Choice:    Choice{Link: Link{Name: a.Name, Index: a.Index, Addr: addr}},
			up:        a.Flags&net.FlagUp != 0,
			carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
			multicast: a.Flags&net.FlagMulticast != 0,
			lonely:    a.RawFlags&(unix.IFF_LOOPBACK|unix.IFF_POINTOPOINT|unix.IFF_NOARP) != 0,
			card:      readCard(sysfs, a.Name, a.Index),
			metric:    metric,
			bare:      k.Bare,
		})
	}
	return all, nil
}

// stands is the interface that takes the place of the one of that name, whether or not it can be used now.
func (k Kernel) stands(name string) (Link, bool) {
	all, err := k.candidates()
	if err != nil {
		return Link{}, false
	}
	c, ok := byName(all).stands(name)
	return c.Link, ok
}

// OnLink reports whether an address is reached over the cluster interface without a router.
func (k Kernel) OnLink(a netip.Addr) bool {
	link, err := k.Link()
	return err == nil && onLink(link.Link, a)
}

// onLink reports whether there is a route to addr over the link, without a router in between.
func onLink(link Link, addr netip.Addr) bool {
	routes, err := routeList()
	return err == nil && slices.ContainsFunc(routes, func(r netlink.Route) bool {
		p, ok := prefix(r.Dst)
		return ok && r.LinkIndex == link.Index && r.Gw == nil && p.Bits() > 0 && p.Contains(addr)
	})
}

// Routes lists the destinations that have an IPv4 route, the default route left out.
func (Kernel) Routes() ([]netip.Prefix, error) {
	routes, err := routeList()
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, r := range routes {
		if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

// addresses gives the IPv4 address of each interface that has one, a global one before a link-local one.
func addresses() (map[int]netip.Addr, error) {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	found := map[int]netip.Addr{}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP.To4())
		old := found[a.LinkIndex]
		if ok && (!old.IsValid() || old.IsLinkLocalUnicast() && !ip.IsLinkLocalUnicast()) {
			found[a.LinkIndex] = ip
		}
	}
	return found, nil
}

// defaultRoutes gives the metric of the best default route of each interface that has one.
func defaultRoutes() (map[int]int, error) {
	routes, err := routeList()
	if err != nil {
		return nil, err
	}
	metrics := map[int]int{}
	for _, r := range routes {
		if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
			continue
		}
		indexes := []int{r.LinkIndex}
		for _, hop := range r.MultiPath { // one route over several interfaces
			indexes = append(indexes, hop.LinkIndex)
		}
		for _, i := range indexes {
			if old, ok := metrics[i]; !ok || r.Priority < old {
				metrics[i] = r.Priority
			}
		}
	}
	return metrics, nil
}

func routeList() ([]netlink.Route, error) {
	routes, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

// whole reads a list anew while it changes under the reading, which may have left something out.
func whole[T any](read func() ([]T, error)) (all []T, err error) {
	for range readTries {
		if all, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP.To4())
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok
}

// Run waits for the end of ctx: the address is not ours to keep.
func (Kernel) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Ready is closed.
func (Kernel) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// Advertise is the address of the cluster interface, for a swarm to rely on.
func (k Kernel) Advertise() (netip.Addr, error) {
	link, err := k.Link()
	return link.Addr, err
}

// Rely does nothing: the address is not ours to keep.
func (Kernel) Rely(bool) {}

// Has reports whether addr is one of this board's addresses.
func (Kernel) Has(addr netip.Addr) (bool, error) {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return false, fmt.Errorf("list addresses: %w", err)
	}
	return slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return addr.IsValid() && a.IP.Equal(addr.AsSlice()) }), nil
}
