package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// Engines that are slow to stop, because their containers are, are afterwards the nodes that they were.
func TestEngineRestarts(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"}, withWeb)
	leader := l.leader
	for _, pi := range []*lab.Pi{l.Pis[0], leader} {
		was := infoNow(t, pi)
		docker(t, pi, "run", "--detach", "--stop-signal=SIGWINCH", lab.WebImage)
		must(t, pi.StopEngine())
		says(t, pi, "Waiting for the Docker Engine")
		must(t, pi.StartEngine())
		awaitSwarm(t, soon, leader, l.Pis)
		holds(t, sameNode(pi, was))
	}
	stillRun(t, l.Pis...)
}

func TestPowerCutOfAll(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"})
	leader := l.leader
	ids := func() string { return docker(t, leader, "node", "ls", "--format", "{{.ID}} {{.Hostname}}") }
	before := ids()
	powerOff(t, l.Pis...)
	on := time.Now()
	turnOn(t, l.Pis...)
	awaitSwarm(t, soon, leader, l.Pis)
	took := time.Since(on)
	if after := ids(); after != before {
		t.Errorf("nodes\n%s\nafter the power cut, before it\n%s", after, before)
	}
	repaired(t, leader, "the power of all boards is cut", "all are the nodes that they were",
		"This board is a manager of swarm "+swarmID(t, leader)+".", took)
}

func TestLiveRestoreIsNamed(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 1, EngineArgs: []string{"--live-restore"}})
	startAgents(t, l.Pis...)
	says(t, l.Pis[0], `"live-restore" on, which swarm mode does not support: remove it from /etc/docker/daemon.json`)
}

// Docker would choose the addresses of this LAN for its overlay networks, which breaks it without a word.
func TestLANWithTheAddressesOfDockersOverlays(t *testing.T) {
	t.Parallel()
	lan := netip.MustParsePrefix("10.0.0.0/24")
	l := formed(t, lab.Options{N: 2, Config: "expect = 2", Subnet: lan})
	leader := l.leader
	out := []byte(docker(t, leader, "network", "inspect", "ingress", "--format", "{{json .IPAM.Config}}"))
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
	l := withEngines(t, lab.Options{N: 3, Config: "expect = 3"})
	replugged, last := l.Pis[0], l.Pis[2]
	startAgents(t, l.Pis[:2]...)
	says(t, replugged, "2 of 3 seen")
	must(t, replugged.RecreateLink(lab.Link{}))
	startAgents(t, last)
	awaitSwarm(t, soon, lowest(l.Pis), l.Pis)
}

func TestTwoBoardsWithOneSerial(t *testing.T) {
	t.Parallel()
	const duplicate = "10000000aabbcc02"
	l := withEngines(t, lab.Options{N: 2, Serials: []string{duplicate, duplicate}, Config: quick})
	startAgents(t, l.Pis...)
	for i, pi := range l.Pis {
		says(t, pi, fmt.Sprintf("Two boards have the serial %s: this one and %s", duplicate, l.Pis[1-i].Addr.Addr()))
	}
	pause(t, settledTime)
	inNoSwarm(t, l.Pis...)
}

func TestClustersOfDifferentNamesDoNotMix(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 4})
	a, b := l.Pis[:2], l.Pis[2:]
	setConfig(t, a, "cluster = \"class-a\"\nexpect = 2")
	setConfig(t, b, "cluster = \"class-b\"\nexpect = 2")
	engines(t, l)
	startAgents(t, l.Pis...)
	for _, pis := range [][]*lab.Pi{a, b} {
		leader := lowest(pis)
		awaitSwarm(t, soon, leader, pis)
	}
}

// The clocks of all boards stand before the day when their pi-agent was made. A clock cannot be set for a virtual Pi
// alone, so that day is in the future, until a program that was made earlier stands for clocks that are right.
func TestClocksInThePast(t *testing.T) {
	t.Parallel()
	agent := filepath.Join(t.TempDir(), "pi-agent")
	made := func(on time.Time) {
		t.Helper()
		next := agent + ".next" // the old one may be running
		out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.built="+on.Format(time.DateOnly),
			"-o", next,
			"github.com/pi-agent/pi-agent/cmd/pi-agent").CombinedOutput()
		if err == nil {
			err = os.Rename(next, agent)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	made(time.Now().AddDate(0, 1, 0))
	l := withEngines(t, lab.Options{N: 2, Config: quick, Agent: agent}, withKey(clusterkey.Generate()))
	startAgents(t, l.Pis...)
	for _, pi := range l.Pis {
		says(t, pi, "The clock of this board says ")
	}
	pause(t, settledTime)
	inNoSwarm(t, l.Pis...)
	made(time.Now().AddDate(0, -1, 0))
	restartAgents(t, l.Pis...)
	took := awaitSwarm(t, soon, lowest(l.Pis), l.Pis)
	repaired(t, l.Pis[0], "the clock stands before the day when pi-agent was made",
		"makes no swarm, whose certificates would be of the past",
		"when there was no such pi-agent yet: connect it to the internet, "+
			"or set the clock with sudo timedatectl set-time.", took)
}
