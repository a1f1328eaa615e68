package ports

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/vishvananda/netlink"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

const tableHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// tables are the files of a board on which somebody has ports: each entry is a table, an address as the kernel writes
// it, a port, a state, a user, an inode, and the process that has it and its cgroup, where that is to be seen.
type entry struct {
	table, addr  string
	port         uint16
	state        string
	uid, inode   int
	program, cgr string
}

func files(entries ...entry) fstest.MapFS {
	root := fstest.MapFS{}
	for i, e := range entries {
		path := "proc/net/" + e.table
		f := root[path]
		if f == nil {
			f = &fstest.MapFile{Data: []byte(tableHead)}
			root[path] = f
		}
		f.Data = fmt.Appendf(f.Data, "%4d: %s:%04X 00000000:0000 %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0 100 0 0 10 0\n",
			i, e.addr, e.port, e.state, e.uid, e.inode)
		if e.program != "" {
			dir := fmt.Sprintf("proc/%d/", 1000+i)
			root[dir+"comm"] = &fstest.MapFile{Data: []byte(e.program + "\n")}
			root[dir+"cgroup"] = &fstest.MapFile{Data: []byte("0::" + e.cgr + "\n")}
			root[dir+"fd/3"] = &fstest.MapFile{Data: fmt.Appendf(nil, "socket:[%d]", e.inode), Mode: os.ModeSymlink}
		}
	}
	return root
}

const (
	any4, any6    = "00000000", "00000000000000000000000000000000"
	local, local6 = "0100007F", "00000000000000000000000001000000"
)

