package doctor

// The ports of the other boards, as this one reaches them, and its own, as the others do.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
)

const firewall = "look for a firewall there and here: sudo nft list ruleset, sudo iptables -S"

// at is where a board has the port; not valid when it has none.
func at(p ports.Port, b picture.Board) netip.AddrPort {
	switch {
	case p.Managers && b.Role != picture.Leader && b.Role != picture.Manager:
		return netip.AddrPort{}
	case b.At.IsValid():
		return netip.AddrPortFrom(b.At, p.Number)
	case p.Agent && len(b.Addrs) > 0:
		return netip.AddrPortFrom(b.Addrs[0], p.Number)
	}
	return netip.AddrPort{}
}

func checkPorts(ctx context.Context, p *Patient) (all []Result) {
	results := make([][]Result, len(ports.All))
	var wg sync.WaitGroup
	for i, port := range ports.All {
		wg.Go(func() { results[i] = checkPort(ctx, p, port) })
	}
	wg.Wait()
	return slices.Concat(results...)
}

// checkPort looks at one port of all other boards at once.
func checkPort(ctx context.Context, p *Patient, port ports.Port) []Result {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var bad []string
	asked, strangers := 0, 0
	for _, b := range p.asked(port) {
		at := at(port, b)
		if !at.IsValid() {
			continue
		}
		asked++
		wg.Go(func() {
			if err := port.Shut(p.Probe(ctx, port.Network, at)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ports.ErrStranger) {
					strangers++
				}
				bad = append(bad, fmt.Sprintf("%s (%v)", b.Name, err))
			}
		})
	}
	wg.Wait()
	slices.Sort(bad)
	switch {
	case asked == 0:
		return nil
	case len(bad) > 0 && len(bad) == strangers:
		return fail(port.String(), "sudo pi-agent doctor there names the program",
			"It is needed for %s, and is taken on %s.", port.Use, strings.Join(bad, ", "))
	case len(bad) > 0:
		return behindFirewall(fail(port.String(), firewall, "It is needed for %s, and does not answer on %s.",
			port.Use, strings.Join(bad, ", ")))
	case port.Network == "udp":
		return pass(port.String(), "Nothing refuses packets for %s on %s. Whether they are dropped cannot be seen.",
			port.Use, others(asked))
	}
	return pass(port.String(), "It answers, for %s, on %s.", port.Use, others(asked))
}

// asked are the boards whose port is probed: for that of the agents also those that are in no swarm and announce
// themselves, which may be because it is shut.
func (p *Patient) asked(port ports.Port) []picture.Board {
	all := p.peers()
	for _, b := range p.Picture.Boards {
		if port.Agent && b.Serial != p.Picture.Self && b.State == picture.Out && b.Announced {
			all = append(all, b)
		}
	}
	return all
}

// firewallCommands are what opens the ports of a board, for whoever has a firewall.
func firewallCommands(p *Patient) []Result {
	return []Result{{
		Check: "firewall", Verdict: Warn, Remedy: strings.Join(ports.Open(p.Link.Name), "\n"),
		Text: "Something shuts ports. If it is a firewall, open them on every board by the command for the one that it has:",
	}}
}

// checkStrangers looks for programs that have ports of this board which others need. What this process may not see the
// agent has seen, perhaps.
func checkStrangers(_ context.Context, p *Patient) (all []Result) {
	const name = "programs at ports"
	seen := map[string]bool{}
	for _, h := range p.Strangers() {
		all = append(all, fail(name, h.Remedy().En, "%s", h.Text())...)
		seen[h.Port.ID()] = true
	}
	for _, w := range p.Picture.Warnings {
		if w.Port != "" && !seen[w.Port] {
			all = append(all, fail(name, w.Remedy.En, "%s", w.Text)...)
		}
	}
	if len(all) == 0 {
		return pass(name, "No other program is known to have a port of the agent or the Docker Engine.")
	}
	return all
}

func others(n int) string {
	if n == 1 {
		return "the other board that has it"
	}
	return fmt.Sprintf("all %d other boards that have it", n)
}

// checkOwnPorts lets the other boards probe the ports of this one.
func checkOwnPorts(ctx context.Context, p *Patient) []Result {
	const name = "own ports"
	if p.Agent != nil || len(p.peers()) == 0 {
		return nil
	}
	reached, err := p.Reached(ctx)
	if err != nil {
		return skip(name, "Whether the others reach them is not known: %v.", err)
	}
	var by, bad []string
	strangers := 0
	for _, board := range slices.Sorted(maps.Keys(reached)) {
		by = append(by, board)
		for _, port := range slices.Sorted(maps.Keys(reached[board])) {
			if reached[board][port] == ports.ErrStranger.Error() {
				strangers++
			}
			bad = append(bad, fmt.Sprintf("%s to %s (%s)", port, board, reached[board][port]))
		}
	}
	switch {
	case len(by) == 0:
		return skip(name, "No other board could be asked to probe them.")
	case len(bad) > 0 && len(bad) == strangers:
		return fail(name, "sudo pi-agent doctor names the program", "Taken are %s.", strings.Join(bad, ", "))
	case len(bad) > 0:
		return behindFirewall(fail(name, firewall, "Shut are %s.", strings.Join(bad, ", ")))
	}
	return pass(name, "They are reached by %s.", strings.Join(by, ", "))
}
