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
	"time"

	"github.com/docker/docker/api/types/system"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// newCard puts a card that was flashed anew, with the cluster's key where there is one, into a Pi and turns it on.
func newCard(t *testing.T, pi *lab.Pi, key string) {
	t.Helper()
	for _, do := range []func() error{
		pi.Reflash, pi.PowerOn,
		func() error { return pi.StartEngine() },
		func() error { return pi.WaitEngine(t.Context()) },
		func() error {
			if key == "" {
				return nil
			}
			return pi.SetKey(key)
		},
		func() error { return pi.StartAgent() },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

// A worker gets a new card: its new node has the labels and the availability that a person gave to the old one, which is
// off the list.
func TestNewCard(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2, Config: "expect = 2"})
	engines(t, l)
	key := clusterkey.Generate()
	setKey(t, key, l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader, worker := lowest(l.Pis), l.Pis[0]
	if worker == leader {
		worker = l.Pis[1]
	}
	awaitSwarm(t, time.Minute, leader, l.Pis)
	const form = `{{.Spec.Availability}} {{index .Spec.Labels "disk"}} {{index .Spec.Labels "pi.serial"}} {{.Status.State}}`
	shown := func(ctx context.Context) (string, error) {
		ids, err := leader.Docker(ctx, "node", "ls", "--quiet", "--filter", "name="+worker.Name)
		if err != nil {
			return "", err
		}
		args := append([]string{"node", "inspect", "--format", form}, strings.Fields(string(ids))...)
		out, err := leader.Docker(ctx, args...)
		return strings.TrimSpace(string(out)), err
	}
	is := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := shown(ctx)
			if err == nil && got != want {
				err = fmt.Errorf("the worker's nodes are %q, want %q", got, want)
			}
			return err
		}
	}
	if _, err := leader.Docker(t.Context(), "node", "update", "--availability=drain", "--label-add=disk=ssd", worker.Name); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, is("drain ssd "+worker.Serial+" ready"))
	was, err := infoOf(t.Context(), worker)
	if err != nil {
		t.Fatal(err)
	}
	newCard(t, worker, key)
	took := await(t, 2*time.Minute, func(ctx context.Context) error {
		if now, err := infoOf(ctx, worker); err != nil || now.Swarm.NodeID == "" || now.Swarm.NodeID == was.Swarm.NodeID {
			return fmt.Errorf("the worker is node %q, was %q, %v", now.Swarm.NodeID, was.Swarm.NodeID, err)
		}
		return is("drain ssd " + worker.Serial + " ready")(ctx)
	})
	repaired(t, leader, "a worker gets a new card", "it joins; labels and availability of the old node go to the new one, and the old one is removed",
		worker.Name+" has a new card: the node of the old one is removed from the swarm, and its labels and availability go to the new one.", took)
}

// copyCard gives a Pi what engine and agent, which are down on both, have on the card of another one.
func copyCard(t *testing.T, from, to *lab.Pi) {
	t.Helper()
	for _, dir := range []string{"/var/lib/docker/swarm", "/var/lib/pi-agent"} {
		out, err := exec.CommandContext(t.Context(), "cp", "-aT", from.Path(dir), to.Path(dir)).CombinedOutput()
		if err != nil {
			t.Fatalf("copy %s: %s, %v", dir, out, err)
		}
	}
}

// remembers waits until the agent of the Pi has its node on the card.
func remembers(t *testing.T, pi *lab.Pi, node string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		_, err := pi.Exec(ctx, "grep", "--quiet", node, "/var/lib/pi-agent/state.json")
		return err
	})
}

