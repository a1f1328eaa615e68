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

// Link is the network interface over which a board takes part in the cluster, with its addresses. The zero Link is
// none.
type Link struct {
	Name  string
	Index int        // changes when the interface is made anew, as when a USB adapter is plugged again
	Addr  netip.Addr // its IPv4 address, global before link-local; invalid when it has none

	// Stable is the address of 169.254.0.0/16 that pi-agent keeps on it beside Addr; invalid when it keeps none. With it,
	// the interface is of use without Addr.
	Stable netip.Addr
}

// Addrs are the valid addresses, Addr first.
func (l Link) Addrs() []netip.Addr {
	return slices.DeleteFunc([]netip.Addr{l.Addr, l.Stable}, func(a netip.Addr) bool { return !a.IsValid() })
}

// Choice is the link that was chosen.
type Choice struct {
	Link
	Why string // why it is this one, in words, where that is not plain
}

// nic is a network interface that may be chosen, with what speaks for and against it.
type nic struct {
	Choice
	card
	up        bool // set up by the system
	carrier   bool // a cable or a radio connection is there
	multicast bool
	lonely    bool // loopback, a tunnel with one other end, or something that does without ARP
	metric    int  // of its default route; -1 without one
	bare      bool // will do without Addr, because it is to get a stable address
}

// choose picks the cluster interface: the one named want, or what it has become a port of. Without want it is the one
// named home, if that can be used. Else it is the best: one with a cable before one without, a network card, or what is
// made of one, before one of which nothing is known, one with a default route before one without, the lower metric
// before the higher, one with an address before one without, wired before wireless, plain before a VLAN, the older
// before the newer. One that is a port of another is never it, and one of another program only when want names it. The
// error says in words what is missing at the one that comes first; an empty socket is not worth telling while the radio
// waits for its address.
func choose(all []nic, want, home string) (Choice, error) {
	named := byName(all)
	if want != "" {
		return named.wanted(want)
	}
	if c, ok := named.stands(home); ok && named.rank(c.Name) < foreign && c.lacks() == nil {
		return named.explained(c), nil
	}
	usable := named.usable()
	var missing, card error
	for _, c := range usable {
		if named.rank(c.Name) == hardware {
			card = cmp.Or(card, c.lacks())
		}
	}
	for _, c := range usable {
		err := c.lacks()
		if err == nil {
			if card != nil && named.rank(c.Name) > hardware {
				c.Why = card.Error()
			}
			return named.explained(c), nil
		}
		missing = cmp.Or(missing, err)
	}
	if missing != nil {
		return Choice{}, missing
	}
	return Choice{}, named.none()
}

// usable are the interfaces behind which other boards may be, the best first.
func (all interfaces) usable() []nic {
	var usable []nic
	for _, c := range all {
		if c.master == "" && all.rank(c.Name) < foreign {
			usable = append(usable, c)
		}
	}
	sort.Slice(usable, func(i, j int) bool {
		a, b := usable[i], usable[j]
		return cmp.Or(
			compare(!a.carrier, !b.carrier),
			cmp.Compare(all.rank(a.Name), all.rank(b.Name)),
			compare(b.metric >= 0, a.metric >= 0),
			cmp.Compare(a.metric, b.metric),
			compare(!a.Addr.IsValid(), !b.Addr.IsValid()),
			compare(a.wireless, b.wireless),
			compare(a.kind == "vlan", b.kind == "vlan"),
			cmp.Compare(a.Index, b.Index)) < 0
	})
	return usable
}

// wanted is the interface that the settings name, or what it has become a port of.
func (all interfaces) wanted(name string) (Choice, error) {
	c, ok := all.stands(name)
	switch first, there := all[name]; {
	case ok:
		err := c.lacks()
		if err != nil && c.Name != name {
			err = fmt.Errorf("%s is a port of %s, and %w", name, first.master, err)
		}
		if err != nil {
			return Choice{}, err
		}
		return all.explained(c), nil
	case there:
		return Choice{}, fmt.Errorf("%s is a port of %s, which is not there; see interface in pi-agent.toml",
			name, first.master)
	}
	var names []string
	for _, c := range all.usable() {
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return Choice{}, all.none()
	}
	return Choice{}, fmt.Errorf("there is no interface %q, only %s; see interface in pi-agent.toml",
		name, strings.Join(names, ", "))
}

// none says that no interface leads to other boards, and which there are.
func (all interfaces) none() error {
	var names []string
	for _, c := range all {
		switch {
		case c.master != "":
			names = append(names, c.Name+" (a port of "+c.master+")")
		case c.Index != loopback:
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return errors.New("there is no network interface")
	}
	slices.Sort(names)
	return fmt.Errorf("there is no network interface that leads to other boards, only %s; see interface in pi-agent.toml",
		strings.Join(names, ", "))
}

// explained is the choice of an interface, with the reason for it where that is not plain.
func (all interfaces) explained(c nic) Choice {
	var ports []string
	for _, l := range c.lower {
		if all[l].master == c.Name && all.rank(l) == all.rank(c.Name) {
			ports = append(ports, l)
		}
	}
	if len(ports) > 0 {
		slices.Sort(ports)
		c.Why = "it is made of " + strings.Join(ports, " and ")
	}
	return c.Choice
}

// lacks says what an interface needs before it can be used; nil when it lacks nothing.
func (c nic) lacks() error {
	switch {
	case !c.up:
		return fmt.Errorf("%s is not up", c.Name)
	case !c.carrier && (c.kind == "bridge" || c.kind == "bond"):
		return fmt.Errorf("%s has no port that is connected yet", c.Name)
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

// compare orders false before true.
func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
