// Command demo shows the main job: three virtual Pis with real Docker Engines become one swarm by themselves, and then
// do what a class does with it. It ends with a verdict, and with status 1 when something was not as it should be.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/test/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := time.Now()
	if err := run(ctx); err != nil {
		fmt.Printf("\nFAIL: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("\nPASS: three Pis, one swarm, healed after a pulled plug; %.0f s in all.\n", time.Since(started).Seconds())
}

func run(ctx context.Context) (err error) {
	say("Three virtual Pis get power: each has its own network namespace, Docker Engine, name and serial.")
	l, err := lab.Start(lab.Options{N: 3})
	if err != nil {
		return err
	}
	var manager *lab.Pi
	defer func() {
		if os.Getenv("KEEP") == "1" && err == nil {
			keep(ctx, l, manager)
		}
		say("Taking everything down.")
		err = errors.Join(err, l.Close())
	}()
	for _, pi := range l.Pis {
		fmt.Printf("  %s  serial %s  %s\n", pi.Name, pi.Serial, pi.Addr.Addr())
	}
	if err := l.StartEngines(ctx); err != nil {
		return err
	}

	say("pi-agent starts on all three. From here on nobody types anything until they are a swarm.")
	began := time.Now()
	logs := follow(l, began)
	defer logs.stop()
	if err := l.StartAgents(); err != nil {
		return err
	}
	if manager, err = formed(ctx, l); err != nil {
		return err
	}
	fmt.Printf("\n  A swarm of three after %.1f s; the manager is %s, which has the lowest serial.\n",
		time.Since(began).Seconds(), manager.Name)
	if err := show(ctx, manager, "node", "ls"); err != nil {
		return err
	}
	return practise(ctx, l, manager)
}

// practise does the class's own steps on a swarm.
func practise(ctx context.Context, l *lab.Lab, manager *lab.Pi) error {
	say("A web service with two replicas. It answers with /etc/hostname of its Pi, which is mounted read-only.\n" +
		"(Its ports are published with mode=host, on the Pis that run it: the routing mesh needs IPVS in the kernel.)")
	if err := l.LoadWeb(ctx); err != nil {
		return err
	}
	if err := show(ctx, manager, "service", "create", "--detach", "--name", "web", "--replicas", "2",
		"--publish", "mode=host,target=80", "--no-resolve-image",
		"--mount", "type=bind,src=/etc/hostname,dst=/etc/hostname,readonly", lab.WebImage); err != nil {
		return err
	}
	if err := answering(ctx, l, manager, 2, 2); err != nil {
		return err
	}

	say("Scale to four, and back to two.")
	for _, n := range []int{4, 2} {
		if err := show(ctx, manager, "service", "scale", "--detach", fmt.Sprintf("web=%d", n)); err != nil {
			return err
		}
		if err := answering(ctx, l, manager, n, 2); err != nil {
			return err
		}
	}

	victim, err := workerWithTask(ctx, l, manager)
	if err != nil {
		return err
	}
	say(fmt.Sprintf("The plug of %s is pulled, which runs a replica.", victim.Name))
	pulled := time.Now()
	if err := victim.PowerOff(); err != nil {
		return err
	}
	if err := becomes(ctx, manager, victim, "Down"); err != nil {
		return err
	}
	if err := answering(ctx, l, manager, 2, 2); err != nil {
		return err
	}
	fmt.Printf("\n  Down was noticed and the replica runs elsewhere %.0f s after the plug was pulled.\n",
		time.Since(pulled).Seconds())
	if err := show(ctx, manager, "node", "ls"); err != nil {
		return err
	}

	say(fmt.Sprintf("%s is plugged in again.", victim.Name))
	if err := victim.PowerOn(); err != nil {
		return err
	}
	if err := errors.Join(victim.StartEngine(), victim.StartAgent()); err != nil {
		return err
	}
	if err := becomes(ctx, manager, victim, "Ready"); err != nil {
		return err
	}
	return show(ctx, manager, "node", "ls")
}

// formed waits for one swarm of all Pis and returns its manager, which must be the Pi with the lowest serial.
func formed(ctx context.Context, l *lab.Lab) (*lab.Pi, error) {
	lowest := slices.MinFunc(l.Pis, func(a, b *lab.Pi) int { return strings.Compare(a.Serial, b.Serial) })
	return lowest, await(ctx, formMax, func(context.Context) error {
		out, err := lowest.Docker(ctx, "node", "ls", "--format", "{{.Status}}")
		if n := strings.Count(string(out), "Ready"); err != nil || n != len(l.Pis) {
			return fmt.Errorf("%d of %d nodes are ready at %s", n, len(l.Pis), lowest.Name)
		}
		return nil
	})
}

// answering waits until the service has n tasks that all answer, from at least this many Pis.
func answering(ctx context.Context, l *lab.Lab, manager *lab.Pi, n, boards int) error {
	var answers []string
	err := await(ctx, answerMax, func(context.Context) error {
		running, err := manager.Docker(ctx, "service", "ps", "web", "--filter", "desired-state=running",
			"--format", "{{.CurrentState}}")
		if got := strings.Count(string(running), "Running"); err != nil || got != n {
			return fmt.Errorf("%d of %d tasks run", got, n)
		}
		answers = nil
		from := map[string]bool{}
		for _, pi := range l.Pis {
			if !pi.On() {
				continue
			}
			ports, err := pi.Docker(ctx, "ps", "--filter", "label=com.docker.swarm.service.name=web", "--format", "{{.Ports}}")
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(ports)) {
				answer, err := fetch(l, pi.Addr.Addr(), line)
				if err != nil {
					return err
				}
				answers = append(answers, fmt.Sprintf("  http://%s  %s", pi.Addr.Addr(), answer))
				from[pi.Name] = true
			}
		}
		if len(answers) != n || len(from) < boards {
			return fmt.Errorf("%d answers from %d Pis, want %d from at least %d", len(answers), len(from), n, boards)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(answers, "\n"))
	return nil
}

// fetch asks one task, over the LAN. ports is what docker ps shows, such as "0.0.0.0:32768->80/tcp".
func fetch(l *lab.Lab, addr netip.Addr, ports string) (string, error) {
	_, rest, _ := strings.Cut(ports, ":")
	port, _, ok := strings.Cut(rest, "->")
	if !ok {
		return "", fmt.Errorf("no published port in %q", ports)
	}
	to, err := netip.ParseAddrPort(net.JoinHostPort(addr.String(), port))
	if err != nil {
		return "", err
	}
	return l.Get(to)
}

// workerWithTask returns a Pi that runs a replica and is not the manager.
func workerWithTask(ctx context.Context, l *lab.Lab, manager *lab.Pi) (*lab.Pi, error) {
	out, err := manager.Docker(ctx, "service", "ps", "web", "--filter", "desired-state=running", "--format", "{{.Node}}")
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(string(out)) {
		if pi := l.Pi(name); pi != nil && pi != manager {
			return pi, nil
		}
	}
	return nil, fmt.Errorf("no worker runs a replica; they run on %q", out)
}

// becomes waits until the swarm calls a board that.
func becomes(ctx context.Context, manager, pi *lab.Pi, want string) error {
	return await(ctx, noticeMax, func(ctx context.Context) error {
		out, err := manager.Docker(ctx, "node", "ls", "--filter", "name="+pi.Name, "--format", "{{.Status}}")
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			return errors.Join(err, fmt.Errorf("%s is %s, want %s", pi.Name, got, want))
		}
		return nil
	})
}

// How long things may take on a busy machine before the demo calls them failed.
const (
	formMax   = 2 * time.Minute  // three boards become a swarm
	answerMax = time.Minute      // a service is started or moved, and answers
	noticeMax = 90 * time.Second // a swarm notices that a board is gone, or back
)

// await is lab.Wait with a limit.
func await(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return lab.Wait(ctx, 300*time.Millisecond, check)
}

// show runs a docker command on a Pi as a person at its keyboard would, and prints both.
func show(ctx context.Context, pi *lab.Pi, args ...string) error {
	fmt.Printf("\n  %s $ docker %s\n", pi.Name, strings.Join(args, " "))
	out, err := pi.Docker(ctx, args...)
	for line := range strings.Lines(string(out)) {
		fmt.Printf("  %s", line)
	}
	return err
}

func say(text string) { fmt.Printf("\n== %s\n", strings.ReplaceAll(text, "\n", "\n   ")) }

// keep leaves the lab up until Ctrl-C.
func keep(ctx context.Context, l *lab.Lab, manager *lab.Pi) {
	say("The lab stays up until you press Ctrl-C. Look around from another terminal with:")
	fmt.Printf("  PI_LAB=%s go run ./test/lab/cmd/pilab exec %s -- docker node ls\n", l.ID, manager.Name)
	fmt.Printf("  PI_LAB=%s go run ./test/lab/cmd/pilab log -f %s\n", l.ID, manager.Name)
	<-ctx.Done()
}

// followed prints the logs of all agents, each line with the Pi's name in front.
type followed struct {
	cancel context.CancelFunc
	g      errgroup.Group
}

func follow(l *lab.Lab, began time.Time) *followed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &followed{cancel: cancel}
	for _, pi := range l.Pis {
		f.g.Go(func() error {
			path := lab.LogPath(l.ID, pi.Name, "pi-agent")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			tail := exec.CommandContext(ctx, "tail", "--lines=+1", "--sleep-interval=0.1", "-F", path)
			out, err := tail.StdoutPipe()
			if err != nil {
				return err
			}
			if err := tail.Start(); err != nil {
				return err
			}
			for lines := bufio.NewScanner(out); lines.Scan(); {
				line := lines.Text()
				if clock, text, ok := strings.Cut(line, " "); ok && strings.Count(clock, ":") == 2 {
					line = text // ours counts from the start
				}
				fmt.Printf("  %5.1f s  %-4s %s\n", time.Since(began).Seconds(), pi.Name, line)
			}
			_ = tail.Wait() // it is killed when the demo ends
			return nil
		})
	}
	return f
}

func (f *followed) stop() {
	f.cancel()
	_ = f.g.Wait() // what could not be shown is no reason to fail
}
