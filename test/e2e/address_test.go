package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file pull the rug from under a swarm: addresses, DHCP server, router.

const (
	notReadyMax = 30 * time.Second // how long a node may leave Ready
	// backMax is how long a removed address may be away: an agent that does not notice it looks again after 10 s.
	backMax = 5 * time.Second
)

// otherSubnet is one that no lab has at first.
var otherSubnet = netip.MustParsePrefix("10.88.0.0/24")

// host is a Pi or a whole machine.
type host interface {
	engine
	Exec(ctx context.Context, argv ...string) ([]byte, error)
	computer() *lab.Computer
}

// nameOf is the name by which the lab knows a host.
func nameOf(h host) string { return h.computer().Name }

// nodeAddr is the address by which the swarm knows a host.
func nodeAddr(t *testing.T, h engine) string {
	t.Helper()
	return infoNow(t, h).Swarm.NodeAddr
}

type (
	onPi      struct{ *lab.Pi }
	onMachine struct{ *lab.Machine }
)

func (p onPi) computer() *lab.Computer      { return &p.Computer }
func (m onMachine) computer() *lab.Computer { return &m.Computer }

func hostsOf(l *lab.Lab) []host {
	var all []host
	for _, p := range l.Pis {
		all = append(all, onPi{p})
	}
	for _, m := range l.Machines {
		all = append(all, onMachine{m})
	}
	return all
}

func leaderOf(hosts []host) host {
	return slices.MinFunc(hosts, func(a, b host) int { return strings.Compare(a.computer().Serial, b.computer().Serial) })
}

// candidateOf is the address that a host should have where nobody else wants it.
func candidateOf(h host) netip.Addr { return address.Candidate(peer.Serial(h.computer().Serial), 0) }

// linkLocals checks that the swarm knows every host by its link-local address.
func linkLocals(t *testing.T, hosts []host) {
	t.Helper()
	for _, h := range hosts {
		if got := nodeAddr(t, h); got != candidateOf(h).String() {
			t.Errorf("%s is known as %s, want %s", nameOf(h), got, candidateOf(h))
		}
	}
	nodes := strings.Fields(docker(t, leaderOf(hosts), "node", "ls", "--quiet"))
	addrs := docker(t, leaderOf(hosts), append([]string{"node", "inspect", "--format", "{{.Status.Addr}}"}, nodes...)...)
	for _, text := range strings.Fields(addrs) {
		if addr, err := netip.ParseAddr(text); err != nil || !addr.IsLinkLocalUnicast() {
			t.Errorf("the manager sees a node at %s, %v", text, err)
		}
	}
}

// replica is one container of the service web.
type replica struct {
	on   host
	pid  int
	addr netip.Addr // on the overlay network
}

// serveWeb runs one container of the lab's web image on every host, on an overlay network of their own.
func serveWeb(t *testing.T, l *lab.Lab, hosts []host) []replica {
	t.Helper()
	withWeb(t, l)
	manager := leaderOf(hosts)
	docker(t, manager, "network", "create", "--driver", "overlay", "mesh")
	deployWeb(t, manager, fmt.Sprintf("--replicas=%d", len(hosts)), "--network=mesh", "--endpoint-mode=dnsrr")
	var all []replica
	await(t, soon, func(ctx context.Context) (err error) {
		all, err = replicas(ctx, hosts)
		if err != nil {
			return err
		}
		return meshed(ctx, all)
	})
	return all
}

// replicas finds the containers of web: one on every host.
func replicas(ctx context.Context, hosts []host) ([]replica, error) {
	var all []replica
	for _, h := range hosts {
		ids, err := h.Docker(ctx, "ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=web")
		if err != nil {
			return nil, err
		}
		id := strings.Fields(string(ids))
		if len(id) != 1 {
			return nil, fmt.Errorf("%s runs %d containers of web", nameOf(h), len(id))
		}
		out, err := h.Docker(ctx, "inspect", "--format",
			`{"pid": {{.State.Pid}}, "addr": "{{.NetworkSettings.Networks.mesh.IPAddress}}"}`, id[0])
		if err != nil {
			return nil, err
		}
		var c struct {
			PID  int
			Addr netip.Addr
		}
		if err := json.Unmarshal(out, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", out, err)
		}
		all = append(all, replica{h, c.PID, c.Addr})
	}
	return all, nil
}

