package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/bootstrap"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/light"
	"github.com/pi-agent/pi-agent/internal/obstacle"
	"github.com/pi-agent/pi-agent/internal/page"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/prepare"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/screen"
	"github.com/pi-agent/pi-agent/internal/sdnotify"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/internal/state"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// garbage is how much of the heap in use may be garbage, in percent. A small board has 512 MB for everything, and the
// heap of the agent is so small that collecting it twice as often as usual costs nothing that shows.
const garbage = 50

// setup is what the daemon was started with.
type setup struct {
	cfg      config.Config
	key      clusterkey.Phrase
	dir      string // of what must survive a power cut
	stackDir string
	socket   string
	log      *zap.Logger
}

// agent is the daemon: parts that run side by side until the board is switched off.
type agent struct {
	setup
	board   board.Board
	network network
	docker  *swarm.Docker
	kept    *state.File
	member  membership
	found   *discovery.Service
	notify  *sdnotify.Notifier
	screen  *screen.Screen
	stacks  *stacks.Runner
	watch   *obstacle.Watch
	loop    *bootstrap.Loop
	server  *enroll.Server

	patience timing.Timing
}

// newAgent puts the parts together. Nothing runs yet.
func newAgent(s setup) (*agent, error) {
	a := &agent{setup: s}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	var err error
	if a.patience, err = patience(); err != nil {
		return nil, err
	}
	if a.board, err = board.Read(os.DirFS("/"), s.cfg.Serial); err != nil {
		return nil, err
	}
	a.greet()
	a.kept, err = state.Open(s.dir, a.board.Serial)
	switch {
	case a.kept == nil:
		return nil, err
	case err != nil:
		s.log.Warn(fmt.Sprintf("The state cannot be kept as it should: %v.", err))
	}
	id, err := enroll.NewIdentity(a.board.Serial, a.kept.State().Key())
	if err != nil {
		return nil, err
	}
	a.network = networkFor(s.cfg, a.kept, a.patience, s.log)
	a.member, err = membershipOf(s.cfg, s.key, a.kept, filepath.Dir(s.socket), a.network.OnLink, a.patience, s.log)
	if err != nil {
		return nil, err
	}
	a.docker = swarm.NewDocker(s.cfg.Docker, s.log.Named("docker"))
	engine := &ownEngine{Engine: a.docker, setup: dockerd.OnThisBoard, log: s.log, remember: func(root string) error {
		return a.kept.Update(func(s *state.State) { s.EngineRoot = root })
	}}
	a.found = discovery.New(a.member.cluster, s.log.Named("mdns"))
	a.notify = sdnotify.New(s.log)
	a.stacks = stackRunner(s.cfg, s.stackDir, a.kept, a.patience, s.log)
	a.screen = &screen.Screen{
		Notifier: a.notify, Dir: filepath.Dir(s.socket), Log: s.log.Named("screen"), Problems: a.stacks.Problems,
		Name: func() string { return cmp.Or(hostname(), a.board.Serial.Name()) },
		Page: func() string { return pageURL(s.cfg.Web, a.network) },
	}
	a.watch = &obstacle.Watch{
		Log: s.log, Strangers: func() []ports.Holder { return atPorts(s.cfg, engine.Last) },
		Settings: func(ctx context.Context) []*swarm.Setting { return swarm.Hindering(dockerd.OnThisBoard(ctx)) },
	}
	a.loop = bootstrap.NewLoop(a.options(id, engine))
	a.stacks.Place = a.loop.Place
	a.server = enroll.NewServer(fmt.Sprintf(":%d", peer.Port), id, a.loop, a.member.model, s.log.Named("hello"))
	return a, nil
}

// greet says which program starts on which board.
func (a *agent) greet() {
	a.log.Info(fmt.Sprintf("pi-agent %s starts, serial %s from %s.", version, a.board.Serial, a.board.SerialFrom),
		zap.String("model", a.board.Model))
	if pace != "" {
		a.log.Warn(fmt.Sprintf("This program was made for a test: its patience ends %s times as fast.", pace))
	}
	if a.cfg.Boot != "" {
		a.log.Info(fmt.Sprintf("The settings in %s are in force over those in %s.", a.cfg.Boot, config.Path))
	}
}

