package doctor

// The network of the board: its interface, its addresses and its routes, and whether multicast goes through.

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/picture"
)

func checkLink(_ context.Context, p *Patient) []Result {
	const name = "network"
	switch {
	case p.LinkErr != nil:
		return fail(name, "plug in a cable, or connect to a wireless network; ip addr shows what there is",
			"There is no usable one: %v.", p.LinkErr)
	}
	why := p.Link.Why
	if why != "" {
		why = ": " + why
	}
	if !p.Link.Addr.IsValid() {
		return pass(name, "%s is used, without an address of DHCP%s.", p.Link.Name, why)
	}
	return pass(name, "%s is used, with address %s%s.", p.Link.Name, p.Link.Addr, why)
}

func checkSwarmAddress(_ context.Context, p *Patient) []Result {
	const name = "swarm address"
	if p.EngineErr != nil || !p.Engine.Addr.IsValid() {
		return nil
	}
	switch has, err := p.Has(p.Engine.Addr); {
	case err != nil:
		return skip(name, "Own addresses are not known: %v.", err)
	case !has:
		remedy := "give it that address again, by a fixed lease in the router" // in the words of the agent
		switch {
		case p.Engine.Addr.IsLinkLocalUnicast() && p.LinkLocal:
			remedy = "sudo systemctl restart pi-agent, and see journalctl -u pi-agent"
		case p.Engine.Addr.IsLinkLocalUnicast():
			remedy = `give address = "link-local" again`
		}
		return fail(name, remedy, "The swarm knows this board as %s, an address that it does not have.", p.Engine.Addr)
	case !p.Engine.Addr.IsLinkLocalUnicast() && p.Engine.Manager:
		return warn(name, "give it a fixed lease in the router",
			"The swarm relies on %s, and loses its workers if the router gives this board another.", p.Engine.Addr)
	}
	return pass(name, "The swarm knows this board as %s, which it has.", p.Engine.Addr)
}

func checkLinkLocalRoute(_ context.Context, p *Patient) []Result {
	const name = "169.254 route"
	if !p.LinkLocal || p.LinkErr != nil {
		return nil
	}
	all, err := p.Routes()
	if err != nil {
		return skip(name, "Routes cannot be read: %v.", err)
	}
	var taken *address.Route
	for i, r := range all {
		if r.To == address.LinkLocal && (taken == nil || r.Metric < taken.Metric) {
			taken = &all[i]
		}
	}
	const restart = "sudo systemctl restart pi-agent, and see journalctl -u pi-agent"
	switch {
	case taken == nil:
		return fail(name, restart, "%s has no route, so other boards are not reached.", address.LinkLocal)
	case taken.Device == p.Link.Name:
		return pass(name, "%s is reached over %s.", address.LinkLocal, taken.Device)
	case p.Agent != nil: // it may be the agent's own, of before
		return fail(name, restart, "%s is routed over %s, and the other boards are behind %s.",
			address.LinkLocal, taken.Device, p.Link.Name)
	}
	off := fmt.Sprintf("turn link-local addresses off on %s, or give interface = %q in pi-agent.toml",
		taken.Device, taken.Device)
	return fail(name, off,
		"%s is routed over %s, and the other boards are behind %s.", address.LinkLocal, taken.Device, p.Link.Name)
}

// subnetBits is the size of an overlay network unless somebody wants another.
const subnetBits = 24

func checkOverlayPool(_ context.Context, p *Patient) []Result {
	const name = "overlay pool"
	const remedy = "use another subnet on the LAN, or make the swarm anew: pi-agent chooses a pool that is clear"
	if p.Picture.Swarm == nil || len(p.Picture.Swarm.Pools) == 0 {
		return nil
	}
	all, err := p.Routes()
	if err != nil {
		return skip(name, "Routes cannot be read: %v.", err)
	}
	var near []Result
	for _, pool := range p.Picture.Swarm.Pools {
		ingress := netip.PrefixFrom(pool.Addr(), subnetBits)
		for _, r := range all {
			switch {
			case r.To.Overlaps(ingress):
				return fail(name, remedy,
					"%s is a route over %s, and the first overlay network of the swarm has the same addresses.",
					r.To, r.Device)
			case r.To.Overlaps(pool):
				near = warn(name, remedy, "%s is a route over %s, and overlay networks may get the same addresses, of %s.",
					r.To, r.Device, pool)
			}
		}
	}
	if near != nil {
		return near
	}
	return pass(name, "No route is in the way of overlay networks, which are in %v.", p.Picture.Swarm.Pools)
}

