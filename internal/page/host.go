package page

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// domains are those that nobody can register, and that home routers give to the names they know (RFC 6762, RFC 8375).
var domains = []string{"local", "lan", "home.arpa", "internal"}

// ours reports whether a browser that asks this host for a page has meant this board. A page from elsewhere whose name was
// made to point here (DNS rebinding) asks by that name; an address is no name that anybody could point anywhere.
func ours(host string, names []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" {
		return true
	}
	name, domain, dotted := strings.Cut(host, ".")
	if dotted && !slices.Contains(domains, domain) {
		return false
	}
	return name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
