package address

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

const (
	boardSerial = peer.Serial("10000000aabbcc01")
	patience    = 20 * time.Second // for what takes at most 7 s
)

// stranger is another machine at the far end of a cable.
type stranger struct {
	*netlink.Handle
	link netlink.Link
	pid  int
}

// plugInto moves the far end of a cable into the network namespace of a process and sets it up there.
func plugInto(t *testing.T, pid int, far netlink.Link) stranger {
	t.Helper()
	must(t, netlink.LinkSetNsPid(far, pid))
	ns, err := netns.GetFromPid(pid)
	must(t, err)
	defer func() { must(t, ns.Close()) }()
	h, err := netlink.NewHandleAt(ns)
	must(t, err)
	t.Cleanup(h.Close)
	link, err := h.LinkByName(far.Attrs().Name)
	must(t, err)
	must(t, h.LinkSetUp(link))
	return stranger{h, link, pid}
}

// strangerAt is a stranger that does nothing but what its kernel does.
func strangerAt(t *testing.T, far netlink.Link) stranger {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "cat") // it ends with its input
	in, err := cmd.StdinPipe()
	must(t, err)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, in.Close())
		must(t, cmd.Wait())
	})
	return plugInto(t, cmd.Process.Pid, far)
}

func (s stranger) has(t *testing.T, addr netip.Addr) {
	t.Helper()
	must(t, s.AddrAdd(s.link, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, 16)), Scope: unix.RT_SCOPE_LINK}))
}

// board is a keeper that runs.
type board struct {
	*Keeper
	t    *testing.T
	logs *observer.ObservedLogs
	kept chan Home
}

// start runs a keeper until the test ends.
func start(t *testing.T, home Home, inUse bool) *board {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	b := &board{t: t, logs: logs, kept: make(chan Home, 100)}
	b.Keeper = NewKeeper(KeeperOptions{
		Serial: boardSerial, Home: home, InUse: inUse, Log: zap.New(core),
		Remember: func(h Home) error { b.kept <- h; return nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
		for _, l := range logs.All() {
			t.Log(l.Level, l.Message)
		}
	})
	return b
}

// eventually waits until check is nil, looking anew after every change of the network.
func eventually(t *testing.T, limit time.Duration, check func() error) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("after %v: %v", limit, err)
		}
		<-tick.C
	}
}

// has waits until the stable address is on the interface, with its route, and the keeper says so.
func (b *board) has(name string, addr netip.Addr) time.Duration {
	b.t.Helper()
	return eventually(b.t, patience, func() error {
		got, err := b.Advertise()
		if err != nil || got != addr {
			return fmt.Errorf("Advertise() = %v, %w, want %v", got, err, addr)
		}
		return placed(name, addr)
	})
}

// placed is an error unless this board has the address, and its way to other link-local addresses is over the
// interface.
func placed(name string, addr netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(addrs,
		func(a netlink.Addr) bool { return a.IP.Equal(addr.AsSlice()) && a.LinkIndex == loopback }) {
		return fmt.Errorf("this board lacks %s, it has %v", addr, addrs)
	}
	routes, err := netlink.RouteGet(net.IPv4(169, 254, 99, 99))
	if err != nil {
		return err
	}
	if r := routes[0]; r.LinkIndex != link.Attrs().Index || !r.Src.Equal(addr.AsSlice()) {
		return fmt.Errorf("the way to 169.254.99.99 is %v", r)
	}
	return nil
}

// says waits until the log has words.
func (b *board) says(words string) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		for _, l := range b.logs.All() {
			if strings.Contains(l.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("the log lacks %q", words)
	})
}

// lanOf gives this namespace an eth0 whose cable leads to a stranger.
func lanOf(t *testing.T, name string) (netlink.Link, stranger) {
	t.Helper()
	must(t, netlink.LinkSetUp(named(t, "lo")))
	near, far := cable(t, name)
	s := strangerAt(t, far)
	must(t, netlink.LinkSetUp(near))
	return near, s
}

