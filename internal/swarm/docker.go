package swarm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	api "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/secret"
)

// Bounds of the calls.
const (
	statusMax = 5 * time.Second
	callMax   = 25 * time.Second // a manager without majority answers after 20 s
	joinMax   = 25 * time.Second // the engine itself gives up waiting after 20 s
	// certExpiry is how long a node's certificate is valid. Docker's 90 days end a swarm that spent a summer on a shelf.
	certExpiry = 5 * 365 * 24 * time.Hour
	// labelTries bounds the repetitions when somebody else changes a node at the same time.
	labelTries = 5
	// listenAny is what the engine listens on; it refuses an empty address.
	listenAny = "0.0.0.0"
)

// Docker is the Engine behind a Docker socket. It is safe for concurrent use.
type Docker struct {
	host string
	log  *zap.Logger

	mu  sync.Mutex
	api *client.Client // nil until first used, and after the engine was exchanged
}

var _ Engine = (*Docker)(nil)

// NewDocker returns the engine at host, such as "unix:///run/docker.sock". Nothing is called yet.
func NewDocker(host string, log *zap.Logger) *Docker { return &Docker{host: host, log: log} }

// Close ends idle connections.
func (d *Docker) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop()
}

// drop forgets the client. The caller holds d.mu.
func (d *Docker) drop() {
	if d.api != nil {
		_ = d.api.Close() // it only closes idle connections, and returns nil
		d.api = nil
	}
}

// call makes one call with a bound of its own. An engine that was exchanged for another version is asked once more with
// a client that settles on its API version anew.
func (d *Docker) call(ctx context.Context, limit time.Duration, f func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for first := true; ; first = false {
		c, err := d.client()
		if err != nil {
			return err
		}
		err = f(ctx, c)
		if first && versionMismatch(err) {
			d.mu.Lock()
			d.drop()
			d.mu.Unlock()
			continue
		}
		return sorted(ctx, err)
	}
}

func (d *Docker) client() (*client.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.api == nil {
		c, err := client.NewClientWithOpts(client.WithHost(d.host), client.WithAPIVersionNegotiation())
		if err != nil {
			return nil, fmt.Errorf("docker address %q: %w", d.host, err)
		}
		d.api = c
	}
	return d.api, nil
}

// Status implements Engine.
func (d *Docker) Status(ctx context.Context) (s Status, err error) {
	err = d.call(ctx, statusMax, func(ctx context.Context, c *client.Client) error {
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		s = Status{
			State: State(info.Swarm.LocalNodeState), NodeID: info.Swarm.NodeID, Manager: info.Swarm.ControlAvailable,
			Error: info.Swarm.Error, LiveRestore: info.LiveRestoreEnabled, Hostname: info.Name, Version: info.ServerVersion,
		}
		s.Addr, _ = netip.ParseAddr(info.Swarm.NodeAddr) // empty outside a swarm
		for _, m := range info.Swarm.RemoteManagers {
			if a, err := netip.ParseAddrPort(m.Addr); err == nil {
				s.Managers = append(s.Managers, a)
			}
		}
		if info.Swarm.Cluster != nil {
			s.SwarmID = info.Swarm.Cluster.ID
		}
		return nil
	})
	return s, err
}

// Init implements Engine.
//
// An engine stores the validity of certificates that Init asks for, and goes on with 90 days until its certificate
// authority is loaded anew. ForceNewCluster does that at once, and keeps everything else. When power goes between the
// two calls, the engine's next start does it.
func (d *Docker) Init(ctx context.Context, r InitRequest) error {
	req := api.InitRequest{
		ListenAddr:      addrPort(listenAny),
		AdvertiseAddr:   addrPort(r.Advertise.String()),
		DataPathAddr:    r.Advertise.String(),
		DefaultAddrPool: []string{r.Pool.String()},
		SubnetSize:      subnetBits,
		Availability:    api.NodeAvailabilityActive,
		Spec:            api.Spec{CAConfig: api.CAConfig{NodeCertExpiry: certExpiry}},
	}
	init := func(ctx context.Context, c *client.Client) error {
		_, err := c.SwarmInit(ctx, req)
		return err
	}
	if err := d.call(ctx, callMax, init); err != nil {
		return err
	}
	req.ForceNewCluster = true
	if err := d.call(ctx, callMax, init); err != nil {
		d.log.Warn("Certificates of the swarm are valid for 90 days only, until docker is restarted.", zap.Error(err))
	}
	return nil
}

