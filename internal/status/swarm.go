package status

import (
	"net/netip"

	"github.com/pi-agent/pi-agent/internal/manager"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// fromEngine takes in the overview of a manager of that name.
func fromEngine(p *picture.Picture, o swarm.Overview, name string) {
	p.Source = name
	s := p.Swarm
	s.CertDays, s.RootEnds, s.Pools, s.Managers = int(o.CertValid.Hours()/24), o.RootEnds, o.Pools, 0
	names := map[string]string{}
	for _, n := range o.Nodes {
		b := boardOf(n)
		names[n.ID] = b.Name
		p.Boards = append(p.Boards, b)
		if n.Manager {
			s.Managers++
		}
		if n.Manager && n.Ready {
			s.Reachable++
		}
	}
	s.Majority = true // for without one there is no list of nodes
	for _, service := range o.Services {
		p.Services = append(p.Services, serviceOf(service, names))
	}
}

// boardOf is the board that a node is, as far as the swarm knows it.
func boardOf(n swarm.Node) picture.Board {
	b := picture.Board{
		Serial: peer.Serial(n.Labels[manager.LabelSerial]), Name: n.Hostname, Model: n.Labels[manager.LabelModel], Node: n.ID,
		Role: picture.Worker, State: picture.Down, Drained: n.Availability != swarm.Available, Engine: n.Version, At: n.Addr,
	}
	if n.Addr.IsValid() {
		b.Addrs = []netip.Addr{n.Addr}
	}
	switch {
	case n.Leader:
		b.Role = picture.Leader
	case n.Manager:
		b.Role = picture.Manager
	}
	if n.Ready {
		b.State = picture.Ready
	}
	return b
}

// serviceOf is a service with the names of the boards that its tasks are on.
func serviceOf(s swarm.Service, names map[string]string) picture.Service {
	out := picture.Service{Name: s.Name, Image: s.Image, Wanted: s.Wanted, Job: s.Job}
	for _, t := range s.Tasks {
		if t.Running() {
			out.Running++
		}
		out.Tasks = append(out.Tasks, picture.Task{
			ID: t.ID, Slot: t.Slot, Node: t.Node, Board: names[t.Node], State: t.State, Error: t.Error,
			ErrorBoard: names[t.On], Since: t.Since,
		})
	}
	return out
}
