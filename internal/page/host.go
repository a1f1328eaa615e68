package page

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// A page from elsewhere whose name was made to point to a board (DNS rebinding) would be shown by the browser what the
// board shows. It asks by that name, so a board answers to nothing but its own names, and whoever wants one of these to
// point here must already rule over the names on this network:
//
//   - an address, which is no name that anybody could point anywhere, and localhost;
//   - the board's own names as they are, also a full one such as pi1.example.org: that domain is whose board it is;
//   - their first labels alone, which the computer itself completes with its own domain;
//   - their first labels in a domain that nobody can register, see private and routers, or in the one that the network gave
//     to the board, most often by DHCP: where strangers can make names in that one, they have all short names of this
//     network. One of a single label must be on a list, see plain, because anybody can register names in many of them.
//
// Not: <own first label>.<anything>. The name of a board is no secret, and pi-bbcc02.evil.example is quickly made.

// private are the top-level domains that are kept free of public names: local, internal and home.arpa by the standards
// (RFC 6762, ICANN's resolution of 2024, RFC 8375), home and corp by ICANN, the others as it refuses what private
// networks use much (RFC 6762, appendix G). What is below them, at whatever depth, is made by the router.
var private = []string{"local", "lan", "home", "localdomain", "internal", "intranet", "private", "corp", "home.arpa"}

// routers are the domains that makers of routers have for them, one by one: their parents are sold to everybody (box),
// or may be. Those of a single label are the names of their makers, below which the root of DNS has nothing.
var routers = []string{"fritz.box", "speedport.ip", "unifi", "dlink", "belkin"}

// plain are words that routers have for a domain, and below which the root of DNS has nothing. One day it may, so each
// counts only where the network gives it.
var plain = []string{"router", "gateway", "modem", "station"}

// Resolver is where the domain of the network is found.
const Resolver = "/etc/resolv.conf"

// searchMax bounds what is read of the file, and how many domains count.
const (
	resolverMax = 64 << 10
	searchMax   = 32
)

// Domains are the domains that the network has given to this board, as they are in the file at path.
func Domains(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	text := make([]byte, resolverMax)
	n, err := f.Read(text)
	if err != nil {
		return nil
	}
	return searched(string(text[:n]))
}

// searched are the domains of the last search or domain line in the text of resolv.conf(5). One of a single label is
// left out unless it is one of plain: it may be a public one, in which anybody can have a name.
func searched(text string) (all []string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "search" && fields[0] != "domain" {
			continue
		}
		all = nil
		for _, domain := range fields[1:] {
			domain = canonical(domain)
			counts := strings.Contains(strings.Trim(domain, "."), ".") || slices.Contains(plain, domain)
			if counts && len(all) < searchMax {
				all = append(all, domain)
			}
		}
	}
	return all
}

// ours reports whether a browser that asks this host for a page has meant this board, which has these names, on a
// network with these domains.
func ours(host string, names []string, domains func() []string) bool {
	if h, port, err := net.SplitHostPort(host); err == nil && strings.Trim(port, "0123456789") == "" {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = canonical(host)
	switch {
	case host == "localhost":
		return true
	case strings.Contains(host, ".."):
		return false
	}
	label, domain, dotted := strings.Cut(host, ".")
	known := false
	for _, name := range names {
		name = canonical(name)
		if name == "" {
			continue
		}
		if host == name {
			return true
		}
		first, _, _ := strings.Cut(name, ".")
		known = known || label == first || domain == "local" && numbered(label, first)
	}
	return known &&
		(!dotted || isPrivate(domain) || slices.Contains(routers, domain) || slices.Contains(domains(), domain))
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func isPrivate(domain string) bool {
	return slices.ContainsFunc(private, func(p string) bool { return domain == p || strings.HasSuffix(domain, "."+p) })
}

// numbered reports whether avahi gives this label to one of several boards that are called first: kitchen-2.local.
func numbered(label, first string) bool {
	number, ok := strings.CutPrefix(label, first+"-")
	return ok && first != "" && number != "" && strings.Trim(number, "0123456789") == ""
}