// Join implements Engine. The engine uses the first address only, so each manager is tried by itself; whether that worked
// is read from the engine's state, for the words of the error leave it open.
func (d *Docker) Join(ctx context.Context, r JoinRequest) error {
	err := fmt.Errorf("%w: no manager is known", ErrRefused)
	for _, m := range r.Managers {
		if err = d.joinOne(ctx, m, r); err == nil || errors.Is(err, ErrAlready) || errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (d *Docker) joinOne(ctx context.Context, manager netip.AddrPort, r JoinRequest) error {
	joinErr := d.call(ctx, joinMax, func(ctx context.Context, c *client.Client) error {
		return c.SwarmJoin(ctx, api.JoinRequest{
			ListenAddr:    addrPort(listenAny),
			AdvertiseAddr: addrPort(r.Advertise.String()),
			DataPathAddr:  r.Advertise.String(),
			RemoteAddrs:   []string{manager.String()},
			JoinToken:     r.Token.Reveal(),
			Availability:  api.NodeAvailabilityActive,
		})
	})
	if joinErr == nil || errors.Is(joinErr, ErrAlready) {
		return joinErr
	}
	s, err := d.Status(ctx)
	switch {
	case err != nil:
		return err
	case s.State == Active:
		return nil
	case s.State == Pending:
		if err := d.Leave(ctx, false); err != nil {
			return fmt.Errorf("end the pending join: %w", err)
		}
		return fmt.Errorf("%w: %s does not answer", ErrPending, manager)
	}
	return fmt.Errorf("manager %s: %w", manager, joinErr)
}

// Leave implements Engine.
func (d *Docker) Leave(ctx context.Context, force bool) error {
	return d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error { return c.SwarmLeave(ctx, force) })
}

// WorkerToken implements Engine.
func (d *Docker) WorkerToken(ctx context.Context) (token secret.Secret, err error) {
	err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		s, err := c.SwarmInspect(ctx)
		token = secret.New(s.JoinTokens.Worker)
		return err
	})
	return token, err
}

// Nodes implements Engine.
func (d *Docker) Nodes(ctx context.Context) (nodes []Node, err error) {
	err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		list, err := c.NodeList(ctx, api.NodeListOptions{})
		for _, n := range list {
			nodes = append(nodes, nodeOf(n))
		}
		return err
	})
	return nodes, err
}

func nodeOf(n api.Node) Node {
	addr, _ := netip.ParseAddr(n.Status.Addr) // empty while a node is new
	return Node{
		ID: n.ID, Hostname: n.Description.Hostname, Addr: addr,
		Manager: n.Spec.Role == api.NodeRoleManager, Leader: n.ManagerStatus != nil && n.ManagerStatus.Leader,
		Ready: n.Status.State == api.NodeStateReady, Active: n.Spec.Availability == api.NodeAvailabilityActive,
		Labels: maps.Clone(n.Spec.Labels),
	}
}

// Label implements Engine. A node that has the labels already is not touched.
func (d *Docker) Label(ctx context.Context, nodeID string, labels map[string]string) error {
	var err error
	for range labelTries {
		err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
			n, _, err := c.NodeInspectWithRaw(ctx, nodeID)
			if err != nil {
				return err
			}
			spec := n.Spec
			spec.Labels = maps.Clone(n.Spec.Labels)
			if spec.Labels == nil {
				spec.Labels = map[string]string{}
			}
			maps.Copy(spec.Labels, labels)
			if maps.Equal(spec.Labels, n.Spec.Labels) {
				return nil
			}
			return c.NodeUpdate(ctx, nodeID, n.Version, spec)
		})
		if !outOfSequence(err) {
			break
		}
	}
	return err
}

// Remove implements Engine.
func (d *Docker) Remove(ctx context.Context, nodeID string, force bool) error {
	return d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		return c.NodeRemove(ctx, nodeID, api.NodeRemoveOptions{Force: force})
	})
}

// addrPort is ip with the port of managers, in the form that the API takes.
func addrPort(ip string) string { return net.JoinHostPort(ip, strconv.Itoa(Port)) }
