package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/test/lab"
)

// listens occupies a port, and accepts every connection without a word.
const listens = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => $ARGV[0], Proto => $ARGV[1], ` +
	`$ARGV[1] eq "tcp" ? (Listen => 5, ReuseAddr => 1) : ()) or die $!; $| = 1; print "up\n"; sleep 1 while 1;`

// occupy lets another program have a port of a Pi, such as 2377/tcp, until the returned function is called.
func occupy(t *testing.T, pi *lab.Pi, port string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	number, network, _ := strings.Cut(port, "/")
	c := pi.Command(ctx, "perl", "-e", listens, number, network)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	must(t, err)
	if n, err := out.Read(make([]byte, 3)); n == 0 {
		t.Fatalf("port %s is not free: %v", port, err)
	}
	return func() {
		cancel()
		_ = c.Wait() // "killed"
	}
}

// names waits until doctor, as root, and status say that a port is taken: doctor and the status of root by whom.
func names(t *testing.T, pi *lab.Pi, port, program string) {
	t.Helper()
	taken := "Port " + port + " is taken by "
	await(t, soon, allOf(
		tells(pi, root, "doctor", 3, taken+program+" ("),
		tells(pi, root, "status", 3, taken+program+" ("),
		tells(pi, nobody, "status", 3, taken),
	))
}

// Another program has a port that the agent or the engine needs, and had it first.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: "expect = 3"})
	leader := lowest(l.Pis)
	other := others(leader, l.Pis)[0]
	ports := []string{"2377/tcp", "2378/tcp", "7380/tcp", "5353/udp", "4789/udp"}
	var stops []func()
	for _, port := range ports {
		stops = append(stops, occupy(t, leader, port))
	}
	startAgents(t, l.Pis...)
	for _, port := range ports {
		names(t, leader, port, "perl")
	}
	inNoSwarm(t, l.Pis...)
	for _, stop := range stops {
		stop()
	}
	took := awaitSwarm(t, soon, leader, l.Pis)
	t.Logf("one swarm %v after the ports were free", took)

	// A member whose engine starts when somebody has the port of its gossip is Ready for the swarm all the same.
	must(t, other.StopEngine())
	stop := occupy(t, other, "7946/tcp")
	must(t, other.StartEngine())
	names(t, other, "7946/tcp", "perl")
	says(t, other, "Port 7946/tcp is taken by perl (")
	await(t, soon, tells(leader, root, "doctor", 3, other.Name+" (another program answers there)"))
	stop()
	await(t, soon, func(ctx context.Context) error {
		out, _, err := tell(ctx, other, nobody, "status")
		if err == nil && strings.Contains(string(out), " is taken by ") {
			err = fmt.Errorf("status still says that a port is taken:\n%s", out)
		}
		return err
	})
}

// A setting that keeps the engine out of any swarm is named, also when the engine of a member does not start because of
// it.
func TestExcludingSettingsAreNamed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 1, Config: "expect = 1"})
	pi := l.Pis[0]
	setting := func(text string) {
		t.Helper()
		must(t, pi.WriteFile("/etc/docker/daemon.json", text, 0o644))
	}
	named := func(want string) {
		t.Helper()
		says(t, pi, want)
		await(t, soon, allOf(tells(pi, root, "doctor", 3, want), tells(pi, root, "status", 3, want)))
	}
	setting(`{"cluster-store": "consul://10.77.0.254:8500", "cluster-advertise": "eth0:2376"}`)
	must(t, pi.StartEngine(), pi.StartAgent()) // that of Debian and those after 20.10 do not start
	named(`ocker has "cluster-store" or "cluster-advertise" set, which swarm mode does not support`)
	setting(`{}`)
	must(t, pi.StartEngine())
	awaitSwarm(t, soon, pi, l.Pis)
	must(t, pi.StopEngine())
	setting(`{"live-restore": true}`)
	must(t, pi.StartEngine())
	named(`ocker has "live-restore" on, which swarm mode does not support`)
}

// On a whole system the agent may not look into other programs, and learns their units from the kernel.
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
		"Port 7946/tcp is taken by consul.service, and is needed": as(nobody, "pi-agent", "status"),
		"Port 7946/tcp is taken by perl (":                        {"pi-agent", "status"},
		"7946/tcp is taken by perl (":                             {"pi-agent", "doctor"},
	}
	await(t, later, func(ctx context.Context) error {
		for want, look := range looks {
			if out, _ := m.Exec(ctx, look...); !strings.Contains(string(out), want) { // it ends with 3
				return fmt.Errorf("%v lacks %q:\n%s", look, want, out)
			}
		}
		return nil
	})
	run(t, m, "systemctl", "stop", "consul.service")
	run(t, m, "systemctl", "restart", "docker.service")
	awaitSame(t, soon, l.Machines, ids)
	await(t, soon, func(ctx context.Context) error {
		out, err := m.Exec(ctx, "pi-agent", "status")
		if err == nil && strings.Contains(string(out), " is taken by ") {
			err = fmt.Errorf("status still says that a port is taken:\n%s", out)
		}
		return err
	})
}
