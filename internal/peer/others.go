package peer

// This file has the addresses of boards that a claim names, and those that are remembered.

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// OthersMax is how many boards a claim may name.
const OthersMax = 32

// Others are the boards that c names because multicast may not tell of them. They are hints: whoever reads them asks
// there.
func (c Claim) Others() (all []netip.Addr) {
	for text := range strings.FieldsSeq(c.Peers) {
		if addr, err := netip.ParseAddr(text); err == nil && isNear(addr) {
			all = append(all, addr)
		}
	}
	return all
}

// JoinOthers is the form of addresses in Claim.Peers, the same for the same set. More than OthersMax, and those that no
// claim may name, are left out.
func JoinOthers(addrs []netip.Addr) string {
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !isNear(a) })
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	var all []string
	for _, a := range addrs[:min(len(addrs), OthersMax)] {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// Remembered are the addresses to keep when boards are met at some and were met before at others: each once, those of
// now first, at most OthersMax.
func Remembered(now, before []netip.Addr) (all []netip.Addr) {
	for _, a := range slices.Concat(now, before) {
		if isNear(a) && !slices.Contains(all, a) && len(all) < OthersMax {
			all = append(all, a)
		}
	}
	return all
}

// CheckRemembered checks such addresses that were read. The error names the value.
func CheckRemembered(addrs []netip.Addr) error {
	if len(addrs) > OthersMax {
		return fmt.Errorf("%d addresses, at most %d are allowed", len(addrs), OthersMax)
	}
	for _, a := range addrs {
		if !isNear(a) {
			return fmt.Errorf("%q, want private or link-local IPv4 addresses", a)
		}
	}
	return nil
}

// isNear reports whether an address may be named. A board that is told of a public one would carry a stranger's hellos
// into the world.
func isNear(a netip.Addr) bool { return a.Is4() && (a.IsPrivate() || a.IsLinkLocalUnicast()) }

// checkOthers checks the text of Claim.Peers. The error names the value.
func checkOthers(text string) error {
	fields := strings.Fields(text)
	if len(text) > OthersMax*len("255.255.255.255 ") || len(fields) > OthersMax {
		return fmt.Errorf("peers %.40q names more than %d boards", text, OthersMax)
	}
	for _, f := range fields {
		if a, err := netip.ParseAddr(f); err != nil || !isNear(a) {
			return fmt.Errorf("peers has %.40q, want private or link-local IPv4 addresses", f)
		}
	}
	return nil
}