// meshed checks that every container reaches every other one over the overlay network.
func meshed(ctx context.Context, all []replica) error {
	const get = `exec 3<>/dev/tcp/%s/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && grep -q hello <&3`
	g, ctx := errgroup.WithContext(ctx)
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			g.Go(func() error {
				_, err := from.on.Exec(ctx, "nsenter", "--target", fmt.Sprint(from.pid), "--net",
					"timeout", "3", "bash", "-c", fmt.Sprintf(get, to.addr))
				if err != nil {
					err = fmt.Errorf("%s does not reach %s over the overlay network: %w", nameOf(from.on), nameOf(to.on), err)
				}
				return err
			})
		}
	}
	return g.Wait()
}

// meshedAgain waits until there is overlay traffic after all hosts were off. Engines that start at one moment may miss
// each other's gossip, and look for each other again a minute later.
func meshedAgain(t *testing.T, hosts []host) {
	t.Helper()
	took := await(t, later, func(ctx context.Context) error {
		all, err := replicas(ctx, hosts)
		if err != nil {
			return err
		}
		return meshed(ctx, all)
	})
	t.Logf("overlay traffic after %v", took)
}

// watch looks at the swarm once a second until it is stopped.
type watch struct {
	stop func()
	done chan struct{}

	mu       sync.Mutex
	down     map[string]time.Duration // longest time out of Ready, by node
	overlay  time.Duration            // longest time without traffic between all containers
	troubles []string
}

func watchSwarm(t *testing.T, manager host, containers []replica) *watch {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watch{stop: stop, done: make(chan struct{}), down: map[string]time.Duration{}}
	go func() {
		defer close(w.done)
		since := map[string]time.Time{}
		worked := time.Now()
		everySecond(ctx, func() {
			nodes, err := nodesOf(ctx, manager)
			traffic := meshed(ctx, containers)
			if ctx.Err() != nil {
				return
			}
			w.mu.Lock()
			for _, n := range nodes {
				if n.Status == "Ready" {
					delete(since, n.Hostname)
				} else if since[n.Hostname].IsZero() {
					since[n.Hostname] = time.Now()
				}
				if at := since[n.Hostname]; !at.IsZero() {
					w.down[n.Hostname] = max(w.down[n.Hostname], time.Since(at)+time.Second)
				}
			}
			w.overlay = max(w.overlay, time.Since(worked))
			if traffic == nil {
				worked = time.Now()
			}
			if err = errors.Join(err, traffic); err != nil && len(w.troubles) < 10 {
				w.troubles = append(w.troubles, err.Error())
			}
			w.mu.Unlock()
		})
	}()
	t.Cleanup(func() { w.stop(); <-w.done })
	return w
}

// end stops looking, and reports what was seen.
func (w *watch) end(t *testing.T, what string) {
	t.Helper()
	w.stop()
	<-w.done
	t.Logf("%s: out of Ready %v, longest time without overlay traffic %v", what, w.down, w.overlay.Round(time.Millisecond))
	for name, d := range w.down {
		if d > notReadyMax {
			t.Errorf("%s was out of Ready for %v, want at most %v", name, d, notReadyMax)
		}
	}
	if w.overlay > notReadyMax {
		t.Errorf("there was no overlay traffic for %v: %q", w.overlay, w.troubles)
	}
}

// hasAddress is an error unless a host has its link-local address, and reaches others with it over the interface.
func hasAddress(ctx context.Context, h host, dev string) error {
	addr := candidateOf(h)
	out, err := h.Exec(ctx, "ip", "-4", "route", "get", "169.254.99.99")
	if err == nil && !strings.Contains(string(out), "dev "+dev+" src "+addr.String()+" ") {
		err = fmt.Errorf("%s does not reach others with %s: %s", nameOf(h), addr, out)
	}
	return err
}