// options are what the loop is made of.
func (a *agent) options(id *enroll.Identity, engine swarm.Engine) bootstrap.Options {
	o := bootstrap.Options{
		Serial: a.board.Serial, Key: id.Key(), Machine: a.board.Machine, Model: a.board.Model, Hostname: hostname,
		Cluster: a.cfg.Cluster, Tag: a.member.cluster.Tag, Named: a.cfg.Peers, Expect: a.cfg.Expect, Settle: a.cfg.Settle,
		Timing: a.patience, Wanted: a.cfg.Managers, Settings: a.cfg.BootErr, Deny: a.cfg.Deny,
		Clock: time.Now, SetClock: prepare.AskForClock, Built: builtAt(), ForgetSwarm: prepare.AskToForget,
		Member: a.kept.State().Membership, Known: a.kept.State().Peers,
		Remember: func(m peer.Membership) error {
			return a.kept.Update(func(s *state.State) { s.Membership = m })
		},
		Commit: func(m peer.Membership) error {
			return a.kept.Commit(func(s *state.State) { s.Membership = m })
		},
		RememberKnown: func(addrs []netip.Addr) error {
			return a.kept.Update(func(s *state.State) { s.Peers = addrs })
		},
		Stacks: func() (wrong, advice []say.Text) { return a.stacks.Problems(), a.stacks.Advice() },
		Taken:  a.watch.Taken, Obstacles: a.watch.Warnings,
		Engine: engine, Discovery: a.found, Asker: enroll.NewClient(id, a.member.model),
		Network: a.network, Notify: a.screen, Pins: a.member.pins, Log: a.log,
	}
	if a.cfg.Rename {
		o.Rename = prepare.AskForName
	}
	return o
}

// run runs the parts until ctx ends. It leaves the swarm as it is.
func (a *agent) run(ctx context.Context) error {
	defer a.docker.Close()
	a.watch.Look(ctx) // before there is anything that it could come too late for
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		a.watch.Run(ctx)
		return nil
	})
	g.Go(func() error { return a.network.Run(ctx) })
	g.Go(func() error { return a.server.Run(ctx) })
	g.Go(func() error {
		a.kept.Run(ctx, a.patience.StateRetry, a.log)
		return nil
	})
	g.Go(func() error { return a.stacks.Run(ctx) })
	listening := make(chan struct{})
	g.Go(func() error {
		a.takeCommands(ctx, sync.OnceFunc(func() { close(listening) }))
		return nil
	})
	g.Go(func() error {
		a.showStatus(ctx)
		return nil
	})
	// Who hears an announcement says hello at once, so the server comes first. The engine waits for the loop to be ready,
	// and needs the address; whoever has waited for the service gives it a command.
	if wait(ctx, a.network.Ready(), a.server.Ready(), listening) {
		g.Go(func() error { return a.found.Run(ctx) })
		g.Go(func() error { return a.loop.Run(ctx) })
	}
	if a.cfg.Light {
		led := &light.Light{
			Dir: light.Dir, Keep: filepath.Join(filepath.Dir(a.socket), "light"), Log: a.log.Named("light"),
			State: func() light.State { return lightOf(a.loop.Standing()) },
		}
		g.Go(func() error { return led.Run(ctx) })
	}
	if a.cfg.Web != "" {
		site := &page.Server{Addr: a.cfg.Web, Picture: a.loop.Picture, Names: a.names, Log: a.log.Named("page")}
		g.Go(func() error {
			servePage(ctx, site.Run, pageAgain, a.log)
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		a.notify.Stopping()
		return nil
	})
	err := g.Wait()
	a.screen.Close()
	a.log.Info("pi-agent stops; the swarm stays as it is.")
	return err
}

// takeCommands takes those of people on this board until ctx ends. It calls listening when it does, or when it never
// will.
func (a *agent) takeCommands(ctx context.Context, listening func()) {
	pair := func() (string, error) {
		defer a.loop.Reconsider()
		return a.member.pair()
	}
	commands := control.Server{
		Pair: pair, Reset: a.loop.Reset, Yield: a.loop.Yield, Reached: a.loop.Reached, Listening: listening,
	}
	if err := commands.Run(ctx, a.socket); err != nil {
		a.log.Warn(fmt.Sprintf("Commands on this board do not reach the agent: %v.", err))
		listening() // what does not come is not waited for
	}
}

