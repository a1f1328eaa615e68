package bootstrap

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/status"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// network is what this board has seen of its place in the network.
type network struct {
	Network
	link      address.Link
	told      address.Link // as it was last told
	err       error        // why there is no link; nil when there is one
	linked    time.Time    // since when there is
	advertise netip.Addr   // for a swarm to rely on
	addrErr   error        // why there is none; nil when there is
	lost      timing.Since // see policy.Network
	warned    bool         // the risk of the address that the swarm relies on was told
}

func newNetwork(n Network) *network {
	return &network{Network: n, err: errors.New("not looked at yet")}
}

// look brings the link and the addresses up to date. It reports whether they have changed: what was out of reach from
// those before may be within that of the new ones.
func (n *network) look(now time.Time, log *zap.Logger) (changed bool) {
	choice, err := n.Network.Link()
	link := choice.Link
	seen := address.Link{Name: link.Name, Index: link.Index, Addr: cmp.Or(link.Addr, link.Stable)}
	if !link.Addr.IsValid() && link.Name == n.told.Name && link.Index == n.told.Index {
		seen = n.told // a lease that has gone is no news where the board can do without
	}
	switch {
	case err == nil && (n.err != nil || seen != n.told):
		n.told, n.linked = seen, now
		tell := log.Info
		if !link.Addr.IsValid() {
			tell = log.Debug // who put the stable address there has told it
		}
		why := choice.Why
		if why != "" {
			why = ": " + why
		}
		tell(fmt.Sprintf("Using %s with address %s%s.", seen.Name, seen.Addr, why))
	case err != nil && n.err == nil:
		log.Warn(fmt.Sprintf("The network is gone: %v.", err))
	}
	changed = link != n.link
	n.link, n.err = link, err
	n.advertise, n.addrErr = n.Advertise()
	return changed
}

// compare looks whether the swarm knows this board by an address that it has, and that it will keep.
func (n *network) compare(s swarm.Status, now time.Time, log *zap.Logger) {
	if s.State != swarm.Active || !s.Addr.IsValid() {
		n.lost.Note(false, now)
		return
	}
	if has, err := n.Has(s.Addr); err != nil {
		log.Debug("Own addresses are not known.", zap.Error(err))
	} else {
		n.lost.Note(!has, now)
	}
	if s.Manager && !n.warned && n.advertise.IsLinkLocalUnicast() && !s.Addr.IsLinkLocalUnicast() {
		n.warned = true
		log.Warn(fmt.Sprintf("The swarm relies on %s, and loses its workers if this board gets another address: give it a "+
			"fixed lease in the router. A swarm that is made anew relies on %s, which stays.", s.Addr, n.advertise))
	}
}

// asked reports whether everybody was asked by multicast at all addresses, also at the one that a swarm would rely on,
// which may have come this moment.
func (n *network) asked(at address.Link) bool {
	return at == n.link && (n.addrErr != nil || n.advertise == n.link.Addr || n.advertise == n.link.Stable)
}

// own are the addresses of this board at which others know it.
func (n *network) own() []netip.Addr {
	return status.Addrs(nil, n.link.Addr, n.link.Stable, n.advertise)
}

// addressFor is the address that this board gives to a swarm whose manager is at the given one. All nodes need
// addresses of one kind: a swarm made before, or by hand, goes on with those of DHCP.
func (n *network) addressFor(manager netip.Addr) (netip.Addr, error) {
	switch {
	case manager.IsLinkLocalUnicast() == n.advertise.IsLinkLocalUnicast():
		return n.advertise, nil
	case manager.IsLinkLocalUnicast():
		return netip.Addr{}, fmt.Errorf("its manager is at %s, and this board has address = \"interface\": give all "+
			"boards the same",
			manager)
	case !n.link.Addr.IsValid():
		return netip.Addr{}, fmt.Errorf("its manager is at %s, and %s has no address but %s", manager, n.link.Name,
			n.advertise)
	}
	return n.link.Addr, nil
}
