package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// A worker gets a new card: its new node gets the labels and the availability that a person gave to the old one, which
// is removed.
func TestNewCard(t *testing.T) {
	t.Parallel()
	key := clusterkey.Generate()
	l := formed(t, lab.Options{N: 2, Config: "expect = 2"}, withKey(key))
	leader, worker := l.leader, l.workers[0]
	const form = `{{.Spec.Availability}} {{index .Spec.Labels "disk"}} {{index .Spec.Labels "pi.serial"}} ` +
		`{{.Status.State}}`
	drained := func(ctx context.Context) error {
		ids, err := leader.Docker(ctx, "node", "ls", "--quiet", "--filter", "name="+worker.Name)
		if err != nil {
			return err
		}
		out, err := leader.Docker(ctx,
			append([]string{"node", "inspect", "--format", form}, strings.Fields(string(ids))...)...)
		want := "drain ssd " + worker.Serial + " ready"
		if got := strings.TrimSpace(string(out)); err == nil && got != want {
			err = fmt.Errorf("the worker's nodes are %q, want %q", got, want)
		}
		return err
	}
	docker(t, leader, "node", "update", "--availability=drain", "--label-add=disk=ssd", worker.Name)
	await(t, soon, drained)
	was := infoNow(t, worker)
	newCard(t, worker, key)
	took := await(t, later, allOf(newNode(worker, was), drained))
	repaired(t, leader, "a worker gets a new card",
		"it joins; labels and availability of the old node go to the new one, and the old one is removed",
		worker.Name+" has a new card: the node of the old one is removed from the swarm, "+
			"and its labels and availability go to the new one.", took)
}

// copyCard gives a Pi what the engine and the agent of another one have on its card. They are down on both.
func copyCard(t *testing.T, from, to *lab.Pi) {
	t.Helper()
	for _, dir := range []string{"/var/lib/docker/swarm", "/var/lib/pi-agent"} {
		out, err := exec.CommandContext(t.Context(), "cp", "-aT", from.Path(dir), to.Path(dir)).CombinedOutput()
		if err != nil {
			t.Fatalf("copy %s: %s, %v", dir, out, err)
		}
	}
}

// onlyWeb fails the test unless the swarm has the service web, and no other.
func onlyWeb(t *testing.T, manager *lab.Pi) {
	t.Helper()
	if names := docker(t, manager, "service", "ls", "--format={{.Name}}"); names != "web" {
		t.Errorf("services are %q", names)
	}
}

// The card of a worker is copied and put into another Pi, beside the original: the copy leaves, and joins under its own
// name. The original stays what it is.
func TestCopiedCard(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: quick}, withKey(clusterkey.Generate()))
	leader, original, other := l.Pis[1], l.Pis[0], l.Pis[2]
	becomeOne(t, soon, []*lab.Pi{leader, original})
	was := infoNow(t, original)
	remembers(t, original, was.Swarm.NodeID)
	must(t, original.StopAgent(), original.StopEngine(), other.StopEngine())
	copyCard(t, original, other)
	must(t, original.StartEngine(), other.StartEngine())
	startAgents(t, original, other)
	took := await(t, later, func(ctx context.Context) error {
		if err := sameNode(original, was)(ctx); err != nil {
			return err
		}
		copied, err := infoOf(ctx, other)
		if err != nil {
			return err
		}
		// By id: if the copy was the last to greet the manager, the original's node has the copy's name until the original's
		// engine greets it again.
		out, err := leader.Docker(ctx, "node", "ls", "--format={{.ID}} {{.Status}}")
		if err != nil {
			return err
		}
		nodes := strings.Split(strings.TrimSpace(string(out)), "\n")
		for _, id := range []string{was.Swarm.NodeID, copied.Swarm.NodeID} {
			if !slices.Contains(nodes, id+" Ready") || len(nodes) != 3 || copied.Swarm.NodeID == was.Swarm.NodeID {
				return fmt.Errorf("%s is not ready, or not one of three: %q", id, nodes)
			}
		}
		return nil
	})
	repaired(t, other, "a card is copied, and used in another board beside the original",
		"the copy leaves, which the original does not notice, and joins under its own name",
		"The card of this board is a copy of that of "+serialName(original)+
			", which is there as well: leaving the swarm as its copy.", took)
}