func TestKeeperKeeps(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	near, s := lanOf(t, "eth0")
	s.has(t, netip.MustParseAddr("169.254.99.99"))
	want := Candidate(boardSerial, 0)
	b := start(t, Home{}, false)
	if _, err := b.Advertise(); !errors.Is(err, errClaiming) {
		t.Errorf("Advertise() = %v at first", err)
	}
	t.Logf("probed and claimed after %v", b.has("eth0", want))
	if got := <-b.kept; got != (Home{want, "eth0"}) {
		t.Errorf("%v was remembered", got)
	}
	if link, err := b.Link(); err != nil || link.Addr.IsValid() || link.Stable != want {
		t.Errorf("Link() = %+v, %v", link, err)
	}
	if ok, err := b.Has(want); err != nil || !ok {
		t.Errorf("Has() = %v, %v", ok, err)
	}
	for text, near := range map[string]bool{"169.254.99.99": true, "10.9.8.1": false} {
		if got := b.OnLink(netip.MustParseAddr(text)); got != near {
			t.Errorf("OnLink(%s) = %v", text, got)
		}
	}
	b.Rely(true)

	// What removes an address is noticed when it does so, and not at the next look, however busy this machine is.
	limit := timing.Product().AddressRetry / 2
	within := func(what string, change func()) {
		t.Helper()
		gone := time.Now()
		change()
		eventually(t, patience, func() error {
			if _, err := b.Advertise(); err != nil {
				return err
			}
			return placed("eth0", want)
		})
		took := time.Since(gone)
		t.Logf("%-45s back after %v", what, took.Round(100*time.Microsecond))
		if took > limit {
			t.Errorf("after %s it took %v, want at most %v", what, took, limit)
		}
	}
	ip := func(args ...string) func() {
		return func() {
			t.Helper()
			if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("ip %v: %v: %s", args, err, out)
			}
		}
	}
	within("ip addr flush dev eth0", ip("addr", "flush", "dev", "eth0"))
	for range 5 {
		within("ip addr flush, again at once", ip("addr", "flush", "dev", "eth0"))
	}
	within("a lease comes", ip("addr", "add", "10.9.8.7/24", "dev", "eth0"))
	if link, err := b.Link(); err != nil || link.Addr != netip.MustParseAddr("10.9.8.7") || link.Stable != want {
		t.Errorf("Link() = %+v, %v", link, err)
	}
	within("another lease, all addresses flushed", func() {
		ip("addr", "flush", "dev", "eth0")()
		ip("addr", "add", "10.5.5.5/24", "dev", "eth0")()
	})
	within("ip addr flush dev lo", ip("addr", "flush", "dev", "lo"))
	within("its route is deleted", ip("route", "del", "169.254.0.0/16", "dev", "eth0"))
	within("link down and up", func() {
		must(t, netlink.LinkSetDown(near))
		must(t, netlink.LinkSetUp(near))
	})
	within("cable out and in", func() {
		must(t, s.LinkSetDown(s.link))
		must(t, s.LinkSetUp(s.link))
	})
	within("interface deleted and made anew", func() {
		must(t, netlink.LinkDel(near))
		near, s = lanOf(t, "eth0")
	})
	within("another link-local address of the system first", func() {
		ip("addr", "flush", "dev", "eth0")()
		ip("addr", "add", "169.254.200.200/16", "dev", "eth0")()
	})
}

func TestKeeperMoves(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	home := Home{netip.MustParseAddr("169.254.7.8"), "eth0"}
	_, wired := lanOf(t, "eth0")
	b := start(t, home, true)
	b.has("eth0", home.Addr) // without asking first: a swarm relies on it
	wlan0, _ := lanOf(t, "wlan0")
	must(t, netlink.AddrAdd(wlan0, address(t, "10.5.0.7/24")))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: wlan0.Attrs().Index, Gw: net.IPv4(10, 5, 0, 1)}))
	b.has("eth0", home.Addr) // though the other one has a default route
	must(t, wired.LinkSetDown(wired.link))
	t.Logf("the other interface has it after %v", b.has("wlan0", home.Addr))
	if link, err := b.Link(); err != nil || link.Name != "wlan0" || link.Stable != home.Addr {
		t.Errorf("Link() = %+v, %v", link, err)
	}
	must(t, wired.LinkSetUp(wired.link))
	t.Logf("the first interface has it again after %v", b.has("eth0", home.Addr))
	if len(b.kept) > 0 {
		t.Errorf("%v was remembered", <-b.kept)
	}
}