// flushed lets something remove the addresses of a host, and measures until the stable one is back.
func flushed(t *testing.T, h host, what string, remove func() error) {
	t.Helper()
	flushedTo(t, h, "eth0", what, remove)
}

// flushedTo is flushed where another interface may have it afterwards.
func flushedTo(t *testing.T, h host, dev, what string, remove func() error) {
	t.Helper()
	gone := time.Now()
	must(t, remove())
	removed := time.Now()
	err := lab.Wait(limited(t, 10*backMax), 5*time.Millisecond, func(ctx context.Context) error {
		return hasAddress(ctx, h, dev)
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	took := time.Since(removed)
	t.Logf("%s on %s: it took %v, and then %v until the address was there", what, nameOf(h),
		removed.Sub(gone).Round(time.Millisecond), took.Round(time.Millisecond))
	if took > backMax {
		t.Errorf("%s: the address was back after %v, want at most %v", what, took, backMax)
	}
}

// flush removes every address from dev. Where they come back faster than ip looks, it removes them ten times and
// then gives up, which is all that is asked for here.
func flush(t *testing.T, h host, dev string) func() error {
	return func() error {
		_, err := h.Exec(t.Context(), "ip", "addr", "flush", "dev", dev)
		if err != nil && strings.Contains(err.Error(), "Flush remains incomplete") {
			return nil
		}
		return err
	}
}

// renumber moves the Pis and their router to another subnet at one moment.
func renumber(t *testing.T, l *lab.Lab, subnet netip.Prefix) {
	t.Helper()
	must(t, l.Renumber(subnet))
	var g errgroup.Group
	for i, p := range l.Pis {
		g.Go(func() error {
			addr := subnet.Addr().As4()
			addr[3] = byte(100 + i)
			return errors.Join(p.DelAddr(p.Addr), p.SetAddr(netip.PrefixFrom(netip.AddrFrom4(addr), 24)), p.DefaultRoute(true))
		})
	}
	must(t, g.Wait())
}

// fromCableToRadio takes the cable from a Pi that reaches the same LAN by radio, and puts it back.
func fromCableToRadio(t *testing.T, p *lab.Pi) {
	t.Helper()
	must(t, p.Wireless(netip.PrefixFrom(p.Addr.Addr().Next().Next().Next().Next(), 24)))
	flushedTo(t, onPi{p}, "wlan0", "cable out, radio there", p.Unplug)
	must(t, p.DelAddr(p.Addr)) // as DHCP clients do without a carrier
	pause(t, downTime)
	flushed(t, onPi{p}, "cable in again", p.Mend)
	flushed(t, onPi{p}, "radio gone", func() error {
		return errors.Join(p.SetAddr(p.Addr), p.DefaultRoute(true), p.WirelessGone())
	})
}

func TestRenumberedLAN(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"})
	leader, hosts := l.leader, hostsOf(l.Lab)
	t.Logf("one swarm after %v", l.took)
	linkLocals(t, hosts)
	containers := serveWeb(t, l.Lab, hosts)
	for _, h := range hosts {
		flushed(t, h, "ip addr flush", flush(t, h, "eth0"))
	}
	for _, p := range l.Pis { // as DHCP does in time
		must(t, p.SetAddr(p.Addr), p.DefaultRoute(true))
	}
	w := watchSwarm(t, onPi{leader}, containers)
	fromCableToRadio(t, leader)
	w.end(t, "the manager from cable to radio and back")

	w = watchSwarm(t, onPi{leader}, containers)
	renumber(t, l.Lab, otherSubnet)
	pause(t, downTime)
	w.end(t, "all addresses in another subnet")
	took := awaitSwarm(t, soon, leader, l.Pis)
	repaired(t, leader, "DHCP gives all boards other addresses",
		"no node is lost for a moment, for the swarm relies on addresses that stay",
		fmt.Sprintf("Using eth0 with address 10.88.0.%d.", 100+slices.Index(l.Pis, leader)), took)

	t.Run("power cut of all", func(t *testing.T) {
		for _, p := range l.Pis {
			must(t, p.PowerOff(), p.Boot(lab.Link{NoAddr: true}))
			startAgents(t, p)
		}
		await(t, atOnce, func(ctx context.Context) error {
			for _, h := range hosts {
				if err := hasAddress(ctx, h, "eth0"); err != nil {
					return err
				}
			}
			return nil
		})
		engines(t, l.Lab)
		awaitSwarm(t, soon, leader, l.Pis)
	})
}

// The same with the addresses that DHCP gives, which shows what the stable ones are good for.
func TestRenumberedLANWithInterfaceAddresses(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3\naddress = \"interface\""})
	leader := l.leader
	t.Logf("one swarm after %v", l.took)
	renumber(t, l.Lab, otherSubnet)
	words := fmt.Sprintf("The swarm knows this board as %s, an address that it no longer has", leader.Addr.Addr())
	t.Logf("the manager says so after %v", saysWithin(t, soon, leader, words))
	repaired(t, leader,
		"DHCP gives all boards other addresses, and the swarm relies on them (`address = \"interface\"`, or made by hand)",
		"says so, and what helps: a fixed lease", words, 0)
	nodes, err := nodesOf(t.Context(), leader)
	must(t, err)
	for _, n := range nodes {
		t.Logf("%s is %s", n.Hostname, n.Status)
	}
	showLogs(t, leader)
}

