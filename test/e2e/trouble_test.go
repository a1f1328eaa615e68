package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// says waits until the agent has written a sentence.
func says(t *testing.T, pi *lab.Pi, sentence string) {
	t.Helper()
	await(t, 30*time.Second, func(context.Context) error {
		if !strings.Contains(pi.Log(), sentence) {
			return fmt.Errorf("%s does not say %q", pi.Name, sentence)
		}
		return nil
	})
}

// Engines that take their time to stop, for their containers do, are the nodes afterwards that they were.
func TestEngineRestarts(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	if err := errors.Join(l.LoadWeb(t.Context()), l.StartAgents()); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	for _, pi := range []*lab.Pi{l.Pis[0], leader} {
		was, err := infoOf(t.Context(), pi)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pi.Docker(t.Context(), "run", "--detach", "--stop-signal=SIGWINCH", lab.WebImage); err != nil {
			t.Fatal(err)
		}
		if err := pi.StopEngine(); err != nil {
			t.Fatal(err)
		}
		says(t, pi, "Waiting for the Docker Engine")
		if err := pi.StartEngine(); err != nil {
			t.Fatal(err)
		}
		awaitSwarm(t, time.Minute, leader, l.Pis)
		if is, err := infoOf(t.Context(), pi); err != nil || is.Swarm.NodeID != was.Swarm.NodeID {
			t.Errorf("%s is node %q, was %q, %v", pi.Name, is.Swarm.NodeID, was.Swarm.NodeID, err)
		}
	}
	for _, pi := range l.Pis {
		if !pi.Process("pi-agent").Running() {
			t.Errorf("the agent of %s has ended", pi.Name)
		}
	}
}

func TestPowerCutOfAll(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	ids := func() string {
		out, err := leader.Docker(t.Context(), "node", "ls", "--format", "{{.ID}} {{.Hostname}}")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	before := ids()
	for _, pi := range l.Pis {
		if err := pi.PowerOff(); err != nil {
			t.Fatal(err)
		}
	}
	on := time.Now()
	for _, pi := range l.Pis {
		turnOn(t, pi)
	}
	awaitSwarm(t, time.Minute, leader, l.Pis)
	took := time.Since(on)
	if after := ids(); after != before {
		t.Errorf("nodes\n%safter the power cut, before it\n%s", after, before)
	}
	repaired(t, leader, "the power of all boards is cut", "all are the nodes that they were", "This board is a manager of swarm "+swarmID(t, leader)+".", took)
}

func TestLiveRestoreIsNamed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 1, EngineArgs: []string{"--live-restore"}})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	says(t, l.Pis[0], `"live-restore" on, which swarm mode does not support: remove it from /etc/docker/daemon.json`)
}

// Docker's own choice of addresses for overlay networks takes those of this LAN, and breaks it without a word.
func TestLANWithTheAddressesOfDockersOverlays(t *testing.T) {
	t.Parallel()
	lan := netip.MustParsePrefix("10.0.0.0/24")
	l := lab.New(t, lab.Options{N: 2, Config: "expect = 2", Subnet: lan})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	out, err := leader.Docker(t.Context(), "network", "inspect", "ingress", "--format", "{{json .IPAM.Config}}")
	if err != nil {
		t.Fatal(err)
	}
	var pools []struct{ Subnet netip.Prefix }
	if err := json.Unmarshal(out, &pools); err != nil || len(pools) == 0 {
		t.Fatalf("%s: %v", out, err)
	}
	for _, p := range pools {
		if p.Subnet.Overlaps(lan) {
			t.Errorf("ingress has %v, the LAN %v", p.Subnet, lan)
		}
	}
}

func TestInterfaceMadeAnew(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	replugged, last := l.Pis[0], l.Pis[2]
	for _, pi := range l.Pis[:2] {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	says(t, replugged, "2 of 3 seen")
	if err := replugged.RecreateLink(lab.Link{}); err != nil {
		t.Fatal(err)
	}
	if err := last.StartAgent(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, time.Minute, lowest(l.Pis), l.Pis)
}

func TestTwoBoardsWithOneSerial(t *testing.T) {
	t.Parallel()
	const twin = "10000000aabbcc02"
	l := lab.New(t, lab.Options{N: 2, Serials: []string{twin, twin}, Config: `settle = "5s"`})
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for i, pi := range l.Pis {
		says(t, pi, fmt.Sprintf("Two boards have the serial %s: this one and %s", twin, l.Pis[1-i].Addr.Addr()))
	}
	pause(t, 10*time.Second) // twice settle
	for _, pi := range l.Pis {
		i, err := infoOf(t.Context(), pi)
		if err != nil {
			t.Fatal(err)
		}
		if i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("%s is %s", pi.Name, i.Swarm.LocalNodeState)
		}
	}
}

func TestClustersOfDifferentNamesDoNotMix(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 4})
	a, b := l.Pis[:2], l.Pis[2:]
	setConfig(t, a, "cluster = \"class-a\"\nexpect = 2")
	setConfig(t, b, "cluster = \"class-b\"\nexpect = 2")
	engines(t, l)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for _, pis := range [][]*lab.Pi{a, b} {
		leader := lowest(pis)
		await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, leader, pis) })
	}
}

// The clocks of all boards stand before the day when their pi-agent was made. A clock cannot be set for a virtual Pi alone, so
// that day is in the future, until a program that was made earlier stands for clocks that are right.
func TestClocksInThePast(t *testing.T) {
	t.Parallel()
	agent := filepath.Join(t.TempDir(), "pi-agent")
	made := func(on time.Time) {
		t.Helper()
		next := agent + ".next" // the old one may be running
		out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.built="+on.Format(time.DateOnly), "-o", next,
			"github.com/pi-agent/pi-agent/cmd/pi-agent").CombinedOutput()
		if err == nil {
			err = os.Rename(next, agent)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	made(time.Now().AddDate(0, 1, 0))
	l := lab.New(t, lab.Options{N: 2, Config: "settle = \"5s\"", Agent: agent})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for _, pi := range l.Pis {
		says(t, pi, "The clock of this board says ")
	}
	pause(t, 10*time.Second) // twice settle
	for _, pi := range l.Pis {
		if i, err := infoOf(t.Context(), pi); err != nil || i.Swarm.LocalNodeState != "inactive" {
			t.Errorf("%s is %s, %v", pi.Name, i.Swarm.LocalNodeState, err)
		}
	}
	made(time.Now().AddDate(0, -1, 0))
	for _, pi := range l.Pis {
		if err := errors.Join(pi.StopAgent(), pi.StartAgent()); err != nil {
			t.Fatal(err)
		}
	}
	took := awaitSwarm(t, time.Minute, lowest(l.Pis), l.Pis)
	repaired(t, l.Pis[0], "the clock stands before the day when pi-agent was made", "makes no swarm, whose certificates would be of the past",
		"when there was no such pi-agent yet: connect it to the internet, or set the clock with sudo timedatectl set-time.", took)
}
