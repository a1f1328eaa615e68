package swarm

// The overview: what a person looks at in a swarm. It is read only, and costs one answer of the engine for each kind of
// object, so whoever shows it often keeps it for a moment.

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"sort"
	"strings"
	"time"

	api "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
)

// Overview is what a swarm consists of.
type Overview struct {
	Nodes     []Node
	Services  []Service      // in order of name
	CertValid time.Duration  // for how long the certificate of a node is issued; nodes that run renew theirs in time
	RootEnds  time.Time      // when the swarm's certificate authority ends; zero when that is not known
	Pools     []netip.Prefix // where overlay networks take their subnets from
}

// Service is one service with its tasks.
type Service struct {
	ID     string
	Name   string
	Image  string // without its digest
	Global bool   // one task on every node
	Job    bool   // its tasks are meant to end
	Wanted int    // tasks that are to run
	Tasks  []Task // the newest of each slot, or of each node where Global, also one that is given up; by slot and node
}

// Task is one container, or the intention of one.
type Task struct {
	ID    string
	Node  string // id of the node it is placed on, empty while there is none for it
	Slot  int    // 1 and up, 0 where the service is Global
	State string // Docker's word, such as "running"
	Error string // the engine's words, of this task or of the one that it replaces; empty when it runs
	On    string // id of the node that Error is from, which need not be Node
	Since time.Time
}

// Running reports whether the task does what it is for.
func (t Task) Running() bool { return t.State == string(api.TaskStateRunning) }

// Overview implements Engine.
func (d *Docker) Overview(ctx context.Context) (o Overview, err error) {
	err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		var err error
		nodes, services, tasks := list(ctx, &err, c.NodeList), list(ctx, &err, c.ServiceList), list(ctx, &err, c.TaskList)
		if err != nil {
			return err
		}
		cluster, err := c.SwarmInspect(ctx)
		if err != nil {
			return err
		}
		o = Overview{CertValid: cluster.Spec.CAConfig.NodeCertExpiry, RootEnds: endOf(cluster.TLSInfo.TrustRoot)}
		for _, pool := range cluster.DefaultAddrPool {
			if p, err := netip.ParsePrefix(pool); err == nil {
				o.Pools = append(o.Pools, p)
			}
		}
		for _, n := range nodes {
			o.Nodes = append(o.Nodes, nodeOf(n))
		}
		open := map[string]bool{}
		for _, n := range o.Nodes {
			open[n.ID] = n.Ready && n.Availability == Available
		}
		for _, s := range services {
			o.Services = append(o.Services, serviceOf(s, tasks, open))
		}
		sort.Slice(o.Services, func(i, j int) bool { return o.Services[i].Name < o.Services[j].Name })
		return nil
	})
	return o, err
}

// endOf is when the certificate in text ends, zero when there is none.
func endOf(text string) time.Time {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return time.Time{}
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return c.NotAfter
}

// serviceOf is a service with its tasks; open are the nodes that take any.
func serviceOf(s api.Service, tasks []api.Task, open map[string]bool) Service {
	out := Service{ID: s.ID, Name: s.Spec.Name}
	if spec := s.Spec.TaskTemplate.ContainerSpec; spec != nil {
		out.Image, _, _ = strings.Cut(spec.Image, "@")
	}
	mode := s.Spec.Mode
	out.Global = mode.Global != nil || mode.GlobalJob != nil
	out.Job = mode.ReplicatedJob != nil || mode.GlobalJob != nil
	out.Tasks = newest(tasks, s.ID, out.Global, open)
	out.Wanted = len(out.Tasks)
	if mode.Replicated != nil && mode.Replicated.Replicas != nil {
		out.Wanted = int(*mode.Replicated.Replicas)
	}
	return out
}

// place is where a task of a service belongs: its slot, and in a global service its node.
type place struct {
	slot int
	node string
}

// newest returns the newest task of each place of the service that is to run at all. Docker keeps some that have ended:
// the newest with an error says why there is no better one. Where Docker has given up, as the service's restart policy
// wants, that one is all there is.
func newest(tasks []api.Task, service string, global bool, open map[string]bool) (out []Task) {
	best, failed, last := map[place]api.Task{}, map[place]api.Task{}, map[place]api.Task{}
	for _, t := range tasks {
		if t.ServiceID != service {
			continue
		}
		at := place{slot: t.Slot}
		if global {
			at = place{node: t.NodeID}
		}
		if wanted(t) && later(t, best[at]) {
			best[at] = t
		}
		if t.Status.Err != "" && later(t, failed[at]) {
			failed[at] = t
		}
		if later(t, last[at]) {
			last[at] = t
		}
	}
	for at, t := range last {
		if _, ok := best[at]; !ok && givenUp(t) && (!global || open[t.NodeID]) {
			best[at] = t
		}
	}
	for at, t := range best {
		task := Task{ID: t.ID, Node: t.NodeID, Slot: t.Slot, State: string(t.Status.State), Since: t.Status.Timestamp}
		cause := t
		if t.Status.Err == "" {
			cause = failed[at]
		}
		if !task.Running() {
			task.Error, task.On = cause.Status.Err, cause.NodeID
		}
		out = append(out, task)
	}
	sort.Slice(out, func(i, j int) bool {
		return cmp.Or(cmp.Compare(out[i].Slot, out[j].Slot), cmp.Compare(out[i].Node, out[j].Node)) < 0
	})
	return out
}

// wanted reports whether the swarm means the task to be there now. A job's task has been there when it is complete.
func wanted(t api.Task) bool {
	switch t.DesiredState {
	case api.TaskStateReady, api.TaskStateRunning, api.TaskStateComplete:
		return true
	}
	return false
}

// givenUp reports whether a task has failed and nothing is to come after it.
func givenUp(t api.Task) bool {
	failed := t.Status.State == api.TaskStateFailed || t.Status.State == api.TaskStateRejected
	return failed && t.DesiredState == api.TaskStateShutdown
}

func later(t, than api.Task) bool { return than.ID == "" || t.CreatedAt.After(than.CreatedAt) }
