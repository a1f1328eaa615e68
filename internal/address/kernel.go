package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readTries bounds how often a list is read that changes while the kernel gives it. Docker changes interfaces in bursts.
const readTries = 5

// Kernel reads interfaces and routes from the kernel it runs on, in the current network namespace.
type Kernel struct {
	Want string // name of the interface to use; empty chooses
}

// Link is the cluster interface right now. The error says in words what is missing until there is one.
func (k Kernel) Link() (Link, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return Link{}, fmt.Errorf("list network interfaces: %w", err)
	}
	addrs, err := addresses()
	if err != nil {
		return Link{}, err
	}
	metrics, err := defaultRoutes()
	if err != nil {
		return Link{}, err
	}
	all := make([]candidate, 0, len(links))
	for _, l := range links {
		a := l.Attrs()
		metric, ok := metrics[a.Index]
		if !ok {
			metric = -1
		}
		all = append(all, candidate{
			Link:      Link{Name: a.Name, Index: a.Index, Addr: addrs[a.Index]},
			up:        a.Flags&net.FlagUp != 0,
			carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
			multicast: a.Flags&net.FlagMulticast != 0,
			lonely:    a.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0,
			wireless:  wireless(a.Name),
			metric:    metric,
		})
	}
	return choose(all, k.Want)
}

// OnLink reports whether an address is reached over the cluster interface without a router.
func (k Kernel) OnLink(a netip.Addr) bool {
	link, err := k.Link()
	if err != nil {
		return false
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addrs, func(of netlink.Addr) bool {
		p, ok := prefix(of.IPNet)
		return ok && of.LinkIndex == link.Index && p.Contains(a)
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

// wireless reports whether the interface is a radio, for which the kernel has this directory.
func wireless(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name, "wireless"))
	return err == nil
}