// showStatus shows everybody on this board the picture of the cluster, until ctx ends.
func (a *agent) showStatus(ctx context.Context) {
	show := func(ctx context.Context) ([]byte, error) { return a.loop.Picture(ctx).Encode() }
	if err := control.Show(ctx, filepath.Join(filepath.Dir(a.socket), control.StatusName), show); err != nil {
		a.log.Warn(fmt.Sprintf("pi-agent status on this board does not reach the agent: %v.", err))
	}
}

// names are those by which people open the page of this board.
func (a *agent) names() []string {
	name := hostname()
	return append(prepare.Aliases(name), name, a.board.Serial.Name(), a.board.Serial.Instance())
}

// pageAgain is how long the page waits for a port that another program has, before it tries once more.
const pageAgain = 5 * time.Second

// servePage serves the page until ctx ends, and as soon as its port is free.
func servePage(ctx context.Context, serve func(context.Context) error, again time.Duration, log *zap.Logger) {
	for told := false; ; told = true {
		err := serve(ctx)
		if err == nil {
			return
		}
		if !told {
			log.Warn(fmt.Sprintf("The page of this board is not served: %v.", err))
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// atPorts are strangers who have ports of this board, as its agent sees it, which would see its own sockets.
func atPorts(cfg config.Config, engine func() (swarm.Status, error)) []ports.Holder {
	look := ports.Here(os.DirFS("/"))
	look.Engine, look.EngineErr = engine()
	look.Sees, look.Page = true, cfg.Web == config.Default().Web
	return look.Strangers()
}

// network is the real bootstrap.Network, and what keeps its address.
type network interface {
	bootstrap.Network
	Run(ctx context.Context) error
	Ready() <-chan struct{}
	OnLink(addr netip.Addr) bool
}

// networkFor is the network as the settings want it.
func networkFor(cfg config.Config, kept *state.File, patience timing.Timing, log *zap.Logger) network {
	kernel := address.Kernel{Want: cfg.Interface}
	if !cfg.LinkLocal {
		return kernel
	}
	s := kept.State()
	// of a copied card another board may have the address
	inUse := s.Membership != (peer.Membership{}) && s.Membership.From == ""
	return address.NewKeeper(address.KeeperOptions{
		Serial: s.Serial, Kernel: kernel,
		Home: address.Home{Addr: s.Address, Interface: s.Interface}, InUse: inUse,
		Remember: func(h address.Home) error {
			return kept.Update(func(s *state.State) { s.Address, s.Interface = h.Addr, h.Interface })
		},
		Log: log.Named("address"), Timing: patience,
	})
}

// stackRunner deploys what is in dir and, when that is the usual place, on the boot partition. It lacks Place.
func stackRunner(cfg config.Config, dir string, kept *state.File, patience timing.Timing,
	log *zap.Logger) *stacks.Runner {
	r := &stacks.Runner{
		Dir: dir, Docker: stacks.Command(cfg.Docker),
		Marks: maps.Clone(kept.State().Stacks),
		Remember: func(marks map[string]stacks.Mark) error {
			return kept.Update(func(s *state.State) { s.Stacks = maps.Clone(marks) })
		},
		Log: log, Timing: patience,
	}
	if dir == stacks.Dir {
		r.Boot = bootfile.Dirs
	}
	return r
}

// lightOf is what the light says of a board that stands there.
func lightOf(s peer.State, needs bool) light.State {
	switch {
	case needs:
		return light.NeedsYou
	case s == peer.Manager:
		return light.Manager
	case s.InSwarm():
		return light.In
	}
	return light.Searching
}

// pageURL is where people find the page that listens at web, empty when they do not.
func pageURL(web string, n bootstrap.Network) string {
	host, port, err := net.SplitHostPort(web)
	if err != nil {
		return ""
	}
	if link, err := n.Link(); host == "" && err == nil && link.Addr.IsValid() {
		host = link.Addr.String()
	}
	if host == "" {
		return ""
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// wait reports whether all are ready before ctx ends.
func wait(ctx context.Context, all ...<-chan struct{}) bool {
	for _, ready := range all {
		select {
		case <-ready:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// hostname is the name of this machine, or none when it cannot be read or is no name.
func hostname() string {
	name, err := prepare.Hostname()
	if err != nil {
		return ""
	}
	return name
}
