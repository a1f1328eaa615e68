package address

// This file asks the kernel for interfaces, addresses and routes, over netlink.

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

// readTries bounds how often a list is read that changes while the kernel gives it. Docker changes interfaces in
// bursts.
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
	all, err := k.nics()
	if err != nil {
		return Choice{}, err
	}
	return choose(all, k.Want, k.Home)
}

// nics are all interfaces.
func (k Kernel) nics() ([]nic, error) {
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
	all := make([]nic, 0, len(links))
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
		all = append(all, nic{
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
	all, err := k.nics()
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
		to, ok := destination(r)
		return ok && r.LinkIndex == link.Index && r.Gw == nil && to.Contains(addr)
	})
}

// Route is one way to an IPv4 destination, the default route left out.
type Route struct {
	To     netip.Prefix
	Device string // name of the interface
	Metric int    // of several to one destination the lowest is taken
}

// Table lists the routes of the main table. One over several interfaces is there once for each.
func (Kernel) Table() ([]Route, error) {
	routes, err := routeList()
	if err != nil {
		return nil, err
	}
	var all []Route
	for _, r := range routes {
		if to, ok := destination(r); ok {
			for _, index := range over(r) {
				all = append(all, Route{to, device(index), r.Priority})
			}
		}
	}
	return all, nil
}

// Routes lists the destinations of Table.
func (k Kernel) Routes() ([]netip.Prefix, error) {
	table, err := k.Table()
	var all []netip.Prefix
	for _, r := range table {
		all = append(all, r.To)
	}
	return all, err
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
		if _, ok := destination(r); ok {
			continue
		}
		for _, i := range over(r) {
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

// destination is where a route leads; ok is false for a default route, which leads to all the rest.
func destination(r netlink.Route) (to netip.Prefix, ok bool) {
	if r.Dst == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
	ones, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok && ones > 0
}

// over are the indexes of the interfaces over which a route leads, 0 where it leads nowhere.
func over(r netlink.Route) []int {
	if len(r.MultiPath) == 0 {
		return []int{r.LinkIndex}
	}
	var all []int
	for _, hop := range r.MultiPath {
		all = append(all, hop.LinkIndex)
	}
	return all
}

// device is the name of the interface with that index.
func device(index int) string {
	if index == 0 {
		return "no interface"
	}
	if l, err := netlink.LinkByIndex(index); err == nil {
		return l.Attrs().Name
	}
	return fmt.Sprintf("interface %d", index) // it has just gone
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
	own := func(a netlink.Addr) bool { return addr.IsValid() && a.IP.Equal(addr.AsSlice()) }
	return slices.ContainsFunc(addrs, own), nil
}