func TestStrangers(t *testing.T) {
	inactive := swarm.Status{State: swarm.Inactive}
	worker := swarm.Status{State: swarm.Active}
	manager := swarm.Status{State: swarm.Active, Manager: true}
	unknown := errors.New("no engine")
	taken := errors.New("in use")
	const container = "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"
	tests := []struct {
		name   string
		files  []entry
		engine swarm.Status
		err    error
		shared error
		units  map[uint64]string
		only   bool   // the socket at :: takes IPv6 alone
		want   string // nobody when empty
		guess  bool
		blind  bool
	}{
		{name: "nobody", engine: inactive},
		{name: "the engine", engine: manager, files: []entry{
			{"tcp6", any6, 2377, "0A", 0, 1, "dockerd", "/system.slice/docker.service"}, {"tcp6", any6, 7946, "0A", 0, 2, "dockerd", "/"},
			{"udp6", any6, 7946, "07", 0, 3, "dockerd", "/"}, {"udp", any4, 4789, "07", 0, 4, "", ""}}},
		{name: "the engine, as others see it", engine: manager, files: []entry{
			{"tcp6", any6, 2377, "0A", 0, 1, "", ""}, {"tcp6", any6, 7946, "0A", 0, 2, "", ""}, {"udp", any4, 4789, "07", 0, 4, "", ""}}},
		{name: "the agent", engine: worker, files: []entry{
			{"tcp", any4, 2378, "0A", 999, 1, "pi-agent", "/"}, {"tcp6", any6, 7380, "0A", 999, 2, "pi-agent", "/"},
			{"udp", any4, 5353, "07", 108, 3, "avahi-daemon", "/"}, {"udp", "FB0000E0", 5353, "07", 999, 4, "pi-agent", "/"}}},
		{name: "avahi only", engine: worker, files: []entry{{"udp", any4, 5353, "07", 108, 3, "avahi-daemon", "/"}}},
		{name: "gossip", engine: worker, files: []entry{{"tcp", any4, 7946, "0A", 0, 9, "nc", "/user.slice/session-3.scope"}},
			want: "Port 7946/tcp is taken by nc (1000), and is needed for news between nodes."},
		{name: "gossip, by a service", engine: worker, files: []entry{{"tcp6", any6, 7946, "0A", 0, 9, "consul", "/system.slice/consul.service"}},
			want: "Port 7946/tcp is taken by consul (1000, consul.service), and is needed for news between nodes."},
		{name: "gossip, by a service that others see", engine: worker, files: []entry{{"tcp6", any6, 7946, "0A", 0, 9, "", ""}},
			units: map[uint64]string{9: "consul.service"}, want: "Port 7946/tcp is taken by consul.service, and is needed for news between nodes."},
		{name: "gossip, by the engine that others see", engine: worker, files: []entry{{"tcp6", any6, 7946, "0A", 0, 9, "", ""}},
			units: map[uint64]string{9: "docker.service"}},
		{name: "gossip, by a user", engine: worker, err: unknown, files: []entry{{"udp", any4, 7946, "07", 1000, 9, "", ""}},
			want: "Port 7946/udp is taken by another program, and is needed for news between nodes."},
		{name: "gossip, by a published port", engine: worker, files: []entry{{"tcp", any4, 7946, "0A", 0, 9, "docker-proxy", "/system.slice/docker.service"}},
			want: "Port 7946/tcp is taken by docker-proxy (1000, docker.service), and is needed for news between nodes."},
		{name: "gossip, by a container", engine: worker, files: []entry{{"tcp", any4, 7946, "0A", 0, 9, "consul", container}},
			want: "Port 7946/tcp is taken by consul (1000, container 0123456789ab), and is needed for news between nodes."},
		{name: "gossip on loopback", engine: worker, files: []entry{{"tcp", local, 7946, "0A", 0, 9, "nc", "/"}},
			want: "Port 7946/tcp is taken by nc (1000), and is needed for news between nodes."},
		{name: "gossip of IPv6 alone", engine: worker, files: []entry{{"tcp6", local6, 7946, "0A", 0, 9, "nc", "/"}},
			want: "Port 7946/tcp is taken by nc (1000), and is needed for news between nodes."},
		{name: "gossip of IPv6 alone, at all addresses", engine: worker, only: true, files: []entry{{"udp6", any6, 7946, "07", 0, 9, "nc", "/"}},
			want: "Port 7946/udp is taken by nc (1000), and is needed for news between nodes."},
		{name: "hello of IPv6 alone", engine: worker, files: []entry{{"tcp6", local6, 2378, "0A", 0, 9, "nc", "/"}}},
		{name: "hello of IPv6 alone, at all addresses", engine: worker, only: true, files: []entry{{"tcp6", any6, 2378, "0A", 0, 9, "nc", "/"}}},
		{name: "hello in IPv6 for IPv4", engine: worker, files: []entry{{"tcp6", "0000000000000000FFFF00000100007F", 2378, "0A", 0, 9, "nc", "/"}},
			want: "Port 2378/tcp is taken by nc (1000), and is needed for hello and join."},
		{name: "hello of IPv6, and of both", engine: worker, files: []entry{
			{"tcp6", local6, 2378, "0A", 0, 8, "nc", "/"}, {"tcp6", any6, 2378, "0A", 0, 9, "nginx", "/system.slice/nginx.service"}},
			want: "Port 2378/tcp is taken by nginx (1001, nginx.service), and is needed for hello and join."},
		{name: "overlay networks of IPv6 alone", engine: worker, only: true, files: []entry{{"udp6", any6, 4789, "07", 0, 9, "socat", "/"}}},
		{name: "page of IPv6 alone", engine: worker, only: true, files: []entry{{"tcp6", any6, 7380, "0A", 33, 9, "", ""}},
			want: "Port 7380/tcp is taken by another program, and is needed for the page of this board."},
		{name: "a connection to it", engine: worker, files: []entry{{"tcp", any4, 7946, "01", 0, 9, "nc", "/"}}},
		{name: "before a swarm", engine: inactive, files: []entry{{"tcp", any4, 7946, "0A", 0, 9, "", ""}}, guess: true,
			want: "Port 7946/tcp is taken by another program, and is needed for news between nodes."},
		{name: "root, and the engine is not known", err: unknown, files: []entry{{"tcp", any4, 7946, "0A", 0, 9, "", ""}}},
		{name: "managers, on a worker", engine: worker, files: []entry{{"tcp", any4, 2377, "0A", 0, 9, "", ""}}, guess: true,
			want: "Port 2377/tcp is taken by another program, and is needed for the managers of the swarm."},
		{name: "overlay networks", engine: worker, files: []entry{{"udp", any4, 4789, "07", 0, 9, "socat", "/"}},
			want: "Port 4789/udp is taken by socat (1000), and is needed for overlay networks."},
		{name: "overlay networks, nobody seen", engine: inactive, files: []entry{{"udp", any4, 4789, "07", 0, 9, "", ""}}},
		{name: "hello", engine: worker, files: []entry{{"tcp6", any6, 2378, "0A", 0, 9, "nginx", "/system.slice/nginx.service"}},
			want: "Port 2378/tcp is taken by nginx (1000, nginx.service), and is needed for hello and join."},
		{name: "page", engine: worker, files: []entry{{"tcp6", any6, 7380, "0A", 33, 9, "", ""}},
			want: "Port 7380/tcp is taken by another program, and is needed for the page of this board."},
		{name: "hello, as others see it", engine: worker, blind: true, files: []entry{{"tcp6", any6, 2378, "0A", 999, 9, "", ""}}},
		{name: "mDNS", engine: worker, shared: taken, files: []entry{{"udp", any4, 5353, "07", 1000, 9, "mdnsd", "/"}},
			want: "Port 5353/udp is taken by mdnsd (1000), and is needed for finding the other boards."},
	}
	for _, tt := range tests {
		l := Look{
			Root: files(tt.files...), Engine: tt.engine, EngineErr: tt.err, Page: true, Sees: !tt.blind,
			Shared: func() error { return tt.shared }, Unit: func(inode uint64) string { return tt.units[inode] },
			OnlyIPv6: func(uint64) bool { return tt.only },
		}
		var got []string
		for _, h := range l.Strangers() {
			got = append(got, h.Text().En)
			if h.Guess != tt.guess || h.Inode != 9 || h.Remedy().IsZero() {
				t.Errorf("%s: %+v", tt.name, h)
			}
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, s, tt.want)
		}
	}
}