func TestNoAddressesAtAll(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Off: true})
	for _, p := range l.Pis {
		must(t, p.Boot(lab.Link{NoAddr: true}))
	}
	engines(t, l)
	t.Logf("one swarm without DHCP after %v", becomeOne(t, soon, l.Pis))
	linkLocals(t, hostsOf(l))
	brief(t, logMax, nil, l.Pis...)
	showLogs(t, l.Pis...)
}

// twoWithOneCandidate are serials whose boards want the same address.
func twoWithOneCandidate() (string, string) {
	seen := map[netip.Addr]string{}
	for i := 0; ; i++ {
		serial := fmt.Sprintf("%016x", 0x10000000aabb0000+i)
		addr := address.Candidate(peer.Serial(serial), 0)
		if first := seen[addr]; first != "" {
			return first, serial
		}
		seen[addr] = serial
	}
}

func TestAddressConflicts(t *testing.T) {
	t.Parallel()
	first, second := twoWithOneCandidate()
	const third = "10000000aabbcc01"
	l := lab.New(t, lab.Options{N: 3, Serials: []string{first, second, third}, Config: "expect = 3"})
	inLAN := func(script string) {
		t.Helper()
		must(t, l.InLAN(func() error {
			out, err := exec.Command("bash", "-ec", script).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: %w: %s", script, err, out)
			}
			return err
		}))
	}
	taken := address.Candidate(third, 0)
	inLAN("ip addr add " + taken.String() + "/16 dev br0 scope link")
	engines(t, l)
	becomeOne(t, soon, l.Pis)
	leader := lowest(l.Pis)
	addrs := map[netip.Addr]string{taken: "a foreign host"}
	var yielded []string
	for _, p := range l.Pis {
		addr, err := netip.ParseAddr(nodeAddr(t, p))
		if err != nil || !addr.IsLinkLocalUnicast() || addrs[addr] != "" {
			t.Errorf("%s has %v, which %q has, too; %v", p.Name, addr, addrs[addr], err)
		}
		addrs[addr] = p.Name
		if strings.Contains(p.Log(), "or wants it, too: trying another address.") {
			yielded = append(yielded, p.Name)
		}
	}
	if !slices.Contains(yielded, l.Pis[2].Name) || len(yielded) < 2 {
		t.Errorf("%v tried another address, want pi3 and at least one of pi1 and pi2", yielded)
	}

	// A foreign host takes the manager's address, and looks for somebody with it.
	held := nodeAddr(t, leader)
	inLAN(fmt.Sprintf("ip addr del %s/16 dev br0; ip addr add %s/16 dev br0 scope link; echo >/dev/udp/169.254.0.9/9; "+
		"sleep 1; ip addr del %[2]s/16 dev br0",
		taken, held))
	says(t, leader, fmt.Sprintf("uses %s, which the swarm relies on: this board defends it", held))
	pause(t, downTime) // workers may not speak to the wrong host
	awaitSwarm(t, soon, leader, l.Pis)
	showLogs(t, l.Pis...)
}

