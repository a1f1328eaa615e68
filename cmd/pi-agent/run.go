package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	"github.com/pi-agent/pi-agent/internal/journal"
	"github.com/pi-agent/pi-agent/internal/light"
	"github.com/pi-agent/pi-agent/internal/obstacle"
	"github.com/pi-agent/pi-agent/internal/page"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/prepare"
	"github.com/pi-agent/pi-agent/internal/screen"
	"github.com/pi-agent/pi-agent/internal/sdnotify"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/internal/state"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// stateDir is where the agent keeps what must survive a power cut, unless systemd says otherwise.
const stateDir = "/var/lib/pi-agent"

// runCommand is the daemon. It returns when ctx ends, after a goodbye to the other boards, and leaves the swarm as it is.
func runCommand(ctx context.Context, args []string, _, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent run", flag.ContinueOnError)
	fs.SetOutput(stderr)
	path := fs.String("config", config.Path, "`file` with the settings; it may be absent at its default place")
	dir := fs.String("state", cmp.Or(os.Getenv("STATE_DIRECTORY"), stateDir), "`directory` for what must survive a power cut")
	keyPath := fs.String("key", clusterkey.Path, "`file` with the cluster key; it may be absent at its default place")
	stackDir := fs.String("stacks", stacks.Dir, "`directory` with Compose files for the manager to deploy; it may be absent")
	socket := fs.String("socket", control.Path, "`file` on which the agent listens for commands on this board")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := config.Load(*path)
	if err != nil {
		return err
	}
	log := journal.New(cfg.Log, stderr)
	key, err := clusterKey(cfg, *keyPath, log)
	if err != nil {
		return err
	}
	if cfg.Key.None() && *keyPath == clusterkey.Path {
		key = withCard(&cfg, bootfile.Dirs, key, log)
	}
	return daemon(ctx, cfg, key, *dir, *stackDir, *socket, log)
}

// garbage is how much of the heap in use may be garbage, in percent. A small board has 512 MB for everything, and the heap of the
// agent is so small that collecting it twice as often as usual costs nothing that shows.
const garbage = 50

