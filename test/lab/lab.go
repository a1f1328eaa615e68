// Package lab makes virtual Pis on one Linux machine, for tests that want the real thing: each has its own network
// interface on a common LAN, its own Docker Engine, hostname, /etc, /var/lib and process tree, and can have its plug
// pulled.
//
// A virtual Pi is a process in namespaces of its own. Killing that process is the power cut: the kernel then ends
// everything inside and takes mounts and interfaces down. The LAN is one more such process that holds a bridge.
// Nothing is added to the machine's own network, and no packet leaves the lab.
//
//	l := lab.New(t, lab.Options{N: 3})
//	if err := l.StartEngines(t.Context()); err != nil {
//		t.Fatal(err)
//	}
//	out, err := l.Pis[0].Docker(t.Context(), "swarm", "init", "--advertise-addr", "eth0")
//
// A Machine is more than that: a whole Debian with systemd, docker.io, avahi-daemon and NetworkManager, booted by
// systemd-nspawn behind a DHCP server, to try the package on.
//
//	l := lab.New(t, lab.Options{Machines: []string{"trixie", "bookworm"}})
//	if err := l.Machines[0].Install(t.Context(), "dist/pi-agent.deb"); err != nil {
//		t.Fatal(err)
//	}
//
// A Board is the most: an emulated 64-bit Pi that boots from the image of a card.
//
// A lab ends with Close, and also when the process that holds it dies in whatever way.
package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Options says what lab to make. The zero value means three Pis that are powered on, with the system's own engine.
type Options struct {
	// ID tells this lab from others on the machine: letters, digits and "-". Default: random.
	ID string
	// N is the number of Pis, 1 to 200. Default 3, or none in a lab with machines or boards.
	N int
	// Machines are the whole machines m1, m2 and so on, each given by its Debian release: trixie or bookworm.
	Machines []string
	// Boards says that there will be boards, which NewBoard adds.
	Boards bool
	// Serials are the serials of pi1, pi2 and so on. Default: 10000000aabbccXX, where the order of serials is not the
	// order of names; among two to six Pis pi2 has the lowest.
	Serials []string
	// Subnet is the /24 of the LAN. Its .254 is the gateway, pi1 has .11, pi2 .12. Default 10.77.0.0/24.
	Subnet netip.Prefix
	// Engine is a directory as FetchEngine returns it. Default: the engine in the machine's PATH.
	Engine string
	// EngineArgs are further arguments of every dockerd.
	EngineArgs []string
	// Agent is the path of the program that StartAgent runs. Default: the environment's PI_AGENT, else ./cmd/pi-agent is
	// built at first use.
	Agent string
	// Pace, from 2 on, divides the patience of the agent, which is then one that the lab builds. What the agent waits for
	// must still take less than the patience with it: engines are as fast as ever. Default: the patience of the product.
	Pace int
	// Config has further lines of every pi-agent.toml, below the serial.
	Config string
	// Alone says that nothing else may be up meanwhile, for tests that measure or flood. Only New looks at it.
	Alone bool
	// Off leaves all without power, for a test that boots them itself.
	Off bool
}

// Lab is a LAN and what is plugged into it.
type Lab struct {
	ID  string
	Dir string // everything the lab keeps on disk; gone after Close
	Pis []*Pi  // pi1 first

	Machines []*Machine // m1 first

	options Options
	lan     *machine
	dhcp    *Process // nil before it is first started

	secrets    []string // see Secret
	installing sync.Mutex

	lifeline, lifelineEnd *os.File  // every machine dies when lifelineEnd, which only this process holds, closes
	janitor               *exec.Cmd // removes Dir and cgroups after that
}

// Start makes a lab. The caller must be root and must call Close.
func Start(o Options) (*Lab, error) {
	if o.N == 0 && len(o.Machines) == 0 && !o.Boards {
		o.N = 3
	}
	if o.N < 0 || o.N > 200 {
		return nil, fmt.Errorf("lab of %d pis: give 1 to 200", o.N)
	}
	if !o.Subnet.IsValid() {
		o.Subnet = netip.MustParsePrefix("10.77.0.0/24")
	}
	if !o.Subnet.Addr().Is4() || o.Subnet.Bits() != 24 {
		return nil, fmt.Errorf("subnet %v: give an IPv4 /24", o.Subnet)
	}
	if o.ID == "" {
		o.ID = rand.Text()[:8]
	}
	l := &Lab{ID: o.ID, options: o}
	if err := l.claim(); err != nil {
		return nil, err
	}
	if err := l.build(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) build() error {
	if err := l.startLAN(); err != nil {
		return fmt.Errorf("start lan: %w", err)
	}
	for i := range l.options.N {
		p, err := l.newPi(i)
		if err != nil {
			return err
		}
		l.Pis = append(l.Pis, p)
		if l.options.Off {
			continue
		}
		if err := p.Boot(Link{}); err != nil {
			return err
		}
	}
	if len(l.options.Machines) > 0 || l.options.Boards {
		return l.buildMachines()
	}
	return nil
}

func (l *Lab) buildMachines() error {
	if err := l.StartDHCP(); err != nil {
		return err
	}
	for i, suite := range l.options.Machines {
		m, err := l.newMachine(i, suite)
		if err != nil {
			return err
		}
		l.Machines = append(l.Machines, m)
		if l.options.Off {
			continue
		}
		if err := m.Boot(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// Pi returns the Pi of that name, or nil.
func (l *Lab) Pi(name string) *Pi {
	for _, p := range l.Pis {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// StartEngines starts the engines of all Pis at once and returns when all of them answer.
func (l *Lab) StartEngines(ctx context.Context, args ...string) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range l.Pis {
		g.Go(func() error {
			if err := p.StartEngine(args...); err != nil {
				return err
			}
			return p.WaitEngine(ctx)
		})
	}
	return g.Wait()
}

// Close ends the lab: it returns when no process, mount, cgroup or file of it is left.
func (l *Lab) Close() error {
	err := l.lifelineEnd.Close()
	for _, p := range l.Pis {
		p.reap()
	}
	for _, m := range l.Machines {
		m.reap()
	}
	if l.dhcp != nil {
		<-l.dhcp.Done()
	}
	if l.lan != nil {
		<-l.lan.gone
	}
	l.lifeline.Close()
	if err := l.janitor.Wait(); err != nil {
		return fmt.Errorf("clean up %s: %w (its words are in %s)", l.Dir, err, filepath.Join(l.Dir, janitorLog))
	}
	return err
}
