package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file give boards more interfaces than one: bridges on top of the cable, and those of other programs.

// inPi runs a script in a Pi.
func inPi(t *testing.T, pi *lab.Pi, script string) {
	t.Helper()
	if out, err := pi.Command(t.Context(), "bash", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %s: %v: %s", pi.Name, script, err, out)
	}
}

// intoBridge makes eth0 a port of br0, which gets its address and the default route.
func intoBridge(t *testing.T, l *lab.Lab, pi *lab.Pi) {
	t.Helper()
	inPi(t, pi, fmt.Sprintf(`ip link add br0 type bridge
		ip addr flush dev eth0
		ip link set eth0 master br0
		ip link set br0 up
		ip addr add %s brd + dev br0
		ip route add default via %s dev br0`, pi.Addr, l.Gateway()))
}

// outOfBridge undoes intoBridge.
func outOfBridge(t *testing.T, l *lab.Lab, pi *lab.Pi) {
	t.Helper()
	inPi(t, pi, fmt.Sprintf(`ip link del br0
		ip addr add %s brd + dev eth0
		ip route add default via %s dev eth0`, pi.Addr, l.Gateway()))
}

// besideVPN gives a Pi the interface of a VPN, over which its default route goes from then on.
func besideVPN(t *testing.T, pi *lab.Pi) {
	t.Helper()
	inPi(t, pi, `ip link add zt7abcdef type veth peer name vethzt
		ip link set vethzt up
		ip link set zt7abcdef up
		ip addr add 10.147.17.5/24 dev zt7abcdef
		ip route replace default via 10.147.17.1 dev zt7abcdef`)
}

// examined checks what the doctor says of a Pi's network: that interface is used, and nothing about it is wrong.
func examined(t *testing.T, l *lab.Lab, pi *lab.Pi, dev string) {
	t.Helper()
	path, err := l.AgentPath()
	if err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error { // the agent may not have looked yet
		out, err := pi.Exec(ctx, path, "doctor", "-json")
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			return err
		}
		var told struct{ Results []doctor.Result }
		if err := json.Unmarshal(out, &told); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		for _, r := range told.Results {
			used := r.Check != "network" || strings.HasPrefix(r.Text, dev+" is used, ")
			reached := r.Check != "169.254 route" || r.Text == "169.254.0.0/16 is reached over "+dev+"."
			wrong := r.Verdict == doctor.Fail && (r.Check == "network" || r.Check == "169.254 route" || r.Check == "swarm address" ||
				r.Check == "multicast" || r.Check == "agent" || r.Check == "own ports")
			if !used || !reached || wrong {
				return fmt.Errorf("the doctor of %s says %+v", pi.Name, r)
			}
		}
		return hasAddress(ctx, onPi{pi}, dev)
	})
}

// TestBridgeUnderARunningSwarm makes eth0 of the only manager a port of a bridge while the swarm runs, takes it out again,
// and does the same before a boot.
func TestBridgeUnderARunningSwarm(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	linkLocals(t, hostsOf(l))
	well := func(t *testing.T, what, dev string, change func()) {
		t.Helper()
		w := watchSwarm(t, onPi{leader}, nil)
		flushedTo(t, onPi{leader}, dev, what, func() error { change(); return nil })
		pause(t, 25*time.Second) // a worker that does not reach its manager would be Down by now
		w.end(t, what)
		awaitSwarm(t, 5*time.Second, leader, l.Pis)
		for _, pi := range l.Pis {
			if pi == leader {
				examined(t, l, pi, dev)
			} else {
				examined(t, l, pi, "eth0")
			}
		}
	}
	well(t, "into a bridge", "br0", func() { intoBridge(t, l, leader) })
	well(t, "out of the bridge", "eth0", func() { outOfBridge(t, l, leader) })

	if err := leader.PowerOff(); err != nil {
		t.Fatal(err)
	}
	if err := leader.Boot(lab.Link{NoAddr: true}); err != nil {
		t.Fatal(err)
	}
	intoBridge(t, l, leader)
	began := time.Now()
	if err := leader.StartAgent(); err != nil {
		t.Fatal(err)
	}
	if err := leader.StartEngine(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, notReadyMax, leader, l.Pis)
	t.Logf("after a boot with the bridge all are Ready within %v", time.Since(began).Round(time.Second))
	examined(t, l, leader, "br0")

	worker := l.Pis[0]
	if worker == leader {
		worker = l.Pis[1]
	}
	besideVPN(t, worker)
	pause(t, 20*time.Second)
	awaitSwarm(t, 5*time.Second, leader, l.Pis)
	examined(t, l, worker, "eth0")
	t.Logf("%s:\n%s", leader.Name, leader.Log())
}

// TestBridgeWithoutAddress starts boards without addresses: one with eth0 in a bridge, one beside a VPN, one with neither.
func TestBridgeWithoutAddress(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Off: true})
	for _, pi := range l.Pis {
		if err := pi.Boot(lab.Link{NoAddr: true}); err != nil {
			t.Fatal(err)
		}
	}
	inPi(t, l.Pis[0], "ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up")
	besideVPN(t, l.Pis[2])
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	t.Logf("one swarm after %v", awaitSwarm(t, time.Minute, lowest(l.Pis), l.Pis))
	linkLocals(t, hostsOf(l))
	for i, dev := range []string{"br0", "eth0", "eth0"} {
		examined(t, l, l.Pis[i], dev)
	}
}
