// Package address knows the one network interface over which a board takes part in the cluster, and gives it an address
// that does not move. A swarm pins its manager's address for life, and DHCP does not; so a Keeper claims an IPv4
// link-local address (RFC 3927) beside the one of DHCP, asks first whether it is free (RFC 5227), and keeps it there.
package address

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// Link is a network interface as the choice sees it.
type Link struct {
	Name  string
	Index int        // changes when the interface is made anew, as when a USB adapter is plugged again
	Addr  netip.Addr // its IPv4 address, global before link-local; invalid when it has none

	// Stable is the address of 169.254.0.0/16 that pi-agent keeps on it beside Addr; invalid when it keeps none. With it,
	// the interface is of use without Addr.
	Stable netip.Addr
}

// candidate is a Link with what speaks for and against it.
type candidate struct {
	Link
	up        bool // set up by the system
	carrier   bool // a cable or a radio connection is there
	multicast bool
	lonely    bool // loopback, or a tunnel with one other end
	wireless  bool
	metric    int  // of its default route; -1 without one
	bare      bool // will do without Addr, because it is to get a stable address
}

// virtual are the beginnings of names of interfaces that lead to containers and tunnels, never to other boards.
var virtual = []string{"docker", "br-", "veth", "tun", "tap", "wg", "vxlan", "dummy", "virbr"}

// choose picks the cluster interface: the one named want, else one with a default route before one without, the lower
// metric before the higher, one with an address before one without, wired before wireless, the older before the newer. The error says in words what is missing
// at the one that comes first; an empty socket is not worth telling while the radio waits for its address.
func choose(all []candidate, want string) (Link, error) {
	usable := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.Name != want && !c.reachesBoards() })
	sort.Slice(usable, func(i, j int) bool {
		a, b := usable[i], usable[j]
		return cmp.Or(
			compare(!a.carrier, !b.carrier),
			compare(b.metric >= 0, a.metric >= 0),
			cmp.Compare(a.metric, b.metric),
			compare(!a.Addr.IsValid(), !b.Addr.IsValid()),
			compare(a.wireless, b.wireless),
			cmp.Compare(a.Index, b.Index)) < 0
	})
	var missing error
	var names []string
	for _, c := range usable {
		names = append(names, c.Name)
		if want != "" && c.Name != want {
			continue
		}
		err := c.lacks()
		if err == nil {
			return c.Link, nil
		}
		missing = cmp.Or(missing, err)
	}
	switch {
	case missing != nil:
		return Link{}, missing
	case len(names) == 0:
		return Link{}, errors.New("there is no network interface")
	}
	return Link{}, fmt.Errorf("there is no interface %q, only %s; see interface in pi-agent.toml",
		want, strings.Join(names, ", "))
}

// reachesBoards tells whether other boards may be at the far end.
func (c candidate) reachesBoards() bool {
	return !c.lonely && !slices.ContainsFunc(virtual, func(p string) bool { return strings.HasPrefix(c.Name, p) })
}

// lacks says what a candidate needs before it can be used.
func (c candidate) lacks() error {
	switch {
	case !c.up:
		return fmt.Errorf("%s is not up", c.Name)
	case !c.carrier && c.wireless:
		return fmt.Errorf("%s is connected to no wireless network", c.Name)
	case !c.carrier:
		return fmt.Errorf("%s has no cable, or nothing is at its other end", c.Name)
	case !c.multicast:
		return fmt.Errorf("%s cannot do multicast, which finding other boards needs", c.Name)
	case !c.Addr.IsValid() && !c.bare:
		return fmt.Errorf("%s has no IPv4 address yet", c.Name)
	}
	return nil
}

// compare puts what is not so before what is so.
func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
