package lab_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// reach tells whether the LAN's gateway can open a connection to the Pi's usual address, within the time it has for
// that.
func reach(t *testing.T, l *lab.Lab, p *lab.Pi, patience time.Duration) error {
	t.Helper()
	var listener net.Listener
	err := p.Enter(func() (err error) {
		listener, err = net.Listen("tcp4", ":7")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return l.InLAN(func() error {
		conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(p.Addr.Addr(), 7).String(), patience)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, p *lab.Pi, argv ...string) string {
	t.Helper()
	out, err := p.Exec(t.Context(), argv...)
	must(t, err)
	return strings.TrimSpace(string(out))
}

func TestLinks(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	p, other := l.Pis[0], l.Pis[1]
	check := func(what string, want bool) {
		t.Helper()
		patience := 300 * time.Millisecond
		if want { // a first packet may be lost while the bridge learns, and comes again after 1 s
			patience = 5 * time.Second
		}
		if err := reach(t, l, p, patience); (err == nil) != want {
			t.Errorf("%s: reaching %s gives %v, want success %v", what, p.Name, err, want)
		}
	}
	check("after boot", true)
	must(t, p.Cut())
	check("cut", false)
	if state := run(t, p, "cat", "/sys/class/net/eth0/operstate"); state != "up" {
		t.Errorf("cut: eth0 is %s, want up", state)
	}
	must(t, p.Mend())
	check("mended", true)
	must(t, p.Unplug())
	check("unplugged", false)
	if state := run(t, p, "cat", "/sys/class/net/eth0/operstate"); state == "up" {
		t.Errorf("unplugged: eth0 is still up")
	}
	must(t, p.Mend())
	check("plugged again", true)
	must(t, l.Partition(p, other))
	check("partitioned", false)
	must(t, p.Mend())
	check("united", true)
	must(t, p.LinkDown())
	check("link down", false)
	must(t, p.LinkUp())
	check("link up", true)
	must(t, p.DelAddr(p.Addr))
	check("address gone", false)
	must(t, p.SetAddr(p.Addr))
	check("address back", true)
	must(t, p.DefaultRoute(true))
	must(t, p.DefaultRoute(true))
	must(t, p.DefaultRoute(false))
	if r := run(t, p, "ip", "route", "show", "default"); r != "" {
		t.Errorf("default route is %q, want none", r)
	}
	before := run(t, p, "cat", "/sys/class/net/eth0/ifindex")
	must(t, p.RecreateLink(lab.Link{}))
	check("link made anew", true)
	if after := run(t, p, "cat", "/sys/class/net/eth0/ifindex"); after == before {
		t.Errorf("the new link has the index of the old one, %s", after)
	}
	must(t, p.RecreateLink(lab.Link{NoRoute: true}))
	if r := run(t, p, "ip", "-4", "route"); strings.Contains(r, "default") || !strings.Contains(r, "eth0") {
		t.Errorf("without default route: routes are %q", r)
	}
	must(t, p.RecreateLink(lab.Link{NoAddr: true}))
	check("without address", false)
	must(t, p.RecreateLink(lab.Link{Down: true}))
	if state := run(t, p, "cat", "/sys/class/net/eth0/operstate"); state != "down" {
		t.Errorf("eth0 is %s, want down", state)
	}
}

func TestDiskOutlivesPower(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2, Serials: []string{"00000000f0a1b2c3"}, Config: `cluster = "test"`})
	p := l.Pis[0]
	config := "serial = \"00000000f0a1b2c3\"\ncluster = \"test\""
	if got := run(t, p, "cat", "/etc/pi-agent/pi-agent.toml"); got != config {
		t.Errorf("config is %q, want %q", got, config)
	}
	must(t, p.SetConfig("expect = 2"))
	must(t, p.WriteFile("/var/lib/pi-agent/state.json", "{}", 0o600))
	must(t, p.WriteFile("/run/pi-agent/agent.sock", "", 0o600))
	if _, err := os.Stat(p.Path("/var/lib/pi-agent/state.json")); err != nil {
		t.Error(err)
	}
	must(t, p.PowerOff())
	if _, err := p.Exec(t.Context(), "true"); err == nil || p.On() {
		t.Error("a Pi without power runs programs")
	}
	must(t, p.PowerOn())
	if got := run(t, p, "tail", "-n1", "/etc/pi-agent/pi-agent.toml"); got != "expect = 2" {
		t.Errorf("after a power cut the config ends in %q", got)
	}
	run(t, p, "test", "-f", "/var/lib/pi-agent/state.json")
	run(t, p, "test", "!", "-e", "/run/pi-agent")
	if name := run(t, p, "cat", "/etc/hostname"); name != "pi1" || run(t, p, "hostname") != name {
		t.Errorf("hostname is %q", name)
	}
	if a, b := run(t, p, "cat", "/etc/machine-id"), run(t, l.Pis[1], "cat", "/etc/machine-id"); a == b || len(a) != 32 {
		t.Errorf("machine ids are %q and %q", a, b)
	}

	must(t, p.Reflash())
	must(t, p.PowerOn())
	run(t, p, "test", "!", "-e", "/var/lib/pi-agent/state.json")
	if got := run(t, p, "cat", "/etc/pi-agent/pi-agent.toml"); got != config {
		t.Errorf("config on the new card is %q, want %q", got, config)
	}
	must(t, reach(t, l, p, 5*time.Second))
	for _, path := range []string{"/etc/pi-agent", "/var/lib/pi-agent", "/boot/firmware"} {
		b, _ := os.ReadFile(filepath.Join(path, "pi-agent.toml")) // most machines have none
		if strings.Contains(string(b), "f0a1b2c3") {
			t.Errorf("the lab has written to the machine's own %s", path)
		}
	}
}

// agent stands in for pi-agent: it says what it was started with and how it ends.
const agent = `#!/bin/sh
echo "$(hostname) runs $*"
trap 'echo stopped; exit 0' TERM
while :; do sleep 0.1; done
`

func TestAgent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent")
	must(t, os.WriteFile(path, []byte(agent), 0o755))
	l := lab.New(t, lab.Options{N: 2, Agent: path})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, l.StartAgents("--debug"))
	for _, p := range l.Pis {
		must(t, p.WaitLog(ctx, "pi-agent", p.Name+" runs run --config /etc/pi-agent/pi-agent.toml --debug\n"))
	}
	p := l.Pis[0]
	if err := p.StartAgent(); err == nil {
		t.Error("a second agent could be started")
	}
	must(t, p.StopAgent())
	if !strings.HasSuffix(p.Log(), "stopped\n") {
		t.Errorf("after SIGTERM the log is %q", p.Log())
	}
	must(t, p.StartAgent())
	must(t, p.KillAgent())
	if running := p.Running(); len(running) > 0 {
		t.Errorf("%v run on after SIGKILL", running)
	}
	must(t, l.Pis[1].PowerOff())
	if strings.Contains(l.Pis[1].Log(), "stopped") {
		t.Error("the power cut let the agent say goodbye")
	}
}

