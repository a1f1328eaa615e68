// Package e2e runs the real agent on virtual Pis with real Docker Engines.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/test/lab"
)

// node is a line of docker node ls.
type node struct {
	ID            string
	Hostname      string
	Status        string // Ready, Down or Unknown
	ManagerStatus string // Leader, Reachable or Unreachable; empty for a worker
}

// check is a condition for which a test waits: nil when it holds, otherwise what is seen instead.
type check = func(context.Context) error

// allOf holds when all of these conditions do, which are looked at in this order.
func allOf(checks ...check) check {
	return func(ctx context.Context) error {
		for _, holds := range checks {
			if err := holds(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// holds fails the test unless these conditions hold now.
func holds(t *testing.T, checks ...check) {
	t.Helper()
	for _, holds := range checks {
		if err := holds(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// engine is what runs docker commands, and is looked at through its API: a Pi or a whole machine.
type engine interface {
	Docker(ctx context.Context, args ...string) ([]byte, error)
	Exec(ctx context.Context, argv ...string) ([]byte, error)
	API() (*client.Client, error)
}

// infoOf is docker info.
func infoOf(ctx context.Context, e engine) (system.Info, error) {
	c, err := e.API()
	if err != nil {
		return system.Info{}, err
	}
	return c.Info(ctx)
}

// infoNow is infoOf for an engine that must answer.
func infoNow(t *testing.T, e engine) system.Info {
	t.Helper()
	i, err := infoOf(t.Context(), e)
	must(t, err)
	return i
}

// inSwarm holds when the engine of a Pi is a node of a swarm.
func inSwarm(pi *lab.Pi) check {
	return func(ctx context.Context) error {
		i, err := infoOf(ctx, pi)
		if err == nil && i.Swarm.LocalNodeState != swarm.LocalNodeStateActive {
			err = fmt.Errorf("%s is %s", pi.Name, i.Swarm.LocalNodeState)
		}
		return err
	}
}

// inNoSwarm fails the test when one of these Pis is a node of a swarm.
func inNoSwarm(t *testing.T, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if i, err := infoOf(t.Context(), pi); err != nil || i.Swarm.LocalNodeState != swarm.LocalNodeStateInactive {
			t.Errorf("%s is %s, %v", pi.Name, i.Swarm.LocalNodeState, err)
		}
	}
}

// nodesOf is docker node ls.
func nodesOf(ctx context.Context, manager engine) ([]node, error) {
	c, err := manager.API()
	if err != nil {
		return nil, err
	}
	list, err := c.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, err
	}
	title := func(state string) string {
		return strings.ToUpper(state[:min(1, len(state))]) + state[min(1, len(state)):]
	}
	var nodes []node
	for _, n := range list {
		is := node{ID: n.ID, Hostname: n.Description.Hostname, Status: title(string(n.Status.State))}
		if m := n.ManagerStatus; m != nil && m.Leader {
			is.ManagerStatus = "Leader"
		} else if m != nil {
			is.ManagerStatus = title(string(m.Reachability))
		}
		nodes = append(nodes, is)
	}
	return nodes, nil
}

// oneSwarm holds when these Pis, and nothing else, are the nodes of one swarm, all ready and led by leader.
func oneSwarm(leader *lab.Pi, pis []*lab.Pi) check {
	return func(ctx context.Context) error {
		infos, err := infosOf(ctx, pis)
		if err != nil {
			return err
		}
		return areOneSwarm(ctx, leader, infos)
	}
}

// sameNode holds when the engine of a Pi is the node that it was.
func sameNode(pi *lab.Pi, was system.Info) check {
	return func(ctx context.Context) error {
		now, err := infoOf(ctx, pi)
		if err == nil && now.Swarm.NodeID != was.Swarm.NodeID {
			err = fmt.Errorf("%s is node %q, was %q", pi.Name, now.Swarm.NodeID, was.Swarm.NodeID)
		}
		return err
	}
}

// newNode holds when the engine of a Pi is a node of a swarm, and not the node that it was.
func newNode(pi *lab.Pi, was system.Info) check {
	return func(ctx context.Context) error {
		now, err := infoOf(ctx, pi)
		if err == nil && (now.Swarm.LocalNodeState != swarm.LocalNodeStateActive || now.Swarm.NodeID == was.Swarm.NodeID) {
			err = fmt.Errorf("%s is %s as node %q, was %q", pi.Name, now.Swarm.LocalNodeState, now.Swarm.NodeID,
				was.Swarm.NodeID)
		}
		return err
	}
}

// isWorker holds when the engine of a Pi is a node of a swarm, and does not manage it.
func isWorker(pi *lab.Pi) check {
	return func(ctx context.Context) error {
		i, err := infoOf(ctx, pi)
		if err == nil && (i.Swarm.LocalNodeState != swarm.LocalNodeStateActive || i.Swarm.ControlAvailable) {
			err = fmt.Errorf("%s is %s, manager %v", pi.Name, i.Swarm.LocalNodeState, i.Swarm.ControlAvailable)
		}
		return err
	}
}

// infosOf is infoOf for all that answer, and the errors of the others.
func infosOf(ctx context.Context, pis []*lab.Pi) (infos map[*lab.Pi]system.Info, errs error) {
	infos = map[*lab.Pi]system.Info{}
	for _, pi := range pis {
		i, err := infoOf(ctx, pi)
		if err == nil {
			infos[pi] = i
		}
		errs = errors.Join(errs, err)
	}
	return infos, errs
}

func areOneSwarm(ctx context.Context, leader *lab.Pi, infos map[*lab.Pi]system.Info) error {
	var want, got []string
	for pi, i := range infos {
		if i.Swarm.LocalNodeState != "active" || i.Swarm.ControlAvailable != (pi == leader) {
			return fmt.Errorf("%s is %s, manager %v", pi.Name, i.Swarm.LocalNodeState, i.Swarm.ControlAvailable)
		}
		want = append(want, i.Swarm.NodeID+" "+pi.Name+" Ready")
	}
	nodes, err := nodesOf(ctx, leader)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		got = append(got, n.ID+" "+n.Hostname+" "+n.Status)
		if (n.ManagerStatus == "Leader") != (n.Hostname == leader.Name) {
			return fmt.Errorf("%s has manager status %q", n.Hostname, n.ManagerStatus)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("nodes\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return nil
}

// neverTwo fails the test when two Pis manage different swarms. An agent that mends this later would pass a check that
// is made at the end.
func neverTwo(t *testing.T, infos map[*lab.Pi]system.Info) {
	t.Helper()
	swarms := map[string]string{}
	for pi, i := range infos {
		if i.Swarm.Cluster != nil && i.Swarm.Cluster.ID != "" {
			swarms[i.Swarm.Cluster.ID] = pi.Name
		}
	}
	if len(swarms) > 1 {
		t.Fatalf("two swarms: %v", swarms)
	}
}

// awaitSwarm waits until oneSwarm holds and returns how long that took.
func awaitSwarm(t *testing.T, limit time.Duration, leader *lab.Pi, pis []*lab.Pi) time.Duration {
	t.Helper()
	return await(t, limit, func(ctx context.Context) error {
		infos, err := infosOf(ctx, pis)
		neverTwo(t, infos)
		if err != nil {
			return err
		}
		return areOneSwarm(ctx, leader, infos)
	})
}

// limited is the context of the test, with a time limit.
func limited(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// managed holds when these Pis are the managers of one swarm, all of them reachable, and one leads.
func managed(pis ...*lab.Pi) check {
	return func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, pis[0])
		if err != nil {
			return err
		}
		var want, got []string
		leaders := 0
		for _, pi := range pis {
			want = append(want, pi.Name)
		}
		for _, n := range nodes {
			switch n.ManagerStatus {
			case "Leader":
				leaders++
				got = append(got, n.Hostname)
			case "Reachable":
				got = append(got, n.Hostname)
			case "":
			default:
				return fmt.Errorf("%s is %s", n.Hostname, n.ManagerStatus)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) || leaders != 1 {
			return fmt.Errorf("managers are %v, want %v; %d lead", got, want, leaders)
		}
		return nil
	}
}

// managersAmong are those of these Pis whose engines manage a swarm.
func managersAmong(ctx context.Context, pis []*lab.Pi) (managers []*lab.Pi) {
	for _, pi := range pis {
		if i, err := infoOf(ctx, pi); err == nil && i.Swarm.ControlAvailable {
			managers = append(managers, pi)
		}
	}
	return managers
}

// writable holds when the swarm can be changed from this Pi.
func writable(pi *lab.Pi) check {
	return func(ctx context.Context) error {
		_, err := pi.Docker(ctx, "node", "update", "--label-add", "probe="+fmt.Sprint(time.Now().UnixNano()), pi.Name)
		return err
	}
}

// ready holds when this many nodes of the swarm are Ready.
func ready(manager *lab.Pi, n int) check {
	return func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, manager)
		if err != nil {
			return err
		}
		up := 0
		for _, n := range nodes {
			if n.Status == "Ready" {
				up++
			}
		}
		if up != n {
			return fmt.Errorf("%d of %d nodes are ready, want %d", up, len(nodes), n)
		}
		return nil
	}
}

// gathered waits until all Pis are Ready nodes of the swarm of leader, which may list others, and returns how long that
// took.
func gathered(t *testing.T, limit time.Duration, leader *lab.Pi, pis []*lab.Pi) time.Duration {
	t.Helper()
	return await(t, limit, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, leader)
		if err != nil {
			return err
		}
		ready := map[string]bool{}
		for _, n := range nodes {
			ready[n.ID] = n.Status == "Ready"
		}
		for _, pi := range pis {
			i, err := infoOf(ctx, pi)
			if err != nil {
				return err
			}
			if !ready[i.Swarm.NodeID] {
				return fmt.Errorf("%s is %s as node %q, and not a ready one", pi.Name, i.Swarm.LocalNodeState, i.Swarm.NodeID)
			}
		}
		return nil
	})
}

func swarmID(t *testing.T, manager *lab.Pi) string {
	t.Helper()
	i, err := infoOf(t.Context(), manager)
	if err != nil || i.Swarm.Cluster == nil {
		t.Fatalf("%s manages no swarm: %v", manager.Name, err)
	}
	return i.Swarm.Cluster.ID
}

// tell runs a command of the program on a Pi, as that user, and returns what it prints with its exit status.
func tell(ctx context.Context, pi *lab.Pi, uid string, args ...string) (out []byte, status int, err error) {
	path, err := pi.AgentPath()
	if err != nil {
		return nil, 0, err
	}
	out, err = pi.Exec(ctx, as(uid, append([]string{path}, args...)...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

const (
	root   = "0"
	nobody = "65534"
)

// seen is the picture that a Pi shows to everybody.
func seen(ctx context.Context, pi *lab.Pi) (p picture.Picture, status int, err error) {
	out, status, err := tell(ctx, pi, nobody, "status", "-json")
	if err != nil {
		return p, status, err
	}
	if p, err = picture.Decode(out); err != nil {
		return p, status, err
	}
	schema, err := statusSchema()
	if err != nil {
		return p, status, err
	}
	form, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		return p, status, err
	}
	return p, status, schema.Validate(form)
}

// statusSchema is the form that a status has for programs.
var statusSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile("../../docs/status.schema.json")
})

// as is the command line that runs a command as that user.
func as(uid string, argv ...string) []string {
	return append([]string{"setpriv", "--reuid=" + uid, "--regid=" + uid, "--clear-groups"}, argv...)
}

// tells holds when a command of the program, run as that user, says this and exits with that status.
func tells(pi *lab.Pi, uid, command string, status int, words string) check {
	return func(ctx context.Context) error {
		out, got, err := tell(ctx, pi, uid, command)
		if err == nil && (got != status || !strings.Contains(string(out), words)) {
			err = fmt.Errorf("%s on %s ends with %d, want %d, and should say %q:\n%s", command, pi.Name, got, status, words, out)
		}
		return err
	}
}

// diagnosis is what the doctor, as root, says of a Pi.
func diagnosis(ctx context.Context, pi *lab.Pi) ([]doctor.Result, error) {
	out, _, err := tell(ctx, pi, root, "doctor", "-json")
	if err != nil {
		return nil, err
	}
	var told struct{ Results []doctor.Result }
	if err := json.Unmarshal(out, &told); err != nil {
		return nil, fmt.Errorf("%s: %w", out, err)
	}
	return told.Results, nil
}

// told waits until pi-agent status on a Pi says all of this, needs a person, and says nothing of what would not help.
func told(t *testing.T, pi *lab.Pi, limit time.Duration, wants ...string) {
	t.Helper()
	var shown string
	await(t, limit, func(ctx context.Context) error {
		out, status, err := tell(ctx, pi, nobody, "status")
		shown = string(out)
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				return fmt.Errorf("%s does not say %q, exit status %d, %v:\n%s", pi.Name, want, status, err, shown)
			}
		}
		if err == nil && status != 3 {
			err = fmt.Errorf("%s: exit status %d, want 3:\n%s", pi.Name, status, shown)
		}
		return err
	})
	for _, wrong := range []string{"docker swarm leave", "Switch the managers on", "does not answer", "The clock of"} {
		if strings.Contains(shown, wrong) {
			t.Errorf("%s says %q, which does not help:\n%s", pi.Name, wrong, shown)
		}
	}
}
