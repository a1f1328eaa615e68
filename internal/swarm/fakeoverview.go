package swarm

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"
)

// fakeRootLife is how long a swarm's certificate authority lasts.
const fakeRootLife = 20 * 365 * 24 * time.Hour

// Overview implements Engine.
func (f *Fake) Overview(ctx context.Context) (o Overview, err error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return Overview{}, err
	}
	err = f.manage(ctx, func(s *fakeSwarm) error {
		f.calls.Overview++
		o = Overview{Nodes: nodes, CertValid: certExpiry, RootEnds: time.Now().Add(fakeRootLife), Pools: s.pools}
		for _, service := range s.services {
			service.Tasks = slices.Clone(service.Tasks)
			o.Services = append(o.Services, service)
		}
		return nil
	})
	return o, err
}

// AddService puts a service into the swarm of this manager, as docker service create does. Its tasks run at once, wherever
// a node is ready and takes tasks.
func (f *Fake) AddService(name string, replicas int) {
	f.net.change(func() {
		s := f.member.swarm
		service := Service{ID: f.net.newID(), Name: name, Image: name + ":latest", Wanted: replicas}
		for slot := range replicas {
			service.Tasks = append(service.Tasks, Task{Slot: slot + 1})
		}
		s.services = append(s.services, service)
		sort.Slice(s.services, func(i, j int) bool { return s.services[i].Name < s.services[j].Name })
	})
}

// schedule moves tasks off the nodes that are not ready or drained, each to the node that has the fewest.
func (s *fakeSwarm) schedule() {
	if len(s.services) == 0 {
		return
	}
	load := map[string]int{}
	var keep, take []string
	for _, n := range s.nodes {
		if n.ready && n.availability != Drained {
			keep = append(keep, n.id)
		}
		if n.ready && n.availability == Available {
			take = append(take, n.id)
		}
	}
	each := func(do func(*Task)) {
		for _, service := range s.services {
			for i := range service.Tasks {
				do(&service.Tasks[i])
			}
		}
	}
	each(func(t *Task) { load[t.Node]++ })
	each(func(t *Task) {
		if slices.Contains(keep, t.Node) {
			return
		}
		*t = Task{ID: s.net.newID(), Slot: t.Slot, Since: time.Now(), State: "pending", Error: "no suitable node"}
		if len(take) == 0 {
			return
		}
		t.Node = slices.MinFunc(take, func(a, b string) int { return cmp.Or(cmp.Compare(load[a], load[b]), cmp.Compare(a, b)) })
		t.State, t.Error = "running", ""
		load[t.Node]++
	})
}
