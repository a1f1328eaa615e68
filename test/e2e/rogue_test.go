package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file have a stranger on the LAN: a Pi without engine and agent, on which the attacker runs.

// withStranger makes a lab of n Pis with engines, and a stranger who has 51 addresses.
func withStranger(t *testing.T, n int) (l *lab.Lab, pis []*lab.Pi, stranger *lab.Pi) {
	t.Helper()
	return strangerIn(t, lab.New(t, lab.Options{N: n + 1}))
}

// strangerIn starts the engines of all Pis of a lab but one, the stranger.
func strangerIn(t *testing.T, l *lab.Lab) (_ *lab.Lab, pis []*lab.Pi, stranger *lab.Pi) {
	t.Helper()
	n := len(l.Pis) - 1
	pis, stranger = l.Pis[:n], l.Pis[n]
	startEngines(t, pis)
	manyAddresses(t, l, stranger)
	return l, pis, stranger
}

// manyAddresses gives a stranger 50 addresses more.
func manyAddresses(t *testing.T, l *lab.Lab, stranger *lab.Pi) {
	t.Helper()
	for i := range byte(50) {
		a := l.Gateway().As4()
		a[3] = 100 + i
		must(t, stranger.SetAddr(netip.PrefixFrom(netip.AddrFrom4(a), 24)))
	}
}

// anew makes the Pis blank, without the time that new engines take.
func anew(t *testing.T, pis []*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if p := pi.Process("pi-agent"); p != nil && p.Running() {
			stopAgents(t, pi)
		}
		run(t, pi, "sh", "-ec", `rm -rf /var/lib/pi-agent /run/pi-agent /etc/pi-agent/key
			docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx inactive || docker swarm leave --force`)
	}
}

// attack lets the stranger do this, and waits until it has begun. The result ends it and returns what was done, such as
// "2971 packets a second".
func attack(t *testing.T, stranger *lab.Pi, args ...string) (end func() string) {
	t.Helper()
	seen := len(stranger.LogOf("rogue"))
	must(t, stranger.StartRogue(args...))
	reports := func() [][]string { return didForm.FindAllStringSubmatch(stranger.LogOf("rogue")[seen:], -1) }
	await(t, atOnce, func(context.Context) error {
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
		_, err := fmt.Sscan(last[1]+" "+last[3], &n, &seconds)
		must(t, err)
		return fmt.Sprintf("%.0f %s a second", n/seconds, last[2])
	}
}

var didForm = regexp.MustCompile(`did (\d+) (\w+) in ([\d.]+) s`)

const (
	// formMax is how long three Pis may take to form in a flood. Without a key they say hello to every address there is.
	formMax = 30 * time.Second
	// letInMax is how long a Pi with the key may take to be let in while a stranger asks without end.
	letInMax = 20 * time.Second
	// floodTime is how long a flood goes on after that.
	floodTime = 5 * time.Second
	// growthMax is how much more memory an agent may have in a flood than without, in MB.
	growthMax = 8
	// cpuMax is how much of a processor an agent may need in a flood, in percent.
	cpuMax = 60
)

func TestFormingInAFlood(t *testing.T) {
	_, pis, stranger := strangerIn(t, lab.New(t, lab.Options{N: 4, Alone: true}))
	setConfig(t, pis, "expect = 3")
	leader := lowest(pis)
	var addrs []string
	for _, pi := range pis {
		addrs = append(addrs, pi.Addr.Addr().String())
	}
	to := "-to=" + strings.Join(addrs, ",")
	form := func(t *testing.T) (took time.Duration, most burden) {
		t.Helper()
		before, began := logLinesOf(pis), time.Now()
		if took = becomeOne(t, formMax, pis); took > formMax {
			t.Errorf("one swarm after %v, want at most %v", took, formMax)
		}
		pause(t, floodTime)
		for _, pi := range pis {
			b := burdenOf(t, pi)
			most.resident, most.cpu = max(most.resident, b.resident), max(most.cpu, b.cpu)
		}
		brief(t, 2*logMax, before, pis...)
		cpu := 100 * most.cpu.Seconds() / time.Since(began).Seconds()
		t.Logf("one swarm of three after %.1f s; the busiest agent has %.1f MB and needs %.0f %% of a processor",
			took.Seconds(), most.resident, cpu)
		if cpu > cpuMax {
			t.Errorf("an agent needs %.0f %% of a processor, want at most %d", cpu, cpuMax)
		}
		return took, most
	}
	_, calm := form(t)
	for _, test := range []struct {
		name   string
		attack []string
		key    bool
		told   string // by the leader
	}{
		{name: "announcements, with a key", attack: []string{"-rate=3000", "flood"}, key: true},
		{name: "announcements, without a key", attack: []string{"-rate=3000", "flood"},
			told: "Too many boards announce themselves"},
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
			end := attack(t, stranger, test.attack...)
			_, flooded := form(t)
			t.Log(end())
			if test.told != "" {
				says(t, leader, test.told)
			}
			if flooded.resident > calm.resident+growthMax {
				t.Errorf("the flood makes an agent need %.1f MB instead of %.1f MB", flooded.resident, calm.resident)
			}
		})
	}
}