func TestAvahiSeesAvahi(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, p := range l.Pis {
		must(t, p.StartAvahi(ctx))
	}
	_, err := l.Pis[0].Start("publish", "avahi-publish", "-s", "probe", "_pi-agent._tcp", "2378")
	must(t, err)
	must(t, l.Pis[0].WaitLog(ctx, "publish", "Established"))
	if out := run(t, l.Pis[1], "avahi-browse", "-rtp", "_pi-agent._tcp"); !strings.Contains(out, "10.77.0.11") {
		t.Errorf("pi2 sees %q", out)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2})
	p, off := l.Pis[0], l.Pis[1]
	const secret, other = "Rumpelstilzchen", "rumpelstilzCHEN"
	for path, text := range map[string]string{
		"/etc/pi-agent/word": secret, "/var/lib/pi-agent/state.json": "x" + other + "x", "/run/pi-agent/started": secret,
		"/var/lib/docker/swarm/state": secret, "/etc/pi-agent/pi-agent.toml": "none",
	} {
		must(t, p.WriteFile(path, text, 0o600))
	}
	must(t, off.WriteFile("/boot/firmware/pi-agent.key", secret, 0o600))
	must(t, off.PowerOff())
	must(t, p.Enter(func() error {
		conn, err := net.Dial("udp4", "10.77.0.254:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(secret))
		return err
	}))
	want := []string{
		l.CapturePath(),
		p.Path("/run/pi-agent/started"),
		filepath.Join(p.Dir, "disk/etc/upper/pi-agent/word"),
		filepath.Join(p.Dir, "disk/var-lib/upper/pi-agent/state.json"),
		filepath.Join(off.Dir, "disk/boot/upper/firmware/pi-agent.key"),
	}
	slices.Sort(want)
	lab.Await(t, 10*time.Second, func(context.Context) error { // the capture is a little late
		got, err := l.Find(secret)
		must(t, err)
		if !slices.Equal(got, want) {
			return fmt.Errorf("found in %v, want %v", got, want)
		}
		return nil
	})
}

// Whatever a test does, the lab looks for what must not be there.
func TestExposed(t *testing.T) {
	t.Parallel()
	lab.Need(t)
	l, err := lab.Start(lab.Options{N: 1})
	must(t, err)
	defer func() { must(t, l.Close()) }()
	p := l.Pis[0]
	const key, old = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP", "four red raspberries"
	must(t, p.SetKey(old))
	must(t, p.SetKey(key))
	must(t, p.WriteFile("/boot/firmware/pi-agent.key", key, 0o644))
	exposed, err := l.Exposed()
	must(t, err)
	if len(exposed) > 0 {
		t.Errorf("in the files for it a key is exposed: %q", exposed)
	}
	for path, text := range map[string]string{
		"/var/lib/pi-agent/state.json": `{"key":"` + strings.ToLower(strings.ReplaceAll(key, "-", "")) + `"}`,
		"/run/pi-agent/status":         "SWMTKN-1-abc",
		"/etc/pi-agent/key.bak":        old,
		"/var/lib/docker/swarm/state":  "SWMTKN-1-abc",
	} {
		must(t, p.WriteFile(path, text, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(p.Dir, "log/pi-agent.log"), []byte("joins with SWMTKN-1-abc"), 0o644))
	exposed, err = l.Exposed()
	must(t, err)
	for _, path := range []string{"state.json", "status", "key.bak", "pi-agent.log"} {
		if !slices.ContainsFunc(exposed, func(is string) bool { return strings.HasSuffix(is, path) }) {
			t.Errorf("%s is not among %q", path, exposed)
		}
	}
	if len(exposed) != 4 {
		t.Errorf("exposed is %q", exposed)
	}
}
