package doctor

// The ports of the other boards. Those of this one are looked at from the others.

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// port is one that boards reach each other at.
type port struct {
	network  string
	number   uint16
	use      string
	managers bool // only managers have it
	agent    bool // it is the agent's, the others are the engine's
	lazy     bool // it is open only while containers use it, so that a refusal is as good: the packet has arrived
}

var ports = []port{
	{network: "tcp", number: peer.Port, use: "hello and join", agent: true},
	{network: "tcp", number: swarm.Port, use: "the managers of the swarm", managers: true},
	{network: "tcp", number: 7946, use: "news between nodes"},
	{network: "udp", number: 7946, use: "news between nodes"},
	{network: "udp", number: 4789, use: "overlay networks", lazy: true},
}

func (p port) String() string { return fmt.Sprintf("port %d/%s", p.number, p.network) }

// at is where a board has the port; not valid when it has none.
func (p port) at(b picture.Board) netip.AddrPort {
	switch {
	case p.managers && b.Role != picture.Leader && b.Role != picture.Manager:
		return netip.AddrPort{}
	case b.At.IsValid():
		return netip.AddrPortFrom(b.At, p.number)
	case p.agent && len(b.Addrs) > 0:
		return netip.AddrPortFrom(b.Addrs[0], p.number)
	}
	return netip.AddrPort{}
}

func checkPorts(ctx context.Context, p *Patient) (all []Result) {
	results := make([][]Result, len(ports))
	var wg sync.WaitGroup
	for i, port := range ports {
		wg.Go(func() { results[i] = checkPort(ctx, p, port) })
	}
	wg.Wait()
	return slices.Concat(results...)
}

// checkPort looks at one port of all other boards at once.
func checkPort(ctx context.Context, p *Patient, port port) []Result {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var bad []string
	asked := 0
	for _, b := range p.peers() {
		at := port.at(b)
		if !at.IsValid() {
			continue
		}
		asked++
		wg.Go(func() {
			if err := p.Probe(ctx, port.network, at); err != nil && !(port.lazy && refused(err)) {
				mu.Lock()
				defer mu.Unlock()
				bad = append(bad, fmt.Sprintf("%s (%v)", b.Name, err))
			}
		})
	}
	wg.Wait()
	slices.Sort(bad)
	switch {
	case asked == 0:
		return nil
	case len(bad) > 0:
		return fail(port.String(), "look for a firewall there and here: sudo nft list ruleset, sudo iptables -S",
			"It is needed for %s, and does not answer on %s.", port.use, strings.Join(bad, ", "))
	case port.network == "udp":
		return pass(port.String(), "Nothing refuses packets for %s on %s. Whether they are dropped cannot be seen.",
			port.use, others(asked))
	}
	return pass(port.String(), "It answers, for %s, on %s.", port.use, others(asked))
}

func others(n int) string {
	if n == 1 {
		return "the other board that has it"
	}
	return fmt.Sprintf("all %d other boards that have it", n)
}