func daemon(ctx context.Context, cfg config.Config, key clusterkey.Phrase, dir, stackDir, socket string, log *zap.Logger) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	patience, err := patience()
	if err != nil {
		return err
	}
	this, err := board.Read(os.DirFS("/"), cfg.Serial)
	if err != nil {
		return err
	}
	log.Info(fmt.Sprintf("pi-agent %s starts, serial %s from %s.", version, this.Serial, this.SerialFrom), zap.String("model", this.Model))
	if pace != "" {
		log.Warn(fmt.Sprintf("This program was made for a test: its patience ends %s times as fast.", pace))
	}
	if cfg.Boot != "" {
		log.Info(fmt.Sprintf("The settings in %s are in force over those in %s.", cfg.Boot, config.Path))
	}
	kept, err := state.Open(dir, this.Serial)
	switch {
	case kept == nil:
		return err
	case err != nil:
		log.Warn(fmt.Sprintf("The state cannot be kept as it should: %v.", err))
	}
	id, err := enroll.NewIdentity(this.Serial, kept.State().Key())
	if err != nil {
		return err
	}
	keeper := networkFor(cfg, kept, patience, log)
	member, err := membershipOf(cfg, key, kept, filepath.Dir(socket), keeper.OnLink, patience, log)
	if err != nil {
		return err
	}

	docker := swarm.NewDocker(cfg.Docker, log.Named("docker"))
	defer docker.Close()
	engine := &ownEngine{Engine: docker, setup: dockerd.OnThisBoard, log: log, remember: func(root string) error {
		return kept.Update(func(s *state.State) { s.EngineRoot = root })
	}}
	found := discovery.New(member.cluster, log.Named("mdns"))
	notify := sdnotify.New(log)
	runner := stackRunner(cfg, stackDir, kept, patience, log)
	shown := &screen.Screen{
		Notifier: notify, Dir: filepath.Dir(socket), Name: func() string { return cmp.Or(hostname(), this.Serial.Name()) }, Log: log.Named("screen"),
		Page: func() string { return pageURL(cfg.Web, keeper) }, Problems: runner.Problems,
	}
	options := bootstrap.Options{
		Serial: this.Serial, Key: id.Key(), Machine: this.Machine, Model: this.Model, Hostname: hostname,
		Cluster: cfg.Cluster, Tag: member.cluster.Tag, Named: cfg.Peers, Expect: cfg.Expect, Settle: cfg.Settle, Timing: patience,
		Wanted: cfg.Managers, Settings: cfg.BootErr,
		Member: kept.State().Membership, Known: kept.State().Peers,
		Remember: func(m peer.Membership) error {
			return kept.Update(func(s *state.State) { s.Membership = m })
		},
		RememberKnown: func(addrs []netip.Addr) error {
			return kept.Update(func(s *state.State) { s.Peers = addrs })
		},
		Engine: engine, Discovery: found, Asker: enroll.NewClient(id, member.trust),
		Network: keeper, Notify: shown, Pins: member.pins, Log: log,
	}
	options.Deny = cfg.Deny
	options.Stacks = func() (wrong, advice []string) { return runner.Problems(), runner.Advice() }
	options.Clock, options.SetClock, options.Built = time.Now, prepare.AskForClock, builtAt()
	options.ForgetSwarm = prepare.AskToForget
	watch := &obstacle.Watch{Log: log, Strangers: func() []ports.Holder { return atPorts(cfg, engine.Last) }}
	watch.Settings = func(ctx context.Context) []*swarm.Setting { return swarm.Hindering(dockerd.OnThisBoard(ctx)) }
	options.Taken, options.Obstacles = watch.Taken, watch.Warnings
	if cfg.Rename {
		options.Rename = prepare.AskForName
	}
	loop := bootstrap.NewLoop(options)
	runner.Place = loop.Place
	server := enroll.NewServer(fmt.Sprintf(":%d", peer.Port), id, loop, member.trust, log.Named("hello"))

	watch.Look(ctx) // before there is anything that it could come too late for
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		watch.Run(ctx)
		return nil
	})
	g.Go(func() error { return keeper.Run(ctx) })
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error {
		kept.Run(ctx, patience.StateRetry, log)
		return nil
	})
	g.Go(func() error { return runner.Run(ctx) })
	heard := make(chan struct{})
	listening := sync.OnceFunc(func() { close(heard) })
	g.Go(func() error {
		pair := func() (string, error) {
			defer loop.Reconsider()
			return member.pair()
		}
		commands := control.Server{Pair: pair, Reset: loop.Reset, Yield: loop.Yield, Reached: loop.Reached, Listening: listening}
		if err := commands.Run(ctx, socket); err != nil {
			log.Warn(fmt.Sprintf("Commands on this board do not reach the agent: %v.", err))
			listening() // what does not come is not waited for
		}
		return nil
	})
	g.Go(func() error {
		show := func(ctx context.Context) ([]byte, error) { return loop.Picture(ctx).Encode() }
		if err := control.Show(ctx, filepath.Join(filepath.Dir(socket), control.StatusName), show); err != nil {
			log.Warn(fmt.Sprintf("pi-agent status on this board does not reach the agent: %v.", err))
		}
		return nil
	})
	// Who hears an announcement says hello at once, so the server comes first. The engine waits for the loop to be ready,
	// and needs the address; whoever has waited for the service gives it a command.
	if wait(ctx, keeper.Ready(), server.Ready(), heard) {
		g.Go(func() error { return found.Run(ctx) })
		g.Go(func() error { return loop.Run(ctx) })
	}
	if cfg.Light {
		led := &light.Light{
			Dir: light.Dir, Keep: filepath.Join(filepath.Dir(socket), "light"), Log: log.Named("light"),
			State: func() light.State { return lightOf(loop.Standing()) },
		}
		g.Go(func() error { return led.Run(ctx) })
	}
	if cfg.Web != "" {
		names := func() []string {
			name := hostname()
			return append(prepare.Aliases(name), name, this.Serial.Name(), this.Serial.Instance())
		}
		site := &page.Server{Addr: cfg.Web, Picture: loop.Picture, Names: names, Log: log.Named("page")}
		g.Go(func() error {
			servePage(ctx, site.Run, pageAgain, log)
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		notify.Stopping()
		return nil
	})
	err = g.Wait()
	shown.Close()
	log.Info("pi-agent stops; the swarm stays as it is.")
	return err
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
	inUse := s.Membership != (peer.Membership{}) && s.Membership.From == "" // of a copied card another board may have the address
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
func stackRunner(cfg config.Config, dir string, kept *state.File, patience timing.Timing, log *zap.Logger) *stacks.Runner {
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
