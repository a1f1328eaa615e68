package discovery

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/mdns"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// The tests with real sockets give each host a network namespace, and run the service there in a process of its own:
// this test binary again, with roleEnv set.
const roleEnv = "DISCOVERY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "board":
		exitOn(playBoard())
	case "query":
		exitOn(playQuery())
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// order is what a test tells a board; the board answers with its snapshot.
type order struct {
	Link   *address.Link
	Claim  *peer.Claim
	Asking bool
}

// playBoard runs a service until its orders end.
func playBoard() error {
	log := zap.Must(zap.NewDevelopment())
	s := New(Cluster{Name: "pi"}, log)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	orders, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			cancel()
			return <-ended
		} else if err != nil {
			return err
		}
		if o.Link != nil {
			s.SetLink(*o.Link)
		}
		if o.Claim != nil {
			s.SetClaim(*o.Claim)
		}
		if o.Asking {
			s.SetAsking(true)
		}
		if err := answers.Encode(s.Snapshot()); err != nil {
			return err
		}
	}
}

// playQuery asks a one-shot question, as any program may, on the link of os.Args[1] in JSON. It prints the answers as
// JSON: instance, address and port.
func playQuery() error {
	var link address.Link
	if err := json.Unmarshal([]byte(os.Args[1]), &link); err != nil {
		return err
	}
	iface, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return err
	}
	entries := make(chan *mdns.ServiceEntry, 512)
	err = mdns.QueryContext(context.Background(), &mdns.QueryParam{
		Service: service, Timeout: time.Second, Interface: iface, Entries: entries, DisableIPv6: true,
	})
	found := []string{}
	for len(entries) > 0 { // it goes on writing into entries that it has handed over until it returns
		e := <-entries
		found = append(found, fmt.Sprintf("%s %s:%d", strings.TrimSuffix(e.Name, "."+serviceName), e.AddrV4, e.Port))
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(found))
}

// host is a machine: namespaces of its own for network, mounts, processes and host name, held by a process that ends
// with the test, and everything in it with that process.
type host struct {
	t    *testing.T
	name string
	pid  int
}

// needRoot skips the test where it cannot be run, and fails it there in CI.
func needRoot(t *testing.T, tools ...string) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root, for network namespaces"
	}
	for _, tool := range append(tools, "ip", "nsenter") {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", missing)
	default:
		t.Skipf("needs %s", missing)
	}
}

func newHost(t *testing.T, name string) *host {
	t.Helper()
	holder := exec.Command("cat") // ends with its input, which is with this process
	holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
	}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = holder.Process.Kill()
		_ = holder.Wait() // killed, which is no error here
	})
	h := &host{t: t, name: name, pid: holder.Process.Pid}
	h.sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run && hostname %s && ip link set lo up", name)
	return h
}

// newSwitch returns a host that is nothing but a switch.
func newSwitch(t *testing.T) *host {
	t.Helper()
	h := newHost(t, "switch")
	h.sh("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up")
	return h
}

// plug connects an interface of h to a switch and returns its link.
func (h *host) plug(sw *host, iface, cidr string) address.Link {
	h.t.Helper()
	port := fmt.Sprintf("%s-%s", h.name, iface)
	// A pid means another process inside of the switch, so only its network is entered.
	script := fmt.Sprintf("ip link add %s type veth peer name %s netns %d && ip link set %s master br0 up",
		port, iface, h.pid, port)
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(sw.pid), "-n", "--", "sh", "-c", script).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	h.sh("ip link set %s up && ip addr add %s dev %s", iface, cidr, iface)
	return h.link(iface, cidr)
}

func (h *host) link(iface, cidr string) address.Link {
	h.t.Helper()
	index, err := strconv.Atoi(strings.TrimSpace(h.sh("ip -o link show %s | cut -d: -f1", iface)))
	if err != nil {
		h.t.Fatal(err)
	}
	return address.Link{Name: iface, Index: index, Addr: netip.MustParsePrefix(cidr).Addr()}
}

func (h *host) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter",
		append([]string{"-t", strconv.Itoa(h.pid), "-n", "-m", "-p", "-u", "--", name}, args...)...)
}

