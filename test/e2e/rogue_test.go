package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have a stranger on the LAN: a Pi without engine and agent, on which the attacker runs.

// withStranger makes a lab of n Pis with engines, and a stranger who has 51 addresses.
func withStranger(t *testing.T, n int) (pis []*lab.Pi, stranger *lab.Pi) {
	t.Helper()
	l := lab.New(t, lab.Options{N: n + 1, Config: fmt.Sprintf("expect = %d", n)})
	pis, stranger = l.Pis[:n], l.Pis[n]
	var g errgroup.Group
	for _, pi := range pis {
		g.Go(func() error {
			if err := pi.StartEngine(); err != nil {
				return err
			}
			return pi.WaitEngine(t.Context())
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range byte(50) {
		a := l.Gateway().As4()
		a[3] = 100 + i
		if err := stranger.SetAddr(netip.PrefixFrom(netip.AddrFrom4(a), 24)); err != nil {
			t.Fatal(err)
		}
	}
	return pis, stranger
}

// anew makes the Pis blank, without the time that new engines take.
func anew(t *testing.T, pis []*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if p := pi.Process("pi-agent"); p != nil && p.Running() {
			if err := pi.StopAgent(); err != nil {
				t.Fatal(err)
			}
		}
		_, err := pi.Exec(t.Context(), "sh", "-ec", `rm -rf /var/lib/pi-agent /run/pi-agent /etc/pi-agent/key
			docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx inactive || docker swarm leave --force`)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// attack lets the stranger do this, and waits until it has begun. The result ends it and returns what was done, such as
// "2971 packets a second".
func attack(t *testing.T, stranger *lab.Pi, args ...string) (end func() string) {
	t.Helper()
	seen := len(stranger.LogOf("rogue"))
	if err := stranger.StartRogue(args...); err != nil {
		t.Fatal(err)
	}
	reports := func() [][]string { return didForm.FindAllStringSubmatch(stranger.LogOf("rogue")[seen:], -1) }
	await(t, 10*time.Second, func(context.Context) error {
		if len(reports()) == 0 {
			return fmt.Errorf("no attack yet: %s", stranger.LogOf("rogue")[seen:])
		}
		return nil
	})
	return func() string {
		stranger.Process("rogue").Kill()
		all := reports()
		var n, seconds float64
		last := all[len(all)-1]
		if _, err := fmt.Sscan(last[1]+" "+last[3], &n, &seconds); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%.0f %s a second", n/seconds, last[2])
	}
}

var didForm = regexp.MustCompile(`did (\d+) (\w+) in ([\d.]+) s`)

// formMax is how long three Pis may take to form in a flood.
const formMax = 45 * time.Second

func TestFormingInAFlood(t *testing.T) {
	pis, stranger := withStranger(t, 3)
	leader := lowest(pis)
	var calm float64
	var addrs []string
	for _, pi := range pis {
		addrs = append(addrs, pi.Addr.Addr().String())
	}
	to := "-to=" + strings.Join(addrs, ",")
	for _, test := range []struct {
		name   string
		attack []string
		key    bool
	}{
		{name: "calm"},
		{name: "announcements, with a key", attack: []string{"-rate=3000", "flood"}, key: true},
		{name: "announcements, without a key", attack: []string{"-rate=3000", "flood"}},
		{name: "half-open TLS", attack: []string{to, "-rate=300", "half"}},
		{name: "idle connections", attack: []string{to, "-rate=100", "idle"}},
		{name: "slow requests", attack: []string{to, "-rate=100", "slow"}},
		{name: "huge requests", attack: []string{to, "-rate=100", "huge"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			anew(t, pis)
			if test.key {
				setKey(t, clusterkey.Generate(), pis...)
			}
			end := func() string { return "nothing" }
			if test.attack != nil {
				end = attack(t, stranger, test.attack...)
			}
			began := time.Now()
			for _, pi := range pis {
				if err := pi.StartAgent(); err != nil {
					t.Fatal(err)
				}
			}
			took := awaitSwarm(t, formMax, leader, pis)
			var worst burden
			for _, pi := range pis {
				b := burdenOf(t, pi)
				worst.resident, worst.cpu = max(worst.resident, b.resident), max(worst.cpu, b.cpu)
			}
			elapsed := time.Since(began)
			did := end()
			t.Logf("%s: %s; one swarm of three after %.1f s; the busiest agent has %.1f MB and needs %.0f %% of a processor",
				test.name, did, took.Seconds(), worst.resident, 100*worst.cpu.Seconds()/elapsed.Seconds())
			if test.attack == nil {
				calm = worst.resident
			}
		})
	}
	_ = calm
}
