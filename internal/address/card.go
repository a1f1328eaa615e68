package address

// This file tells network cards from the interfaces of containers and tunnels.

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sysfs is where the kernel shows the interfaces of the network namespace.
const sysfs = "/sys"

// card is what the kernel shows of an interface beside its addresses. Of one that it does not show, all is zero.
type card struct {
	kind     string   // the kernel's word, such as "bridge", "bond", "vlan", "wlan" or "gadget"; often empty
	master   string   // the bridge, bond or the like that it is a port of
	lower    []string // what it is made of: the ports of a bridge, the interface that carries a VLAN
	device   bool     // there is hardware behind it
	wireless bool
	tap      bool // packets go to a program
	foreign  bool // it is no Ethernet: a tunnel, a modem, a CAN bus
}

// readCard reads what root/class/net shows of an interface. An empty card comes of what is not there, and of an
// interface of another network namespace, whose index differs.
func readCard(root, name string, index int) card {
	dir := filepath.Join(root, "class/net", name)
	uevent, err := os.ReadFile(filepath.Join(dir, "uevent"))
	if err != nil {
		return card{}
	}
	var c card
	for line := range strings.Lines(string(uevent)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case key == "IFINDEX" && value != strconv.Itoa(index):
			return card{}
		case key == "DEVTYPE":
			c.kind = value
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return card{}
	}
	for _, e := range entries {
		switch lower, ok := strings.CutPrefix(e.Name(), "lower_"); {
		case ok:
			c.lower = append(c.lower, lower)
		case e.Name() == "device":
			c.device = true
		case e.Name() == "phy80211", e.Name() == "wireless":
			c.wireless = true
		case e.Name() == "tun_flags":
			c.tap = true
		}
	}
	if master, err := os.Readlink(filepath.Join(dir, "master")); err == nil {
		c.master = filepath.Base(master)
	}
	if number, err := os.ReadFile(filepath.Join(dir, "type")); err == nil {
		c.foreign = strings.TrimSpace(string(number)) != ethernet
	}
	return c
}

// ethernet is the type of wired and wireless interfaces alike (ARPHRD_ETHER).
const ethernet = "1"

// rank is how likely other boards are at the far end of an interface. A lower one is better.
type rank int

const (
	hardware rank = iota // a network card, or what is made of one
	unknown              // nothing is known for it or against it
	foreign              // it leads to containers or into a tunnel: used only when the settings name it
)

// programs are the names that other programs give to interfaces of theirs, as patterns of path.Match.
var programs = []string{
	// Containers and virtual machines.
	"docker*", "br-[0-9a-f]*", "veth*", "podman*", "cni*", "lxc*", "lxdbr*", "incusbr*", "virbr*", "vnet*", "hassio*",
	"vboxnet*", "vmnet*",
	// Clusters.
	"flannel*", "cali*", "cilium*", "tunl*", "vxlan*", "weave*", "kube-*", "nodelocaldns*", "ovs-system",
	// Tunnels.
	"zt*", "tailscale*", "wg*", "nebula*", "netmaker*", "nordlynx*", "tun[0-9]*", "tap[0-9]*", "utun*", "ham[0-9]*",
	"ppp*", "sit[0-9]*", "gre[0-9]*", "gretap*", "erspan*", "ip6tnl*",
	// The kernel's own, and Bluetooth.
	"dummy*", "ifb*", "teql*", "bnep*", "pan[0-9]*",
}

// tunnels are the kinds of interfaces that lead into a tunnel, or serve no packets themselves.
var tunnels = []string{"vxlan", "geneve", "wireguard", vrf, "ppp", "bluetooth", "wwan", "openvswitch"}

// byProgram reports whether another program has made the interface for itself, going by its name.
func byProgram(name string) bool {
	return slices.ContainsFunc(programs, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// rank judges an interface by itself.
func (c nic) rank() rank {
	switch {
	case c.lonely, c.tap, c.foreign, slices.Contains(tunnels, c.kind), byProgram(c.Name):
		return foreign
	case c.kind == "gadget" || strings.HasPrefix(c.Name, "usb"):
		return unknown // a cable to one computer, of which either is the card
	case c.device || c.kind == "wlan":
		return hardware
	}
	return unknown
}

// deepest bounds how far interfaces are followed that are made of others: a VLAN on a bridge on a bond on a card is 4.
const deepest = 8

// interfaces are all of a board, by name.
type interfaces map[string]nic

func byName(all []nic) interfaces {
	named := interfaces{}
	for _, c := range all {
		named[c.Name] = c
	}
	return named
}

// rank judges an interface, and if it is a bridge, a bond or a VLAN by the best of what it is made of.
func (all interfaces) rank(name string) rank { return all.rankOf(name, deepest) }

func (all interfaces) rankOf(name string, depth int) rank {
	best := foreign
	c := all[name]
	for _, l := range c.lower {
		lower, ok := all[l]
		if ok && depth > 0 && !slices.Contains(tunnels, c.kind) && (lower.master == name || c.kind == "vlan") {
			best = min(best, all.rankOf(l, depth-1))
		}
	}
	if best < foreign {
		return best
	}
	if c.kind == "bridge" && len(c.lower) > 0 {
		return foreign // a bridge of nothing but containers, whatever its name
	}
	return c.rank()
}

// vrf is the kind of a routing table of its own. What belongs to one keeps its addresses.
const vrf = "vrf"

// stands is the interface that takes the place of the one of that name: itself, or the bridge or bond that it has
// become a port of. It reports whether there is one.
func (all interfaces) stands(name string) (nic, bool) {
	c, ok := all[name]
	for range deepest {
		if !ok || c.master == "" || all[c.master].kind == vrf {
			return c, ok
		}
		c, ok = all[c.master]
	}
	return nic{}, false
}