// sh runs a shell command on the host and returns what it prints.
func (h *host) sh(format string, args ...any) string {
	h.t.Helper()
	script := fmt.Sprintf(format, args...)
	var stderr bytes.Buffer
	cmd := h.command("sh", "-c", script)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s: %s: %v\n%s", h.name, script, err, &stderr)
	}
	return string(out)
}

// avahi starts avahi-daemon, with a system bus of its own.
func (h *host) avahi() {
	h.t.Helper()
	h.sh("mkdir -p /run/dbus && dbus-daemon --system --nopidfile --nosyslog >/dev/null 2>&1")
	h.sh("avahi-daemon -D --no-rlimits --no-chroot >/dev/null 2>&1")
	eventually(h.t, 10*time.Second, func() error {
		return h.command("avahi-browse", "-at").Run()
	})
}

// browse returns what avahi-browse on the host resolves: for each instance its host, address, port and TXT strings.
func (h *host) browse() map[string]string {
	h.t.Helper()
	seen := map[string]string{}
	for line := range strings.Lines(h.sh("timeout 8 avahi-browse -rtp _pi-agent._tcp")) {
		f := strings.Split(strings.TrimSpace(line), ";") // =;eth0;IPv4;instance;type;domain;host;address;port;txt
		if len(f) >= 10 && f[0] == "=" && f[2] == "IPv4" && f[1] != "lo" {
			seen[f[3]] = strings.Join(f[6:], " ")
		}
	}
	return seen
}

// query asks a one-shot question from the host.
func (h *host) query(link address.Link) (found []string) {
	h.t.Helper()
	js, err := json.Marshal(link)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.command(testBinary(h.t), string(js))
	cmd.Env = append(os.Environ(), roleEnv+"=query")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		h.t.Fatalf("query on %s: %v\n%s", h.name, err, &stderr)
	}
	return found
}

func testBinary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// process is a board that runs on a host.
type process struct {
	h     *host
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

func (h *host) board(serial peer.Serial, link address.Link) *process {
	h.t.Helper()
	p := &process{h: h, cmd: h.command(testBinary(h.t))}
	p.cmd.Env = append(os.Environ(), roleEnv+"=board")
	p.cmd.Stderr = &lines{t: h.t, name: h.name}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(p.stop)
	c := claimFor(serial, peer.Blank)
	p.tell(order{Link: &link, Claim: &c})
	return p
}

// tell gives an order and returns what the board knew then.
func (p *process) tell(o order) Snapshot {
	p.h.t.Helper()
	if err := json.NewEncoder(p.stdin).Encode(o); err != nil {
		p.h.t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.h.t.Fatal(err)
	}
	var s Snapshot
	if err := json.Unmarshal(line, &s); err != nil {
		p.h.t.Fatal(err)
	}
	return s
}

// openFiles counts the files that the board has open. Its command is nsenter, which waits for it.
func (p *process) openFiles() int {
	p.h.t.Helper()
	nsenter := p.cmd.Process.Pid
	child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nsenter, nsenter))
	if err != nil {
		p.h.t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%s/fd", strings.TrimSpace(string(child))))
	if err != nil {
		p.h.t.Fatal(err)
	}
	return len(files)
}

// stop ends the board as a service manager would, so that it says goodbye. A second time is harmless.
func (p *process) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		p.h.t.Errorf("board on %s: %v", p.h.name, err)
	}
}

// sees waits until the board knows exactly these hints.
func (p *process) sees(within time.Duration, want ...string) {
	p.h.t.Helper()
	started := time.Now()
	eventually(p.h.t, within, func() error {
		s := p.tell(order{})
		got := text(s.Hints)
		if got != strings.Join(want, ", ") || len(s.Duplicates) > 0 {
			return fmt.Errorf("%s sees %q, duplicates %v, want %q", p.h.name, got, s.Duplicates, want)
		}
		return nil
	})
	p.h.t.Logf("%s sees %q after %s", p.h.name, want, time.Since(started).Round(time.Millisecond))
}

func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %v", within, err)
		case <-tick.C:
		}
	}
}

// lines writes the log of a board into that of the test.
type lines struct {
	t    *testing.T
	name string
}

func (l *lines) Write(b []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, bytes.TrimSpace(b))
	return len(b), nil
}
