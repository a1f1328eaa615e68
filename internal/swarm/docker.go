package swarm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	api "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/secret"
)

// Bounds of the calls.
const (
	statusMax = 5 * time.Second
	// callMax is for a manager without a majority, which answers after 20 s, and for Leave, which waits as long for a
	// pending join.
	callMax = 30 * time.Second
	joinMax = 25 * time.Second // for each manager; the engine itself gives up waiting after 20 s
	// updateTries bounds the repetitions when somebody else changes a node at the same time.
	updateTries = 5
	// listenAny is what the engine listens on; it refuses an empty address.
	listenAny = "0.0.0.0"
)

// CertExpiry is how long the certificates of a swarm's nodes are valid where Init made the swarm. Docker's own 90 days
// would end a swarm that spent a summer on a shelf.
const CertExpiry = 5 * 365 * 24 * time.Hour

// Docker is the Engine behind a Docker socket. It is safe for concurrent use.
type Docker struct {
	host string
	log  *zap.Logger

	mu      sync.Mutex
	api     *client.Client // nil until first used, and after the engine was exchanged
	refused *Setting       // for which the engine last refused swarm mode, since it was last out of reach
}

var _ Engine = (*Docker)(nil)

// NewDocker returns the engine at host, such as "unix:///run/docker.sock". Nothing is called yet.
func NewDocker(host string, log *zap.Logger) *Docker { return &Docker{host: host, log: log} }

// Close ends idle connections.
func (d *Docker) Close() {
	d.mu.Lock()
	c := d.api
	d.mu.Unlock()
	if c != nil {
		d.drop(c)
	}
}

// drop forgets the client c, unless somebody else has.
func (d *Docker) drop(c *client.Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.api == c {
		_ = c.Close() // it only closes idle connections, and returns nil
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
			d.drop(c)
			continue
		}
		if err != nil && ctx.Err() != nil {
			err = ctx.Err() // the client's Info does not always wrap it
		}
		err = sorted(err)
		d.note(err)
		return err
	}
}

// note remembers for which setting an engine refuses swarm mode, until it is out of reach: it may come back with
// another.
func (d *Docker) note(err error) {
	var s *Setting
	if !errors.As(err, &s) && !errors.Is(err, ErrUnreachable) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = s
}

// client returns the client, which makes a connection for each call: an engine that is being stopped takes no new ones,
// and on those that it has it says until its end, for as long as its containers take, that it is in no swarm.
func (d *Docker) client() (*client.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.api == nil {
		c, err := client.NewClientWithOpts(
			client.WithHTTPClient(&http.Client{
				Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: client.CheckRedirect,
			}),
			client.WithHost(d.host), client.WithAPIVersionNegotiation())
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
		d.mu.Lock()
		refused := d.refused
		d.mu.Unlock()
		s = Status{
			State: State(info.Swarm.LocalNodeState), NodeID: info.Swarm.NodeID, Manager: info.Swarm.ControlAvailable,
			Error: info.Swarm.Error, Excluded: excluding(info, refused), Hostname: info.Name, Version: info.ServerVersion,
			EngineID: info.ID, Root: info.DockerRootDir,
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
		if s.State == Inactive {
			_, err = c.Ping(ctx) // one that was being stopped while it was asked says so, too, and is not there any more
		}
		return err
	})
	return s, err
}

// Init implements Engine.
//
// An engine stores the validity of certificates that Init asks for, and goes on with 90 days, which its own certificate
// has already. Exchanging the certificate authority makes the new validity count, for this board's certificate too. It
// is done within 3 s, and boards may join meanwhile. When power goes before it has begun, the engine's next start makes
// the validity count for the nodes to come, and this board gets it when its certificate is renewed, weeks later. When
// power goes in the midst of it, the next start ends it. ForceNewCluster would be quicker, but now and then leaves an
// engine that cannot make overlay networks until it is restarted.
func (d *Docker) Init(ctx context.Context, r InitRequest) error {
	err := d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		_, err := c.SwarmInit(ctx, apiInit(r))
		return err
	})
	if err != nil {
		return err
	}
	if err := d.call(ctx, callMax, rotate); err != nil {
		d.log.Warn("The swarm is up, but the certificate of this board may end after 90 days.", zap.Error(err))
	}
	return nil
}