// A stranger who has no key asks for the token without end, and a Pi that has it is let in as if there were nobody
// else.
func TestStrangerAsksForTheToken(t *testing.T) {
	t.Parallel()
	l, pis, stranger := withStranger(t, 3)
	first, late := pis[:2], pis[2]
	setConfig(t, pis, "expect = 2")
	setKey(t, clusterkey.Generate(), pis...)
	leader := lowest(first)
	becomeOne(t, soon, first)

	end := attack(t, stranger, "-asks=100", "ask")
	startAgents(t, late)
	took := awaitSwarm(t, letInMax, leader, pis)
	t.Logf("let in after %v while a stranger made %s", took, end())
	tries := stranger.LogOf("rogue")
	if strings.Contains(tries, "got ") {
		t.Errorf("the stranger was let in:\n%s", tries)
	}
	for _, pi := range first {
		if !strings.Contains(tries, "refused /v1/join by "+pi.Addr.Addr().String()+": 403 ") {
			t.Errorf("%s did not refuse the stranger:\n%s", pi.Name, tries)
		}
	}
	seen, err := l.Find("serial=" + leader.Serial)
	if err != nil || !slices.Contains(seen, l.CapturePath()) {
		t.Errorf("what the leader announces is not in the capture, but in %v: %v", seen, err)
	}
}

// Without a key whoever asks in time gets the token, but not through a router.
func TestStrangerBeyondARouter(t *testing.T) {
	t.Parallel()
	l, pis, stranger := withStranger(t, 1)
	setConfig(t, pis, "expect = 1")
	leader := pis[0]
	becomeOne(t, soon, pis)
	ip := func(args ...string) {
		t.Helper()
		run(t, stranger, append([]string{"ip"}, args...)...)
	}
	must(t, l.Partition(stranger))
	must(t, l.InLAN(func() error {
		return exec.CommandContext(t.Context(), "ip", "addr", "add", "10.78.0.254/24", "dev", "br1").Run()
	}))
	ip("addr", "flush", "dev", "eth0")
	ip("addr", "add", "10.78.0.2/24", "dev", "eth0")
	ip("route", "add", "default", "via", "10.78.0.254")
	to := "-to=" + leader.Addr.Addr().String()
	attack(t, stranger, "-asks=10", to, "ask")()
	tries := stranger.LogOf("rogue")
	for _, path := range []string{"/v1/hello", "/v1/join"} {
		refused := fmt.Sprintf("refused %s by %s: 403 Forbidden", path, leader.Addr.Addr())
		if !strings.Contains(tries, refused) || !strings.Contains(tries, "it is not on this network") ||
			strings.Contains(tries, "got ") {
			t.Errorf("from beyond a router he is not refused %s:\n%s", path, tries)
		}
	}

	ip("addr", "flush", "dev", "eth0")
	ip("addr", "add", stranger.Addr.String(), "dev", "eth0")
	must(t, stranger.Mend())
	attack(t, stranger, "-asks=10", to, "ask")()
	if tries := stranger.LogOf("rogue"); !strings.Contains(tries, "got /v1/join") {
		t.Errorf("on the network he is refused, so the router has proved nothing:\n%s", tries)
	}
}

// A man in the middle between two Pis with a key reads only what is of no use to him, and can keep them apart, not
// more.
func TestManInTheMiddle(t *testing.T) {
	t.Parallel()
	_, pis, stranger := withStranger(t, 2)
	setConfig(t, pis, "expect = 2")
	setKey(t, clusterkey.Generate(), pis...)
	leader := lowest(pis)
	late := others(leader, pis)[0]
	must(t, stranger.StartRogue("-to="+leader.Addr.Addr().String(), "relay"))
	// As if he had answered for both of the leader's addresses.
	redirect := func(change string) {
		t.Helper()
		run(t, late, "iptables", "-t", "nat", change, "OUTPUT", "-p", "tcp", "--dport", "2378",
			"-j", "DNAT", "--to-destination", stranger.Addr.Addr().String()+":2378")
	}
	redirect("-A")
	startAgents(t, leader, late)
	says(t, leader, "This board is a manager of swarm")
	says(t, late, "it does not show that it has a cluster key, this board has one")
	read := stranger.LogOf("rogue")
	if !strings.Contains(read, "403 Forbidden") || strings.Contains(read, "200 OK") || strings.Contains(read, "SWMTKN") {
		t.Errorf("the man in the middle has read:\n%s", read)
	}
	inNoSwarm(t, late)
	redirect("-D")
	awaitSwarm(t, soon, leader, pis)
}
