package ports

// This file has the commands that open our ports in a firewall.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Open are the commands that open all ports of a board in the firewalls that people have, one a line, each after the
// name of its firewall. They open them at the interface of that name, or at every one.
func Open(iface string) []string {
	byNetwork := map[string][]string{}
	for _, network := range []string{"tcp", "udp"} {
		var numbers []int
		for _, p := range Own {
			if p.Network == network {
				numbers = append(numbers, int(p.Number))
			}
		}
		slices.Sort(numbers)
		for _, n := range numbers {
			byNetwork[network] = append(byNetwork[network], strconv.Itoa(n))
		}
	}
	var ufw, firewalld, nft []string
	in, iif := "", ""
	if iface != "" {
		in, iif = " in on "+iface, " iifname "+iface
	}
	for _, network := range []string{"tcp", "udp"} {
		numbers := byNetwork[network]
		ufw = append(ufw, fmt.Sprintf("sudo ufw allow%s to any port %s proto %s", in, strings.Join(numbers, ","), network))
		nft = append(nft, fmt.Sprintf("sudo nft insert rule inet filter input%s %s dport '{ %s }' accept",
			iif, network, strings.Join(numbers, ", ")))
		for _, n := range numbers {
			firewalld = append(firewalld, fmt.Sprintf("--add-port=%s/%s", n, network))
		}
	}
	return []string{
		"ufw: " + strings.Join(ufw, " && "),
		"firewalld: sudo firewall-cmd --permanent " + strings.Join(firewalld, " ") + " && sudo firewall-cmd --reload",
		"nft: " + strings.Join(nft, " && ") + ", and the same rules in /etc/nftables.conf",
	}
}