// ForceNewCluster implements Engine. It must be asked of no engine that still knows of a swarm: where that is not a
// running manager, version 20.10 refuses, and keeps a lock so that it answers no call any more.
func (d *Docker) ForceNewCluster(ctx context.Context, advertise netip.Addr) error {
	return d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		_, err := c.SwarmInit(ctx, api.InitRequest{
			ForceNewCluster: true,
			ListenAddr:      addrPort(listenAny),
			AdvertiseAddr:   addrPort(advertise.String()),
			DataPathAddr:    advertise.String(),
			Availability:    api.NodeAvailabilityActive,
		})
		return err
	})
}

func apiInit(r InitRequest) api.InitRequest {
	return api.InitRequest{
		ListenAddr:      addrPort(listenAny),
		AdvertiseAddr:   addrPort(r.Advertise.String()),
		DataPathAddr:    r.Advertise.String(),
		DefaultAddrPool: []string{r.Pool.String()},
		SubnetSize:      subnetBits,
		Availability:    api.NodeAvailabilityActive,
		Spec:            api.Spec{CAConfig: api.CAConfig{NodeCertExpiry: CertExpiry}},
	}
}

// rotate begins the exchange of the certificate authority, and with it of the join tokens.
func rotate(ctx context.Context, c *client.Client) error {
	s, err := c.SwarmInspect(ctx)
	if err != nil {
		return err
	}
	s.Spec.CAConfig.ForceRotate++
	return c.SwarmUpdate(ctx, s.Version, s.Spec, api.UpdateFlags{})
}

// Join implements Engine.
func (d *Docker) Join(ctx context.Context, r JoinRequest) error { return JoinInTurn(ctx, r, d.joinOne) }

// JoinInTurn calls one with each of r's managers in turn until one of them takes the board, because an engine uses the
// first address that it is given and no other. It stops early at an error that another manager would not change:
// ErrAlready, ErrUnreachable, ErrExcluded and ErrPending. Where r names no manager it returns ErrRefused.
func JoinInTurn(ctx context.Context, r JoinRequest,
	one func(context.Context, netip.AddrPort, JoinRequest) error) error {
	var errs error
	for _, m := range r.Managers {
		err := one(ctx, m, r)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrAlready), errors.Is(err, ErrUnreachable), errors.Is(err, ErrExcluded),
			errors.Is(err, ErrPending):
			return err // another manager does not change that
		case errs == nil:
			errs = fmt.Errorf("manager %v: %w", m, err)
		default:
			errs = fmt.Errorf("%w; manager %v: %w", errs, m, err)
		}
	}
	if errs == nil {
		return fmt.Errorf("%w: no manager is known", ErrRefused)
	}
	return errs
}

// joinOne asks one manager. Whether that worked is read from the engine's state, because its errors leave it open.
func (d *Docker) joinOne(ctx context.Context, manager netip.AddrPort, r JoinRequest) error {
	var said error
	err := d.call(ctx, joinMax, func(ctx context.Context, c *client.Client) error {
		said = c.SwarmJoin(ctx, api.JoinRequest{
			ListenAddr:    addrPort(listenAny),
			AdvertiseAddr: addrPort(r.Advertise.String()),
			DataPathAddr:  r.Advertise.String(),
			RemoteAddrs:   []string{manager.String()},
			JoinToken:     r.Token.Reveal(),
			Availability:  api.NodeAvailabilityActive,
		})
		return said
	})
	if err == nil || errors.Is(err, ErrAlready) || errors.Is(err, ErrExcluded) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrPending, ctx.Err())
	}
	s, statusErr := d.Status(ctx)
	switch {
	case statusErr != nil:
		return statusErr
	case s.State == Active:
		return nil
	case s.State == Inactive:
		if !errors.Is(err, ErrNoLeader) && cerrdefs.IsUnavailable(said) {
			return fmt.Errorf("%w: %w", ErrRefused, err) // no connection, in the words of the kernel or of TLS
		}
		return err
	}
	// The engine has stopped waiting for its own attempt, which is pending or has failed since, and takes no other.
	if err := d.Leave(ctx, false); err != nil && !errors.Is(err, ErrNotMember) {
		return fmt.Errorf("%w: end it: %w", ErrPending, err)
	}
	return fmt.Errorf("%w: it does not answer", ErrRefused)
}

