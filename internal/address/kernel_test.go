package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespaceEnv says that this test binary runs in a network namespace of its own.
const namespaceEnv = "ADDRESS_TEST_NAMESPACE"

// inNamespace reports whether the test is to go on: in a network namespace that ends with the process. Elsewhere it
// runs the same test again in one.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceEnv) != "" {
		must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(t, unix.Mount("sysfs", "/sys", "sysfs", unix.MS_RDONLY, "")) // the one of this network namespace
		return true
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, for a network namespace")
		}
		t.Skip("needs root, for a network namespace")
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in a network namespace: %v\n%s", err, out)
	}
	return false
}

// cable makes an interface, and the far end of its cable, which is no candidate by its name.
func cable(t *testing.T, name string) (near, far netlink.Link) {
	t.Helper()
	peer := "veth-" + name
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer}))
	return named(t, name), named(t, peer)
}

func named(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}

func address(t *testing.T, cidr string) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	must(t, err)
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnLink(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	far := netip.MustParseAddr("10.77.0.9")
	if (Kernel{}).OnLink(far) {
		t.Error("without an interface everything is near")
	}
	for name, cidr := range map[string]string{"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"} {
		near, other := cable(t, name)
		must(t, netlink.AddrAdd(near, address(t, cidr)))
		must(t, netlink.LinkSetUp(near))
		must(t, netlink.LinkSetUp(other))
	}
	for text, want := range map[string]bool{
		"10.77.0.1": true, "10.77.0.9": true, "10.78.0.9": false, "10.77.1.9": false, "192.0.2.1": false, "::1": false, "127.0.0.1": false,
	} {
		if got := (Kernel{Want: "eth0"}).OnLink(netip.MustParseAddr(text)); got != want {
			t.Errorf("OnLink(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestKernel(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	see := func(want string) {
		t.Helper()
		got, err := Kernel{}.Link()
		said := words(err)
		if err == nil {
			said = fmt.Sprintf("%s %s", got.Name, got.Addr)
			if got.Index != named(t, got.Name).Attrs().Index {
				t.Errorf("%s has index %d, want %d", got.Name, got.Index, named(t, got.Name).Attrs().Index)
			}
		}
		if said != want {
			t.Errorf("Link() = %q, want %q", said, want)
		}
	}
	must(t, netlink.LinkSetUp(named(t, "lo")))
	see("there is no network interface")
	eth0, far0 := cable(t, "eth0")
	see("eth0 is not up")
	must(t, netlink.LinkSetUp(eth0))
	see("eth0 has no cable, or nothing is at its other end")
	must(t, netlink.LinkSetUp(far0))
	see("eth0 has no IPv4 address yet")
	must(t, netlink.AddrAdd(eth0, address(t, "169.254.7.8/16")))
	see("eth0 169.254.7.8")
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.7/24")))
	see("eth0 10.9.8.7")
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.9/24")))
	see("eth0 10.9.8.7")

	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "docker0"}}))
	must(t, netlink.LinkSetUp(named(t, "docker0")))
	must(t, netlink.AddrAdd(named(t, "docker0"), address(t, "172.17.0.1/16")))
	eth1, far1 := cable(t, "eth1")
	must(t, errors.Join(netlink.LinkSetUp(eth1), netlink.LinkSetUp(far1),
		netlink.AddrAdd(eth1, address(t, "10.5.0.7/24"))))
	see("eth0 10.9.8.7")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth1.Attrs().Index, Gw: net.IPv4(10, 5, 0, 1), Priority: 600}))
	see("eth1 10.5.0.7")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1), Priority: 100}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1), Priority: 700}))
	see("eth0 10.9.8.7")
	must(t, netlink.LinkSetDown(far0))
	see("eth1 10.5.0.7")

	if got, err := (Kernel{Want: "eth1"}).Link(); err != nil || got.Name != "eth1" {
		t.Errorf("an interface that the settings name = %+v, %v", got, err)
	}
	if got, err := (Kernel{Want: "eth7"}).Link(); err == nil || got.Name != "" {
		t.Errorf("an interface that is not there = %+v, %v", got, err)
	}
}