// The card of a worker is copied and put into another Pi, beside the original: the copy leaves, and joins under its own name.
// The original stays what it is.
func TestCopiedCard(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	leader, original, other := l.Pis[1], l.Pis[0], l.Pis[2]
	for _, pi := range []*lab.Pi{leader, original} {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	awaitSwarm(t, time.Minute, leader, []*lab.Pi{leader, original})
	was, err := infoOf(t.Context(), original)
	if err != nil {
		t.Fatal(err)
	}
	remembers(t, original, was.Swarm.NodeID)
	for _, do := range []func() error{original.StopAgent, original.StopEngine, other.StopEngine} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	copyCard(t, original, other)
	for _, pi := range []*lab.Pi{original, other} {
		if err := pi.StartEngine(); err != nil {
			t.Fatal(err)
		}
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	took := await(t, 2*time.Minute, func(ctx context.Context) error {
		now, err := infoOf(ctx, original)
		if err == nil && now.Swarm.NodeID != was.Swarm.NodeID {
			err = fmt.Errorf("the original is node %q, was %q", now.Swarm.NodeID, was.Swarm.NodeID)
		}
		if err != nil {
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
	repaired(t, other, "a card is copied, and used in another board beside the original", "the copy leaves, which the original does not notice, and joins under its own name",
		"The card of this board is a copy of that of "+serialName(original)+", which is there as well: leaving the swarm as its copy.", took)
}

// Two cards are copies of one, made before it was in a swarm: the boards form one all the same, and say what they share.
func TestSharedIDs(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2, Config: "expect = 2"})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	original, other := l.Pis[0], l.Pis[1]
	if err := other.StopEngine(); err != nil {
		t.Fatal(err)
	}
	copied := 0
	for _, path := range []string{"/etc/machine-id", "/etc/docker/key.json", "/var/lib/docker/engine-id"} {
		b, err := os.ReadFile(original.Path(path))
		if errors.Is(err, fs.ErrNotExist) { // an engine has one of the two
			continue
		}
		if err == nil {
			err = other.WriteFile(path, string(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		copied++
	}
	if copied < 2 {
		t.Fatalf("%d ids are copied", copied)
	}
	if err := errors.Join(other.StartEngine(), other.WaitEngine(t.Context()), l.StartAgents()); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	took := awaitSwarm(t, time.Minute, leader, l.Pis)
	high := original
	if high == leader {
		high = other
	}
	both := fmt.Sprintf("%s and %s are copies of one card and have the same ", serialName(leader), serialName(high))
	const remedy = "D=$(sudo docker info -f {{.DockerRootDir}}) && sudo systemctl stop docker.socket docker && sudo rm -f $D/engine-id /etc/docker/key.json && sudo systemctl start docker."
	for _, pi := range l.Pis {
		repaired(t, pi, "two boards have the same machine id", "they form one swarm, for the serial counts, and name each other with the remedy", both+
			"machine id, by which routers may give them one address. On "+serialName(high)+
			": sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot.", took)
		repaired(t, pi, "two boards have the same Docker Engine id", "they form one swarm, for the node id counts, and name each other with the remedy",
			both+"Docker Engine id. On "+serialName(high)+": "+remedy, took)
	}

	// The remedy helps, and the board stays the node that it is.
	id := func(pi *lab.Pi) string {
		t.Helper()
		out, err := pi.Docker(t.Context(), "info", "--format", "{{.ID}} {{.Swarm.NodeID}}")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	before := strings.Fields(id(high))
	if err := high.StopEngine(); err != nil {
		t.Fatal(err)
	}
	if _, err := high.Exec(t.Context(), "sh", "-ec", "rm -f /var/lib/docker/engine-id /etc/docker/key.json"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(high.StartEngine(), high.WaitEngine(t.Context())); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, leader, l.Pis) })
	if after := strings.Fields(id(high)); len(after) != 2 || after[0] == before[0] || after[1] != before[1] {
		t.Errorf("engine and node are %q, were %q", after, before)
	}
}

// The card of the only manager is copied and put into another Pi, beside the original: the copy leaves without harm to the
// swarm, and joins it under its own name.
func TestCopiedManager(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	worker, original, other := l.Pis[0], l.Pis[1], l.Pis[2]
	for _, pi := range []*lab.Pi{worker, original} {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	awaitSwarm(t, time.Minute, original, []*lab.Pi{worker, original})
	deploy(t, original, "web")
	var was []system.Info
	for _, pi := range []*lab.Pi{worker, original} {
		i, err := infoOf(t.Context(), pi)
		if err != nil {
			t.Fatal(err)
		}
		was = append(was, i)
		remembers(t, pi, i.Swarm.NodeID)
	}
	if err := errors.Join(original.StopAgent(), original.StopEngine(), other.StopEngine()); err != nil {
		t.Fatal(err)
	}
	copyCard(t, original, other)
	if err := errors.Join(original.StartEngine(), other.StartEngine(), original.StartAgent(), other.StartAgent()); err != nil {
		t.Fatal(err)
	}
	took := await(t, 2*time.Minute, func(ctx context.Context) error {
		for i, pi := range []*lab.Pi{worker, original} {
			now, err := infoOf(ctx, pi)
			if err != nil {
				return err
			}
			if now.Swarm.NodeID != was[i].Swarm.NodeID {
				return fmt.Errorf("%s is node %q, was %q", pi.Name, now.Swarm.NodeID, was[i].Swarm.NodeID)
			}
		}
		return oneSwarm(ctx, original, l.Pis)
	})
	if out, err := original.Docker(t.Context(), "service", "ls", "--format={{.Name}}"); err != nil || strings.TrimSpace(string(out)) != "web" {
		t.Errorf("services are %q, %v", out, err)
	}
	repaired(t, other, "the card of the only manager is copied, and used in another board beside the original",
		"the copy leaves its copy of the swarm, which the original does not notice, and joins under its own name",
		"The card of this board is a copy of that of "+serialName(original)+", which is there as well: leaving the swarm as its copy.", took)
}

// The board of the only manager breaks, and its card goes into another Pi, which goes on with the swarm at the address by
// which the worker knows it.
func TestMovedManager(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	worker, broken, other := l.Pis[0], l.Pis[1], l.Pis[2]
	for _, pi := range []*lab.Pi{worker, broken} {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	awaitSwarm(t, time.Minute, broken, []*lab.Pi{worker, broken})
	deploy(t, broken, "web")
	was, err := infoOf(t.Context(), broken)
	if err != nil {
		t.Fatal(err)
	}
	remembers(t, broken, was.Swarm.NodeID)
	if err := errors.Join(broken.StopAgent(), broken.StopEngine(), other.StopEngine()); err != nil {
		t.Fatal(err)
	}
	copyCard(t, broken, other)
	if err := errors.Join(broken.PowerOff(), other.StartAgent(), other.StartEngine()); err != nil {
		t.Fatal(err)
	}
	took := await(t, 3*time.Minute, func(ctx context.Context) error {
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
	if out, err := other.Docker(t.Context(), "service", "ls", "--format={{.Name}}"); err != nil || strings.TrimSpace(string(out)) != "web" {
		t.Errorf("services are %q, %v", out, err)
	}
	repaired(t, other, "the board of the only manager breaks, and its card goes into another one",
		"goes on with the swarm, at the address by which the workers know their manager", "This board is a manager of swarm ", took)
}