// wired is what NetworkManager calls the connection of a machine.
const wired = "Wired connection 1"

// newLease lets a machine ask for an address now. Without a server it has none from then on.
func newLease(ctx context.Context, m *lab.Machine) error {
	_, err := m.Exec(ctx, "nmcli", "--wait", "0", "connection", "up", wired)
	return err
}

// leased waits until every machine has an address of the subnet.
func leased(t *testing.T, machines []*lab.Machine, subnet netip.Prefix) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error {
		for _, m := range machines {
			if addr, err := m.Addr(ctx); err != nil || !subnet.Contains(addr) {
				return fmt.Errorf("%s has %v, %v", m.Name, addr, err)
			}
		}
		return nil
	})
}

func TestMachinesMoveToOtherNetworks(t *testing.T) {
	t.Parallel()
	l, ids := form(t, "trixie", "bookworm", "trixie")
	hosts := hostsOf(l)
	leader := leaderOf(hosts)
	linkLocals(t, hosts)
	containers := serveWeb(t, l, hosts)

	t.Run("NetworkManager", func(t *testing.T) {
		w := watchSwarm(t, leader, containers)
		for _, h := range hosts[:2] { // of both releases
			run := func(argv ...string) func() error {
				return func() error {
					_, err := h.Exec(t.Context(), argv...)
					return err
				}
			}
			flushed(t, h, "ip addr flush", flush(t, h, "eth0"))
			flushed(t, h, "ip addr flush dev lo", flush(t, h, "lo"))
			flushed(t, h, "nmcli connection up", run("nmcli", "connection", "up", wired))
			flushed(t, h, "nmcli device reapply", run("nmcli", "device", "reapply", "eth0"))
			flushed(t, h, "nmcli connection down", run("nmcli", "connection", "down", wired))
			flushed(t, h, "nmcli connection up after down", run("nmcli", "connection", "up", wired))
			flushed(t, h, "interface deleted and made anew", h.(onMachine).RecreateLink)
		}
		w.end(t, "NetworkManager at work")
	})

	t.Run("router with another subnet", func(t *testing.T) {
		w := watchSwarm(t, leader, containers)
		must(t, l.Renumber(otherSubnet))
		each(t, l.Machines, newLease)
		leased(t, l.Machines, otherSubnet)
		pause(t, downTime)
		w.end(t, "another subnet")
	})

	t.Run("no DHCP server", func(t *testing.T) {
		w := watchSwarm(t, leader, containers)
		must(t, l.StopDHCP())
		took := await(t, atLast, func(ctx context.Context) error { // a lease takes two
			for _, m := range l.Machines {
				if addr, err := m.Addr(ctx); err == nil {
					return fmt.Errorf("%s still has %v", m.Name, addr)
				}
			}
			return nil
		})
		t.Logf("the last lease ended %v after its server", took)
		pause(t, downTime)
		w.end(t, "no leases any more")
		must(t, l.StartDHCP())
		leased(t, l.Machines, otherSubnet) // it must not take the address for one given by hand
	})

	t.Run("carried to another network", func(t *testing.T) {
		subnet := netip.MustParsePrefix("10.99.0.0/24")
		powerOff(t, l.Machines...)
		must(t, l.Renumber(subnet))
		began := time.Now()
		each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.Boot(ctx) })
		leased(t, l.Machines, subnet)
		awaitSame(t, soon, l.Machines, ids)
		meshedAgain(t, hosts)
		t.Logf("all are there after %v", time.Since(began))
	})
	for _, m := range l.Machines {
		story, err := m.Journal(t.Context(), service)
		t.Logf("%s: %v\n%s", m.Name, err, strings.Join(story, "\n"))
	}
}