// TestKeeperFollowsIntoABridge makes the interface on which a swarm was made a port of a bridge, and takes it out
// again.
func TestKeeperFollowsIntoABridge(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	home := Home{netip.MustParseAddr("169.254.7.8"), "eth0"}
	eth0, _ := lanOf(t, "eth0")
	must(t, netlink.AddrAdd(eth0, address(t, "10.5.0.7/24")))
	b := start(t, home, true)
	b.has("eth0", home.Addr)
	for range 2 {
		must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
		br0 := named(t, "br0")
		must(t, errors.Join(netlink.AddrDel(eth0, address(t, "10.5.0.7/24")), netlink.LinkSetMaster(eth0, br0)))
		eventually(t, patience, func() error { // as long as the bridge is not up
			if _, err := b.Link(); err == nil || err.Error() != "br0 is not up" {
				return fmt.Errorf("Link() = %w", err)
			}
			return nil
		})
		must(t, netlink.LinkSetUp(br0))
		t.Logf("the bridge has it after %v", b.has("br0", home.Addr))
		routes, err := netlink.RouteList(eth0, netlink.FAMILY_V4)
		if err != nil || len(routes) > 0 {
			t.Errorf("eth0 still has %v, %v", routes, err)
		}
		must(t, netlink.AddrAdd(br0, address(t, "10.5.0.7/24")))
		eventually(t, patience, func() error {
			link, err := b.Link()
			if err != nil || link.Name != "br0" || link.Addr != netip.MustParseAddr("10.5.0.7") || link.Stable != home.Addr {
				return fmt.Errorf("Link() = %+v, %w", link, err)
			}
			return nil
		})
		must(t, errors.Join(netlink.LinkSetNoMaster(eth0), netlink.LinkDel(br0),
			netlink.AddrAdd(eth0, address(t, "10.5.0.7/24"))))
		t.Logf("the port has it again after %v", b.has("eth0", home.Addr))
	}
	if len(b.kept) > 0 {
		t.Errorf("%v was remembered", <-b.kept)
	}
}

// TestKeeperInABridgeFromTheStart boots a board whose interface has become a port meanwhile, and one that is new.
func TestKeeperInABridgeFromTheStart(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	eth0, _ := lanOf(t, "eth0")
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	br0 := named(t, "br0")
	must(t, errors.Join(netlink.LinkSetMaster(eth0, br0), netlink.LinkSetUp(br0)))
	for name, home := range map[string]Home{"of a swarm": {netip.MustParseAddr("169.254.7.8"), "eth0"}, "new": {}} {
		t.Run(name, func(t *testing.T) {
			want := home.Addr
			if !want.IsValid() {
				want = Candidate(boardSerial, 0)
			}
			b := start(t, home, home.Addr.IsValid())
			b.has("br0", want)
			if link, err := b.Link(); err != nil || link.Name != "br0" || link.Stable != want {
				t.Errorf("Link() = %+v, %v", link, err)
			}
		})
		must(t, withdraw(Candidate(boardSerial, 0)))
		must(t, withdraw(netip.MustParseAddr("169.254.7.8")))
	}
}

func TestKeeperConflicts(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	first, second := Candidate(boardSerial, 0), Candidate(boardSerial, 1)
	_, s := lanOf(t, "eth0")
	s.has(t, first)
	b := start(t, Home{}, false)
	b.has("eth0", second)
	b.says(fmt.Sprintf("%s has %s or wants it, too: trying another address", s.link.Attrs().HardwareAddr, first))

	// Somebody comes with the same address who does not yield. As long as no swarm relies on it, this board does.
	s.has(t, second)
	foreign := speak(t, s)
	foreign(second)
	foreign(second)
	b.has("eth0", Candidate(boardSerial, 2))
	if err := placed("eth0", second); err == nil {
		t.Error("the old address is still there")
	}

	// The same when a swarm does.
	third := Candidate(boardSerial, 2)
	b.Rely(true)
	s.has(t, third)
	heard, _, err := openARPAt(t, s)
	must(t, err)
	foreign(third)
	b.says(fmt.Sprintf("Another machine, %s, uses %s, which the swarm relies on: this board defends it",
		s.link.Attrs().HardwareAddr, third))
	for {
		a, err := heard.Receive()
		must(t, err)
		if a.sender == third && a.target == third && !b.own(a.hardware) {
			continue
		}
		if a.sender == third && a.target == third {
			break // defended
		}
	}
	foreign(third)
	foreign(third)
	b.has("eth0", third)
}

