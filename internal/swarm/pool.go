package swarm

import (
	"fmt"
	"net/netip"
	"strings"
)

// poolBits is the size of the pool: a /16 has room for 256 overlay networks of subnetBits.
const (
	poolBits   = 16
	subnetBits = 24
	// widestBits is the shortest prefix that can be a private network. Shorter ones are default routes, such as the
	// 0.0.0.0/1 and 128.0.0.0/1 of many a VPN.
	widestBits = 8
)

// dockerOwn is where an engine puts the networks of single boards: docker0 and docker_gwbridge.
var dockerOwn = []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("172.18.0.0/16")}

// ChoosePool returns a /16 for overlay networks that overlaps none of the routes. Docker's own choice, 10.0.0.0/8,
// takes 10.0.0.0/24 for its first network also where the LAN has that subnet, and then no service is reachable. Default
// routes do not count. The same routes always give the same pool.
func ChoosePool(routes []netip.Prefix) (netip.Prefix, error) {
	for _, p := range pools() {
		if isClear(p, routes) && isClear(p, dockerOwn) {
			return p, nil
		}
	}
	var names []string
	for _, r := range routes {
		names = append(names, r.String())
	}
	return netip.Prefix{}, fmt.Errorf("no private /16 is clear of the local routes %s", strings.Join(names, ", "))
}

// pools lists the candidates, the least likely to be somebody's LAN first.
func pools() []netip.Prefix {
	var all []netip.Prefix
	for i := range 256 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(201 + i), 0, 0}), poolBits))
	}
	for i := range 16 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(31 - i), 0, 0}), poolBits))
	}
	return append(all, netip.MustParsePrefix("192.168.0.0/16"))
}

func isClear(p netip.Prefix, of []netip.Prefix) bool {
	for _, r := range of {
		if r.Bits() >= widestBits && r.Overlaps(p) {
			return false
		}
	}
	return true
}