// made adds an interface, or skips the test where the kernel has none of its kind.
func made(t *testing.T, link netlink.Link) netlink.Link {
	t.Helper()
	err := netlink.LinkAdd(link)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("this kernel has no interfaces of the kind %s", link.Type())
	}
	must(t, err)
	return named(t, link.Attrs().Name)
}

// TestKernelCards holds the choice to what this kernel shows of bridges, bonds and VLANs. TestChooseBySys has all
// cases.
func TestKernelCards(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode, bond.Miimon = netlink.BOND_MODE_ACTIVE_BACKUP, 100
	for _, top := range []netlink.Link{&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}, bond} {
		t.Run(top.Type(), func(t *testing.T) {
			master := made(t, top)
			eth0, far := cable(t, "eth0")
			defer func() { must(t, errors.Join(netlink.LinkDel(eth0), netlink.LinkDel(master))) }()
			must(t, errors.Join(netlink.LinkSetUp(far), netlink.LinkSetMaster(eth0, master), netlink.LinkSetUp(eth0),
				netlink.LinkSetUp(master)))
			eventually(t, patience, func() error {
				link, err := Kernel{Bare: true, Home: "eth0"}.Link()
				if err != nil || link.Name != top.Attrs().Name || link.Why != "it is made of eth0" {
					return fmt.Errorf("Link() = %+v, %w", link, err)
				}
				return nil
			})
		})
	}
	t.Run("vlan", func(t *testing.T) {
		eth0, far := cable(t, "eth0")
		defer func() { must(t, netlink.LinkDel(eth0)) }()
		must(t, errors.Join(netlink.LinkSetUp(far), netlink.LinkSetUp(eth0)))
		vlan := made(t, &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "eth0.10", ParentIndex: eth0.Attrs().Index},
			VlanId: 10})
		must(t, errors.Join(netlink.LinkSetUp(vlan), netlink.AddrAdd(vlan, address(t, "192.168.10.7/24"))))
		if link, err := (Kernel{Bare: true}).Link(); err != nil || link.Name != "eth0.10" {
			t.Errorf("Link() = %+v, %v", link, err)
		}
	})
	t.Run("tap", func(t *testing.T) {
		eth0, far := cable(t, "eth0")
		defer func() { must(t, netlink.LinkDel(eth0)) }()
		must(t, errors.Join(netlink.LinkSetUp(far), netlink.LinkSetUp(eth0)))
		tap := made(t, &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "office"}, Mode: netlink.TUNTAP_MODE_TAP})
		must(t, errors.Join(netlink.LinkSetUp(tap), netlink.AddrAdd(tap, address(t, "10.147.17.5/24"))))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: tap.Attrs().Index, Gw: net.IPv4(10, 147, 17, 1)}))
		if link, err := (Kernel{Bare: true}).Link(); err != nil || link.Name != "eth0" {
			t.Errorf("Link() = %+v, %v", link, err)
		}
	})
}

func TestKernelRoutes(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	eth0, far0 := cable(t, "eth0")
	must(t, errors.Join(netlink.LinkSetUp(eth0), netlink.LinkSetUp(far0)))
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.7/24")))
	must(t, netlink.AddrAdd(eth0, address(t, "169.254.7.8/16")))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1)}))
	must(t, netlink.RouteAdd(&netlink.Route{
		Dst: &net.IPNet{IP: net.IPv4(172, 20, 0, 0), Mask: net.CIDRMask(14, 32)}, Gw: net.IPv4(10, 9, 8, 1),
	}))
	got, err := Kernel{}.Routes()
	must(t, err)
	slices.SortFunc(got, netip.Prefix.Compare)
	want := []netip.Prefix{
		netip.MustParsePrefix("10.9.8.0/24"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.20.0.0/14"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("Routes() = %v, want %v", got, want)
	}
}

