package swarmtest

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// rootLife is how long a swarm's certificate authority lasts.
const rootLife = 20 * 365 * 24 * time.Hour

// Overview implements swarm.Engine.
func (e *Engine) Overview(ctx context.Context) (o swarm.Overview, err error) {
	nodes, err := e.Nodes(ctx)
	if err != nil {
		return swarm.Overview{}, err
	}
	err = e.manage(ctx, func(s *cluster) error {
		e.calls.Overview++
		o = swarm.Overview{Nodes: nodes, CertValid: swarm.CertExpiry, RootEnds: time.Now().Add(rootLife), Pools: s.pools}
		for _, service := range s.services {
			service.Tasks = slices.Clone(service.Tasks)
			o.Services = append(o.Services, service)
		}
		return nil
	})
	return o, err
}

// AddService puts a service into the swarm of this manager, as docker service create does. Its tasks run at once,
// wherever a node is ready and takes tasks.
func (e *Engine) AddService(name string, replicas int) {
	e.net.change(func() {
		s := e.member.swarm
		service := swarm.Service{ID: e.net.newID(), Name: name, Image: name + ":latest", Wanted: replicas}
		for slot := range replicas {
			service.Tasks = append(service.Tasks, swarm.Task{Slot: slot + 1})
		}
		s.services = append(s.services, service)
		sort.Slice(s.services, func(i, j int) bool { return s.services[i].Name < s.services[j].Name })
	})
}

// schedule moves tasks off the nodes that are not ready or drained, each to the node that has the fewest.
func (s *cluster) schedule() {
	if len(s.services) == 0 {
		return
	}
	load := map[string]int{}
	var keep, take []string
	for _, n := range s.nodes {
		if n.ready && n.availability != swarm.Drained {
			keep = append(keep, n.id)
		}
		if n.ready && n.availability == swarm.Available {
			take = append(take, n.id)
		}
	}
	each := func(do func(*swarm.Task)) {
		for _, service := range s.services {
			for i := range service.Tasks {
				do(&service.Tasks[i])
			}
		}
	}
	each(func(t *swarm.Task) { load[t.Node]++ })
	each(func(t *swarm.Task) {
		if slices.Contains(keep, t.Node) {
			return
		}
		*t = swarm.Task{ID: s.net.newID(), Slot: t.Slot, Since: time.Now(), State: "pending", Error: "no suitable node"}
		if len(take) == 0 {
			return
		}
		t.Node = slices.MinFunc(take, func(a, b string) int {
			return cmp.Or(cmp.Compare(load[a], load[b]), cmp.Compare(a, b))
		})
		t.State, t.Error = "running", ""
		load[t.Node]++
	})
}