// ofDocker matches the bridges of Docker's own networks, which are of this board alone.
var ofDocker = regexp.MustCompile(`^(docker0|docker_gwbridge|br-[0-9a-f]{12})$`)

// checkDockerNetworks looks whether the networks that Docker makes on this board have addresses of others: their boards
// are not reached then, and Docker does not notice when the board gets such an address later.
func checkDockerNetworks(_ context.Context, p *Patient) []Result {
	const name = "networks of docker"
	all, err := p.Routes()
	if err != nil {
		return skip(name, "Routes cannot be read: %v.", err)
	}
	for _, r := range all {
		for _, other := range all {
			if ofDocker.MatchString(r.Device) && !ofDocker.MatchString(other.Device) && r.To.Overlaps(other.To) {
				return fail(name, `give Docker others, for example with "bip": "10.199.0.1/24" and "default-address-pools": `+
					`[{"base": "10.200.0.0/16", "size": 24}] in `+p.Setup.File+", then sudo systemctl restart docker",
					"%s of Docker is %s, and %s is reached over %s.", r.Device, r.To, other.To, other.Device)
			}
		}
	}
	return pass(name, "None has addresses of another network of this board.")
}

func checkPowerSave(ctx context.Context, p *Patient) []Result {
	const name = "Wi-Fi power save"
	if p.LinkErr != nil {
		return nil
	}
	if _, err := text(p.Root, "sys/class/net/"+p.Link.Name+"/phy80211/name"); err != nil {
		return nil // it is not wireless
	}
	out, err := p.Run(ctx, "iw", "dev", p.Link.Name, "get", "power_save")
	switch {
	case err != nil:
		return skip(name, "iw does not tell: %v.", err)
	case strings.Contains(out, "on"):
		return with(warn(name, "sudo iw dev "+p.Link.Name+" set power_save off, until the next boot",
			"It is on: the radio sleeps, and loses announcements of other boards."),
			"iw", "dev", p.Link.Name, "set", "power_save", "off")
	}
	return pass(name, "It is off.")
}

func checkMulticast(_ context.Context, p *Patient) []Result {
	const name = "multicast"
	const remedy = "look for a firewall that drops 5353/udp, turn off client isolation and IGMP snooping, " +
		"or name another board in peers"
	self := p.Picture.Board(p.Picture.Self)
	switch {
	case p.Agent != nil || self == nil:
		return skip(name, "The agent, which listens, does not answer.")
	case !self.Announced:
		return behindFirewall(fail(name, remedy, "The announcements of this board do not arrive."))
	}
	return pass(name, "The announcements of this board arrive.")
}

func checkMulticastOfPeers(_ context.Context, p *Patient) (all []Result) {
	const name = "multicast of peers"
	const remedy = "look for a firewall on that board, turn off client isolation and IGMP snooping, " +
		"or name one board in peers on all others"
	if p.Agent != nil {
		return nil
	}
	heard := 0
	for _, b := range p.peers() {
		if b.Announced {
			heard++
			continue
		}
		all = append(all, warn(name, remedy, "The announcements of %s do not arrive.", b.Name)...)
	}
	if len(all) == 0 && heard > 0 {
		return pass(name, "The announcements of all others arrive, %d.", heard)
	}
	return all
}

// peers are the other boards that should be reached.
func (p *Patient) peers() (all []picture.Board) {
	for _, b := range p.Picture.Boards {
		if b.Serial != p.Picture.Self && b.Serial != "" && (b.State == picture.Ready || b.State == picture.In) {
			all = append(all, b)
		}
	}
	return all
}