func TestKernelTable(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	eth0, far0 := cable(t, "eth0")
	wlan0, far1 := cable(t, "wlan0")
	must(t, errors.Join(netlink.LinkSetUp(eth0), netlink.LinkSetUp(far0), netlink.LinkSetUp(wlan0),
		netlink.LinkSetUp(far1)))
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.7/24")))
	must(t, netlink.AddrAdd(wlan0, address(t, "10.9.7.7/24")))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1), Priority: 100}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: wlan0.Attrs().Index, Dst: ipNet(LinkLocal), Priority: 1003}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: ipNet(LinkLocal)}))
	must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(netip.MustParsePrefix("172.20.0.0/14")),
		MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1)}, {LinkIndex: wlan0.Attrs().Index,
				Gw: net.IPv4(10, 9, 7, 1)},
		}}))
	must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(netip.MustParsePrefix("192.0.2.0/24")),
		Type: unix.RTN_UNREACHABLE}))
	must(t, netlink.RouteAdd(&netlink.Route{
		LinkIndex: eth0.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("198.51.100.0/24")), Table: 99,
	}))
	got, err := Kernel{}.Table()
	must(t, err)
	slices.SortStableFunc(got, func(a, b Route) int { return a.To.Compare(b.To) })
	to := netip.MustParsePrefix
	want := []Route{
		{to("10.9.7.0/24"), "wlan0", 0}, {to("10.9.8.0/24"), "eth0", 0},
		{LinkLocal, "eth0", 0}, {LinkLocal, "wlan0", 1003},
		{to("172.20.0.0/14"), "eth0", 0}, {to("172.20.0.0/14"), "wlan0", 0},
		{to("192.0.2.0/24"), "no interface", 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Table() = %v, want %v", got, want)
	}
}

func TestKernelWatch(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- Kernel{}.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	}()
	hears := func(what string) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatalf("not told: %s", what)
		}
		for quiet := false; !quiet; { // one change has several messages, of which a late one must not pass for the next
			select {
			case <-told:
			case <-time.After(3 * watchPace):
				quiet = true
			}
		}
	}
	hears("that it listens")
	eth0, far0 := cable(t, "eth0")
	hears("a new interface")
	must(t, errors.Join(netlink.LinkSetUp(eth0), netlink.LinkSetUp(far0)))
	hears("an interface that is up")
	must(t, netlink.AddrAdd(eth0, address(t, "10.9.8.7/24")))
	hears("a new address")
	before, err := Kernel{}.Link()
	must(t, err)
	must(t, errors.Join(netlink.AddrDel(eth0, address(t, "10.9.8.7/24")),
		netlink.AddrAdd(eth0, address(t, "10.9.8.9/24"))))
	hears("another address")
	if got, err := (Kernel{}).Link(); err != nil || got.Addr != netip.MustParseAddr("10.9.8.9") ||
		got.Index != before.Index {
		t.Errorf("after another address: %+v, %v", got, err)
	}
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 9, 8, 1)}))
	hears("a new route")
	must(t, netlink.LinkSetDown(far0))
	hears("a pulled cable")

	must(t, netlink.LinkDel(eth0))
	hears("an interface that is gone")
	eth0, far0 = cable(t, "eth0")
	must(t, errors.Join(netlink.LinkSetUp(eth0), netlink.LinkSetUp(far0),
		netlink.AddrAdd(eth0, address(t, "10.9.8.9/24"))))
	hears("an interface made anew")
	if got, err := (Kernel{}).Link(); err != nil || got.Index == before.Index {
		t.Errorf("after the interface was made anew: %+v, %v; want another index than %d", got, err, before.Index)
	}

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Watch() = %v after its context ended, want nil", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Watch goes on after its context ended")
	}
	// An ended goroutine is counted until the scheduler has seen to it, and may close its file last.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines || openFiles(t) > files; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d open files are left after Watch, %d and %d were there before",
				runtime.NumGoroutine(), openFiles(t), goroutines, files)
		}
		runtime.Gosched()
	}
}

// openFiles counts the files and sockets that this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(fds)
}