// openARPAt opens a wire where the stranger is.
func openARPAt(t *testing.T, s stranger) (w wire, self mac, err error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	must(t, err)
	there, err := netns.GetFromPid(s.pid)
	must(t, err)
	must(t, netns.Set(there))
	w, self, err = openARP(Link{Name: s.link.Attrs().Name, Index: s.link.Attrs().Index})
	must(t, errors.Join(netns.Set(here), here.Close(), there.Close()))
	if err == nil {
		t.Cleanup(func() { must(t, w.Close()) })
	}
	return w, self, err
}

// own reports whether the hardware address is one of this namespace.
func (b *board) own(m mac) bool { return ownMACs(mac{})[m] }

// speak returns a function by which the stranger announces that it has an address, as its kernel does not by itself.
func speak(t *testing.T, s stranger) func(netip.Addr) {
	t.Helper()
	w, self, err := openARPAt(t, s)
	must(t, err)
	return func(addr netip.Addr) {
		t.Helper()
		must(t, w.Send(arp{hardware: self, sender: addr, target: addr}))
	}
}

func TestTwoBoardsWithOneCandidate(t *testing.T) {
	if os.Getenv(secondEnv) != "" {
		second(t)
		return
	}
	if !inNamespace(t) {
		return
	}
	near, far := cable(t, "eth0")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), secondEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s := plugInto(t, cmd.Process.Pid, far)
	must(t, s.LinkSetDown(s.link))
	must(t, s.LinkSetName(s.link, "eth0"))
	must(t, s.LinkSetUp(s.link))
	must(t, netlink.LinkSetUp(near))
	b := start(t, Home{}, false)
	var there netip.Addr
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log("the other: ", lines.Text())
		if text, ok := strings.CutPrefix(lines.Text(), secondHas); ok {
			there = netip.MustParseAddr(text)
		}
	}
	must(t, cmd.Wait())
	var here netip.Addr
	eventually(t, patience, func() (err error) {
		here, err = b.Advertise()
		return err
	})
	t.Logf("this board has %v, the other %v", here, there)
	candidates := []netip.Addr{Candidate(boardSerial, 0), Candidate(boardSerial, 1), Candidate(boardSerial, 2)}
	if here == there || !slices.Contains(candidates, here) || !slices.Contains(candidates, there) {
		t.Errorf("want two of %v", candidates)
	}
}

const (
	secondEnv = "ADDRESS_TEST_SECOND"
	secondHas = "the second board has "
)

// second is the other board of TestTwoBoardsWithOneCandidate, in a process and a namespace of its own.
func second(t *testing.T) {
	b := start(t, Home{}, false)
	eventually(t, patience, func() error {
		addr, err := b.Advertise()
		if err == nil {
			fmt.Printf("%s%s\n", secondHas, addr)
		}
		return err
	})
}

func TestKeeperRefuses(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	refused := func(b *board, words string) {
		t.Helper()
		eventually(t, patience, func() error {
			_, err := b.Advertise()
			if refusal := (Refusal{}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), words) {
				return fmt.Errorf("Advertise() = %w, want %q", err, words)
			}
			return nil
		})
		b.says(words)
	}
	usb0, _ := lanOf(t, "usb0")
	must(t, netlink.AddrAdd(usb0, address(t, "169.254.3.3/16")))
	eth0, s := lanOf(t, "eth0")
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.7/24")))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1)}))
	b := start(t, Home{}, false)
	refused(b, "169.254.0.0/16 is routed over usb0 already, so eth0 cannot have an address of it: "+
		`turn link-local addresses off on usb0, or give interface = "usb0"`)
	must(t, netlink.LinkDel(usb0))
	b.has("eth0", Candidate(boardSerial, 0))
	must(t, s.LinkSetDown(s.link))
	eventually(t, patience, func() error {
		if _, err := b.Advertise(); err == nil || !strings.Contains(err.Error(), "eth0 has no cable") {
			return fmt.Errorf("Advertise() = %w without a cable", err)
		}
		return nil
	})
}

