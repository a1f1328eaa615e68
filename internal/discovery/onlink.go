package discovery

// This file tells machines on our link from those beyond a router.

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
)

const nearAge = time.Second // how old the list of the link's networks may be

// onLink knows what is on the link (RFC 6762 section 11). Whoever is there can send from any address, and must not make
// us speak to machines elsewhere.
type onLink struct {
	networks []netip.Prefix
	looked   time.Time // zero makes it look anew
}

// has reports whether addr is on the link. A link-local address (RFC 3927) is by definition, also where we have none.
// When it cannot be found out, addr is taken to be.
func (o *onLink) has(addr netip.Addr, link address.Link, n network, log *zap.Logger, now time.Time) bool {
	if addr.IsLinkLocalUnicast() {
		return true
	}
	if now.Sub(o.looked) >= nearAge {
		near, err := n.near(link)
		if err != nil {
			log.Debug("The networks of the link cannot be listed.", zap.Error(err))
		}
		o.networks, o.looked = near, now
	}
	return len(o.networks) == 0 || slices.ContainsFunc(o.networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// networks lists those that are reached over the link without a router.
func networks(link address.Link) ([]netip.Prefix, error) {
	iface, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", link.Name, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Name, err)
	}
	var all []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// usable reports whether a board can be reached at addr.
func usable(addr netip.Addr) bool {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return addr.Is4() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() && addr != broadcast
}