func FuzzBound(f *testing.F) {
	f.Add(tableHead + "   0: 00000000:1F0A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0\n")
	f.Add("0: 0:0 0 0A 0 0 0 0 0 0 0")
	f.Fuzz(func(_ *testing.T, table string) {
		root := fstest.MapFS{}
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
			root["proc/net/"+name] = &fstest.MapFile{Data: []byte(table)}
		}
		_ = Look{Root: root}.Strangers()
		attributes([]byte(table))
	})
}

// inNamespace is set in the process that has a network of its own.
const inNamespace = "PORTS_TEST_IN_NAMESPACE"

// TestRealStrangers takes each port in a network of its own, and finds who has it: this test.
func TestRealStrangers(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		if os.Getuid() != 0 {
			t.Skip("a network of its own needs root")
		}
		c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestRealStrangers$", "-test.v")
		c.Env = append(os.Environ(), inNamespace+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if out, err := c.CombinedOutput(); err != nil || strings.Count(string(out), "took port") != len(Own) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	me, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Own {
		at := net.JoinHostPort("0.0.0.0", strconv.Itoa(int(p.Number)))
		var c interface{ Close() error }
		if p.Network == "tcp" {
			c, err = net.Listen("tcp4", at)
		} else {
			c, err = net.ListenPacket("udp4", at)
		}
		if err != nil {
			t.Fatal(err)
		}
		l := Here(os.DirFS("/"))
		l.Engine = swarm.Status{State: swarm.Active, Manager: true}
		all := l.Strangers()
		if len(all) != 1 || all[0].Port != p || all[0].PID != os.Getpid() || all[0].Program != strings.TrimSpace(string(me)) {
			t.Errorf("%s: %+v", p, all)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if all := Here(os.DirFS("/")).Strangers(); len(all) != 0 {
			t.Errorf("%s, let go: %+v", p, all)
		}
		// A program that has the port for IPv6 alone is a stranger exactly where it is in the way.
		for _, host := range []string{"::", "::1"} {
			if p.Number == MDNS {
				continue // which is shared by its address
			}
			at := net.JoinHostPort(host, strconv.Itoa(int(p.Number)))
			needs := p.Network
			if p.IPv4 {
				needs += "4"
			}
			bind := func(network, at string) (c interface{ Close() error }, err error) {
				if p.Network == "tcp" {
					return net.Listen(network, at)
				}
				return net.ListenPacket(network, at)
			}
			c, err := bind(p.Network+"6", at)
			if err != nil {
				t.Fatal(err)
			}
			free, err := bind(needs, net.JoinHostPort("0.0.0.0", strconv.Itoa(int(p.Number))))
			if err == nil {
				err = free.Close()
			} else if !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatal(err)
			}
			l := Here(os.DirFS("/"))
			l.Engine = swarm.Status{State: swarm.Active, Manager: true}
			if all := l.Strangers(); (len(all) == 0) != (err == nil) {
				t.Errorf("%s at %s, which can be bound beside it: %v: %+v", p, host, err == nil, all)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Println("took port", filepath.Base(p.String()))
	}
}