// TestKeeperRefusesWithoutPermission runs the keeper as nobody, with one of its two capabilities and then with none.
func TestKeeperRefusesWithoutPermission(t *testing.T) {
	if os.Getenv(secondEnv) != "" {
		why(t)
		return
	}
	if !inNamespace(t) {
		return
	}
	lanOf(t, "eth0")
	for words, caps := range map[string][]uintptr{
		"whether an address is free: it needs CAP_NET_RAW":                                    {unix.CAP_NET_ADMIN},
		"have the address " + Candidate(boardSerial, 0).String() + ": it needs CAP_NET_ADMIN": {unix.CAP_NET_RAW},
	} {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
		cmd.Env, cmd.Dir = append(os.Environ(), secondEnv+"=1"), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps, Pdeathsig: syscall.SIGKILL,
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), words) {
			t.Errorf("%v, it does not say %q:\n%s", err, words, out)
		}
	}
}

// why tells the refusal of a keeper.
func why(t *testing.T) {
	b := start(t, Home{}, false)
	eventually(t, patience, func() error {
		_, err := b.Advertise()
		if refusal := (Refusal{}); !errors.As(err, &refusal) {
			return fmt.Errorf("Advertise() = %w", err)
		}
		fmt.Println(err)
		return nil
	})
}

func TestKeeperRefusesWhenAllIsTaken(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, s := lanOf(t, "eth0")
	for attempt := range maxConflicts {
		s.has(t, Candidate(boardSerial, attempt))
	}
	b := start(t, Home{}, false)
	words := fmt.Sprintf("every address that this board wants is taken: the last one by %s", s.link.Attrs().HardwareAddr)
	eventually(t, patience, func() error {
		if _, err := b.Advertise(); err == nil || err.Error() != words {
			return fmt.Errorf("Advertise() = %w, want %q", err, words)
		}
		return nil
	})
	b.says(words)
}

func TestKeeperWithoutMulticast(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	eth0, _ := lanOf(t, "eth0")
	must(t, netlink.LinkSetMulticastOff(eth0))
	b := start(t, Home{}, false)
	const words = "eth0 cannot do multicast, which finding other boards needs"
	eventually(t, patience, func() error {
		_, err := b.Advertise()
		if _, linkErr := b.Link(); words != fmt.Sprint(err) || words != fmt.Sprint(linkErr) {
			return fmt.Errorf("Advertise() = %w, Link() = %w, want %q", err, linkErr, words)
		}
		return nil
	})
	must(t, netlink.LinkSetMulticastOn(eth0))
	b.has("eth0", Candidate(boardSerial, 0))
}

// TestKeeperBeforeItsInterface starts the keeper as at boot, before a network manager has set the interface up.
func TestKeeperBeforeItsInterface(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	home := Home{netip.MustParseAddr("169.254.7.8"), "eth0"}
	near, far := cable(t, "eth0")
	must(t, netlink.LinkSetUp(far))
	b := start(t, home, true)
	select {
	case <-b.Ready():
		t.Error("an engine may start though there is no way to its manager")
	case <-time.After(5 * watchPace):
	}
	must(t, netlink.LinkSetUp(near))
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Fatal("it never gets ready")
	}
	if err := placed("eth0", home.Addr); err != nil {
		t.Error(err)
	}
}

// TestKeeperWithoutItsInterface lets the engine start when nothing comes of waiting.
func TestKeeperWithoutItsInterface(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := start(t, Home{netip.MustParseAddr("169.254.7.8"), "eth0"}, true)
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Error("it never gets ready")
	}
}

func TestKeeperWithoutCarrier(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	home := Home{netip.MustParseAddr("169.254.7.8"), "eth0"}
	near, far := cable(t, "eth0")
	must(t, netlink.LinkSetUp(near)) // nothing is at the other end yet
	b := start(t, home, true)
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Fatal("it never gets ready")
	}
	if err := placed("eth0", home.Addr); err != nil { // so that an engine finds a route
		t.Error(err)
	}
	if _, err := b.Advertise(); err == nil || !strings.Contains(err.Error(), "no cable") {
		t.Errorf("Advertise() = %v without a cable", err)
	}
	must(t, netlink.LinkSetUp(far))
	b.has("eth0", home.Addr)
	if link, err := b.Link(); err != nil || link.Stable != home.Addr {
		t.Errorf("Link() = %+v, %v", link, err)
	}
}