// Two cards are copies of one, made before it was in a swarm: the boards form one all the same, and say what they
// share.
func TestSharedIDs(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 2, Config: "expect = 2"}, withKey(clusterkey.Generate()))
	original, other := l.Pis[0], l.Pis[1]
	must(t, other.StopEngine())
	copied := 0
	for _, path := range []string{"/etc/machine-id", "/etc/docker/key.json", "/var/lib/docker/engine-id"} {
		b, err := os.ReadFile(original.Path(path))
		if errors.Is(err, fs.ErrNotExist) { // an engine has one of the two
			continue
		}
		if err == nil {
			err = other.WriteFile(path, string(b), 0o600)
		}
		must(t, err)
		copied++
	}
	if copied < 2 {
		t.Fatalf("%d ids are copied, want 2 at least", copied)
	}
	must(t, other.StartEngine())
	awaitEngine(t, other)
	took := becomeOne(t, soon, l.Pis)
	leader := lowest(l.Pis)
	high := others(leader, l.Pis)[0]
	both := fmt.Sprintf("%s and %s are copies of one card and have the same ", serialName(leader), serialName(high))
	const remedy = "D=$(sudo docker info -f {{.DockerRootDir}}) && sudo systemctl stop docker.socket docker && " +
		"sudo rm -f $D/engine-id /etc/docker/key.json && sudo systemctl start docker."
	for _, pi := range l.Pis {
		repaired(t, pi, "two boards have the same machine id",
			"they form one swarm, for the serial counts, and name each other with the remedy",
			both+"machine id, by which routers may give them one address. On "+serialName(high)+
				": sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot.", took)
		repaired(t, pi, "two boards have the same Docker Engine id",
			"they form one swarm, for the node id counts, and name each other with the remedy",
			both+"Docker Engine id. On "+serialName(high)+": "+remedy, took)
	}

	// The remedy helps, and the board stays the node that it is.
	before := infoNow(t, high)
	restartEngine(t, high, func() { run(t, high, "rm", "-f", "/var/lib/docker/engine-id", "/etc/docker/key.json") })
	awaitSwarm(t, soon, leader, l.Pis)
	if after := infoNow(t, high); after.ID == before.ID || after.Swarm.NodeID != before.Swarm.NodeID {
		t.Errorf("engine and node are %q and %q, were %q and %q", after.ID, after.Swarm.NodeID, before.ID,
			before.Swarm.NodeID)
	}
}

// The card of the only manager is copied and put into another Pi, beside the original: the copy leaves without harm to
// the swarm, and joins it under its own name.
func TestCopiedManager(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: quick}, withKey(clusterkey.Generate()))
	worker, original, other := l.Pis[0], l.Pis[1], l.Pis[2]
	becomeOne(t, soon, []*lab.Pi{worker, original})
	deploy(t, original, "web")
	were := [...]system.Info{infoNow(t, worker), infoNow(t, original)}
	remembers(t, worker, were[0].Swarm.NodeID)
	remembers(t, original, were[1].Swarm.NodeID)
	must(t, original.StopAgent(), original.StopEngine(), other.StopEngine())
	copyCard(t, original, other)
	must(t, original.StartEngine(), other.StartEngine(), original.StartAgent(), other.StartAgent())
	took := await(t, later, allOf(sameNode(worker, were[0]), sameNode(original, were[1]), oneSwarm(original, l.Pis)))
	onlyWeb(t, original)
	repaired(t, other, "the card of the only manager is copied, and used in another board beside the original",
		"the copy leaves its copy of the swarm, which the original does not notice, and joins under its own name",
		"The card of this board is a copy of that of "+serialName(original)+
			", which is there as well: leaving the swarm as its copy.", took)
}

// The board of the only manager breaks, and its card goes into another Pi, which goes on with the swarm at the address
// by which the worker knows it.
func TestMovedManager(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: quick}, withKey(clusterkey.Generate()))
	worker, broken, other := l.Pis[0], l.Pis[1], l.Pis[2]
	becomeOne(t, soon, []*lab.Pi{worker, broken})
	deploy(t, broken, "web")
	was := infoNow(t, broken)
	remembers(t, broken, was.Swarm.NodeID)
	must(t, broken.StopAgent(), broken.StopEngine(), other.StopEngine())
	copyCard(t, broken, other)
	must(t, broken.PowerOff(), other.StartAgent(), other.StartEngine())
	took := await(t, atLast, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, other)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if len(nodes) != 2 || n.Status != "Ready" || (n.ID == was.Swarm.NodeID) != (n.ManagerStatus == "Leader") {
				return fmt.Errorf("nodes are %+v", nodes)
			}
		}
		return nil
	})
	onlyWeb(t, other)
	repaired(t, other, "the board of the only manager breaks, and its card goes into another one",
		"goes on with the swarm, at the address by which the workers know their manager",
		"This board is a manager of swarm ", took)
}
