package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// listens has a port and takes every connection without a word.
const listens = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => $ARGV[0], Proto => $ARGV[1], ` +
	`$ARGV[1] eq "tcp" ? (Listen => 5, ReuseAddr => 1) : ()) or die $!; $| = 1; print "up\n"; sleep 1 while 1;`

// occupy lets another program have a port of a Pi until the returned function is called.
func occupy(t *testing.T, pi *lab.Pi, port int, network string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c := pi.Command(ctx, "perl", "-e", listens, fmt.Sprint(port), network)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 3)); n == 0 {
		t.Fatalf("port %d/%s is not free: %v", port, network, err)
	}
	return func() {
		cancel()
		_ = c.Wait() // "killed"
	}
}

// names waits until doctor, as root, and status say that a port is taken: doctor and the status of root by whom.
func names(t *testing.T, pi *lab.Pi, port, program string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		for _, look := range [][]string{{root, "doctor"}, {root, "status"}, {nobody, "status"}} {
			out, status, err := tell(ctx, pi, look[0], look[1])
			if err != nil {
				return err
			}
			want := "Port " + port + " is taken by "
			if look[0] == root {
				want += program + " ("
			}
			if !strings.Contains(string(out), want) || status != 3 {
				return fmt.Errorf("%v on %s ends with %d and lacks %q:\n%s", look, pi.Name, status, want, out)
			}
		}
		return nil
	})
}

// Another program has a port that the agent or the engine needs, and had it first.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	leader := lowest(l.Pis)
	var other *lab.Pi
	for _, pi := range l.Pis {
		if pi != leader {
			other = pi
		}
	}
	var stops []func()
	for _, p := range []struct {
		port    int
		network string
	}{{2377, "tcp"}, {2378, "tcp"}, {7380, "tcp"}, {5353, "udp"}, {4789, "udp"}} {
		stops = append(stops, occupy(t, leader, p.port, p.network))
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"2377/tcp", "2378/tcp", "7380/tcp", "5353/udp", "4789/udp"} {
		names(t, leader, port, "perl")
	}
	for _, pi := range l.Pis {
		if i, err := infoOf(t.Context(), pi); err != nil || i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("%s is %s, %v", pi.Name, i.Swarm.LocalNodeState, err)
		}
	}
	for _, stop := range stops {
		stop()
	}
	took := awaitSwarm(t, time.Minute, leader, l.Pis)
	t.Logf("one swarm %v after the ports were free", took)

	// A member whose engine starts when somebody has the port of its gossip is Ready for the swarm all the same.
	if err := other.StopEngine(); err != nil {
		t.Fatal(err)
	}
	stop := occupy(t, other, 7946, "tcp")
	if err := other.StartEngine(); err != nil {
		t.Fatal(err)
	}
	names(t, other, "7946/tcp", "perl")
	says(t, other, "Port 7946/tcp is taken by perl (")
	await(t, time.Minute, func(ctx context.Context) error {
		out, _, err := tell(ctx, leader, root, "doctor")
		if want := other.Name + " (another program answers there)"; err == nil && !strings.Contains(string(out), want) {
			err = fmt.Errorf("doctor on %s does not say %q:\n%s", leader.Name, want, out)
		}
		return err
	})
	stop()
	await(t, time.Minute, func(ctx context.Context) error {
		out, _, err := tell(ctx, other, nobody, "status")
		if err == nil && strings.Contains(string(out), " is taken by ") {
			err = fmt.Errorf("status goes on:\n%s", out)
		}
		return err
	})
}

// A setting with which the engine takes part in no swarm is named, also when the engine of a member does not start for it.
func TestExcludingSettingsAreNamed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 1, Config: "expect = 1"})
	pi := l.Pis[0]
	setting := func(text string) {
		t.Helper()
		if err := pi.WriteFile("/etc/docker/daemon.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	named := func(want string) {
		t.Helper()
		says(t, pi, want)
		await(t, time.Minute, func(ctx context.Context) error {
			for _, look := range []string{"doctor", "status"} {
				if out, status, err := tell(ctx, pi, root, look); err != nil || status != 3 || !strings.Contains(string(out), want) {
					return fmt.Errorf("%v, %s ends with %d and lacks %q:\n%s", err, look, status, want, out)
				}
			}
			return nil
		})
	}
	setting(`{"cluster-store": "consul://10.77.0.254:8500", "cluster-advertise": "eth0:2376"}`)
	if err := errors.Join(pi.StartEngine(), pi.StartAgent()); err != nil { // that of Debian and those after 20.10 do not start
		t.Fatal(err)
	}
	named(`ocker has "cluster-store" or "cluster-advertise" set, which swarm mode does not support`)
	setting(`{}`)
	if err := pi.StartEngine(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, time.Minute, pi, l.Pis)
	if err := pi.StopEngine(); err != nil {
		t.Fatal(err)
	}
	setting(`{"live-restore": true}`)
	if err := pi.StartEngine(); err != nil {
		t.Fatal(err)
	}
	named(`ocker has "live-restore" on, which swarm mode does not support`)
}

// On a whole system the agent may not look at other programs, and is told their units by the kernel.
func TestTakenPortByUnit(t *testing.T) {
	t.Parallel()
	l, ids := form(t, "trixie")
	m := l.Machines[0]
	const script = `systemctl stop docker.socket docker.service
systemd-run --quiet --unit=consul perl -e "$1" 7946 tcp
until ss -Hltn sport = :7946 | grep -q 7946; do sleep 0.1; done
systemctl start docker.service`
	if out, err := m.Command(t.Context(), "sh", "-euc", script, "sh", listens).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	looks := map[string][]string{
		"Port 7946/tcp is taken by consul.service, and is needed": {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "pi-agent", "status"},
		"Port 7946/tcp is taken by perl (":                        {"pi-agent", "status"},
		"7946/tcp is taken by perl (":                             {"pi-agent", "doctor"},
	}
	await(t, 2*time.Minute, func(ctx context.Context) error {
		for want, look := range looks {
			if out, _ := m.Exec(ctx, look...); !strings.Contains(string(out), want) { // it ends with 3
				return fmt.Errorf("%v lacks %q:\n%s", look, want, out)
			}
		}
		return nil
	})
	if _, err := m.Exec(t.Context(), "systemctl", "stop", "consul.service"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Exec(t.Context(), "systemctl", "restart", "docker.service"); err != nil {
		t.Fatal(err)
	}
	awaitSame(t, time.Minute, l.Machines, ids)
	await(t, time.Minute, func(ctx context.Context) error {
		out, err := m.Exec(ctx, "pi-agent", "status")
		if err == nil && strings.Contains(string(out), " is taken by ") {
			err = fmt.Errorf("status goes on:\n%s", out)
		}
		return err
	})
}
