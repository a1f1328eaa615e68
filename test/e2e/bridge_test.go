package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/test/lab"
)

// The tests in this file give boards more interfaces than one: bridges on top of the cable, and those of other
// programs.

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
func examined(t *testing.T, pi *lab.Pi, dev string) {
	t.Helper()
	await(t, soon, func(ctx context.Context) error { // the agent may not have looked yet
		results, err := diagnosis(ctx, pi)
		if err != nil {
			return err
		}
		for _, r := range results {
			used := r.Check != "network" || strings.HasPrefix(r.Text, dev+" is used, ")
			reached := r.Check != "169.254 route" || r.Text == "169.254.0.0/16 is reached over "+dev+"."
			wrong := r.Verdict == doctor.Fail &&
				(r.Check == "network" || r.Check == "169.254 route" || r.Check == "swarm address" ||
					r.Check == "multicast" || r.Check == "agent" || r.Check == "own ports")
			if !used || !reached || wrong {
				return fmt.Errorf("the doctor of %s says %+v", pi.Name, r)
			}
		}
		return hasAddress(ctx, onPi{pi}, dev)
	})
}

// TestBridgeUnderARunningSwarm makes eth0 of the only manager a port of a bridge while the swarm runs, takes it out
// again, and does the same before a boot.
func TestBridgeUnderARunningSwarm(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"})
	leader := l.leader
	linkLocals(t, hostsOf(l.Lab))
	well := func(t *testing.T, what, dev string, change func()) {
		t.Helper()
		w := watchSwarm(t, onPi{leader}, nil)
		flushedTo(t, onPi{leader}, dev, what, func() error { change(); return nil })
		pause(t, downTime)
		w.end(t, what)
		awaitSwarm(t, atOnce, leader, l.Pis)
		examined(t, leader, dev)
		for _, worker := range l.workers {
			examined(t, worker, "eth0")
		}
	}
	well(t, "into a bridge", "br0", func() { intoBridge(t, l.Lab, leader) })
	well(t, "out of the bridge", "eth0", func() { outOfBridge(t, l.Lab, leader) })

	powerOff(t, leader)
	must(t, leader.Boot(lab.Link{NoAddr: true}))
	intoBridge(t, l.Lab, leader)
	began := time.Now()
	startAgents(t, leader)
	must(t, leader.StartEngine())
	awaitSwarm(t, notReadyMax, leader, l.Pis)
	t.Logf("after a boot with the bridge all are Ready within %v", time.Since(began).Round(time.Second))
	examined(t, leader, "br0")

	worker := l.workers[0]
	besideVPN(t, worker)
	pause(t, downTime)
	awaitSwarm(t, atOnce, leader, l.Pis)
	examined(t, worker, "eth0")
	showLogs(t, leader)
}

// TestBridgeWithoutAddress starts boards without addresses: one with eth0 in a bridge, one beside a VPN, one with
// neither.
func TestBridgeWithoutAddress(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Off: true})
	for _, pi := range l.Pis {
		must(t, pi.Boot(lab.Link{NoAddr: true}))
	}
	inPi(t, l.Pis[0], "ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up")
	besideVPN(t, l.Pis[2])
	engines(t, l)
	t.Logf("one swarm after %v", becomeOne(t, soon, l.Pis))
	linkLocals(t, hostsOf(l))
	for i, dev := range []string{"br0", "eth0", "eth0"} {
		examined(t, l.Pis[i], dev)
	}
}