// Leave implements Engine.
func (d *Docker) Leave(ctx context.Context, force bool) error {
	return d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		return c.SwarmLeave(ctx, force)
	})
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
		var err error
		for _, n := range list(ctx, &err, c.NodeList) {
			nodes = append(nodes, nodeOf(n))
		}
		return err
	})
	return nodes, err
}

// Contents implements Engine.
func (d *Docker) Contents(ctx context.Context) (have peer.Contents, err error) {
	err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
		var err error
		have = peer.Contents{
			Nodes: len(list(ctx, &err, c.NodeList)), Services: len(list(ctx, &err, c.ServiceList)),
			Secrets: len(list(ctx, &err, c.SecretList)), Configs: len(list(ctx, &err, c.ConfigList)),
		}
		return err
	})
	if err != nil {
		return peer.Contents{}, err
	}
	return have, nil
}

// list is all that one of the client's lists has. It calls nothing after an error, and keeps its own in failed.
func list[Options, T any](
	ctx context.Context, failed *error, of func(context.Context, Options) ([]T, error),
) (all []T) {
	if *failed == nil {
		var everything Options
		all, *failed = of(ctx, everything)
	}
	return all
}

func nodeOf(n api.Node) Node {
	addr, _ := netip.ParseAddr(n.Status.Addr) // empty while a node is new
	var as api.ManagerStatus
	if n.ManagerStatus != nil {
		as = *n.ManagerStatus
	}
	return Node{
		ID: n.ID, Hostname: n.Description.Hostname, Addr: addr,
		Manager: n.Spec.Role == api.NodeRoleManager, Leader: as.Leader,
		Votes: n.ManagerStatus != nil, Reachable: as.Reachability == api.ReachabilityReachable,
		Ready: n.Status.State == api.NodeStateReady, Availability: Availability(n.Spec.Availability),
		Labels: maps.Clone(n.Spec.Labels), Version: n.Description.Engine.EngineVersion,
	}
}

// Label implements Engine. A node that has the labels already is not touched.
func (d *Docker) Label(ctx context.Context, nodeID string, labels map[string]string) error {
	return d.updateNode(ctx, nodeID, func(spec *api.NodeSpec) (changed bool) {
		was := spec.Labels
		spec.Labels = maps.Clone(was)
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		maps.Copy(spec.Labels, labels)
		return !maps.Equal(spec.Labels, was)
	})
}

// SetRole implements Engine. A node that has the role already is not touched.
func (d *Docker) SetRole(ctx context.Context, nodeID string, manager bool) error {
	role := api.NodeRoleWorker
	if manager {
		role = api.NodeRoleManager
	}
	return d.updateNode(ctx, nodeID, func(spec *api.NodeSpec) (changed bool) {
		was := spec.Role
		spec.Role = role
		return role != was
	})
}

// SetAvailability implements Engine. A node that has it already is not touched.
func (d *Docker) SetAvailability(ctx context.Context, nodeID string, a Availability) error {
	return d.updateNode(ctx, nodeID, func(spec *api.NodeSpec) (changed bool) {
		was := spec.Availability
		spec.Availability = api.NodeAvailability(a)
		return spec.Availability != was
	})
}

// updateNode lets change say what a node is to be, again when somebody else has changed the node meanwhile.
func (d *Docker) updateNode(ctx context.Context, nodeID string, change func(*api.NodeSpec) (changed bool)) error {
	var err error
	for range updateTries {
		err = d.call(ctx, callMax, func(ctx context.Context, c *client.Client) error {
			n, _, err := c.NodeInspectWithRaw(ctx, nodeID)
			if err != nil {
				return err
			}
			if !change(&n.Spec) {
				return nil
			}
			return c.NodeUpdate(ctx, nodeID, n.Version, n.Spec)
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
