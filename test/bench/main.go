// Command bench measures what matters to the people who use pi-agent, all in one run on one machine: how long three
// boards take to become a swarm, beside the least that the same engines can do it in; the size of the binaries; memory,
// CPU time and traffic of a formed swarm. Ratios and targets hold across machines, seconds do not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/test/lab"
)

func main() {
	rounds := flag.Int("rounds", 5, "formations of each kind")
	idle := flag.Duration("idle", time.Minute, "how long a formed swarm rests before its memory is read")
	watch := flag.Duration("watch", 3*time.Minute, "how long packets are counted")
	still := flag.Duration("still", 5*time.Minute, "how long the CPU time of the service is counted")
	only := flag.String("only", "", "measure one `part` alone: sizes, three, ten or unit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{rounds: *rounds, idle: *idle, watch: *watch, still: *still}
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if b.missed > 0 {
		fmt.Printf("\n%d targets missed\n", b.missed)
		os.Exit(1)
	}
	fmt.Println("\nall targets met")
}

type bench struct {
	rounds      int
	idle, watch time.Duration
	still       time.Duration
	missed      int
}

// run measures the part of that name, or all of them when it is empty.
func (b *bench) run(ctx context.Context, only string) error {
	known := false
	var errs []error
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"sizes", b.sizes}, {"three", b.three}, {"ten", b.ten}, {"unit", b.unit},
	} {
		if only == "" || only == part.name {
			known = true
			errs = append(errs, part.measure(ctx))
		}
	}
	if !known {
		return fmt.Errorf("no part %q: give sizes, three, ten or unit", only)
	}
	return errors.Join(errs...)
}

// target prints a figure beside what it should be at most.
func (b *bench) target(what string, got, most float64, unit string) {
	verdict := "ok"
	if got > most {
		verdict = "MISSED"
		b.missed++
	}
	fmt.Printf("%-62s %8.2f %-12s target at most %6.2f  %s\n", what, got, unit, most, verdict)
}

func figure(what string, got float64, unit string) { fmt.Printf("%-62s %8.2f %s\n", what, got, unit) }

// sizes builds the binaries as they are shipped.
func (b *bench) sizes(ctx context.Context) error {
	build := exec.CommandContext(ctx, "make", "--no-print-directory", "-s", "build")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("make build: %w", err)
	}
	files, err := filepath.Glob("bin/pi-agent-linux-*")
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		mb := float64(info.Size()) / 1e6
		if strings.HasSuffix(f, "-arm64") {
			b.target("size of "+f, mb, 12, "MB")
		} else {
			figure("size of "+f, mb, "MB")
		}
	}
	return nil
}

// three times formations of three boards, and then looks at the last swarm at rest.
func (b *bench) three(ctx context.Context) (err error) {
	l, err := lab.Start(lab.Options{N: 3})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.StartEngines(ctx); err != nil {
		return err
	}
	var floor, expected, usual []float64
	for range b.rounds {
		for _, kind := range []struct {
			times *[]float64
			form  func(context.Context, *lab.Lab) error
		}{
			{&floor, byHand},
			{&expected, byAgent("expect = 3")},
			{&usual, byAgent("")},
		} {
			if err := blank(ctx, l); err != nil {
				return err
			}
			took, err := timed(ctx, l, kind.form)
			if err != nil {
				return err
			}
			*kind.times = append(*kind.times, took)
		}
	}
	fmt.Printf("\nthree engines become a swarm of three Ready nodes, median of %d\n", b.rounds)
	figure("  docker swarm init and two joins, by a script", median(floor), "s (the floor)")
	b.target("  pi-agent, expect = 3, from the first agent's start", median(expected), 3*median(floor)+1, "s")
	figure("  ratio to the floor", median(expected)/median(floor), "")
	figure("  pi-agent, default settings (settle = 15s)", median(usual), "s")
	figure("  ratio to the floor", median(usual)/median(floor), "")

	fmt.Printf("\nat rest, after %v\n", b.idle)
	if err := rest(ctx, b.idle); err != nil {
		return err
	}
	for _, pi := range l.Pis {
		mb, err := resident(ctx, pi)
		if err != nil {
			return err
		}
		b.target("  resident memory of the agent on "+pi.Name, mb, 20, "MB")
	}
	return b.packets(ctx, l)
}

// ten forms a larger swarm and counts its packets.
func (b *bench) ten(ctx context.Context) (err error) {
	l, err := lab.Start(lab.Options{N: 10})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.StartEngines(ctx); err != nil {
		return err
	}
	took, err := timed(ctx, l, byAgent("expect = 10"))
	if err != nil {
		return err
	}
	fmt.Println()
	figure("ten boards with expect = 10", took, "s")
	if err := rest(ctx, b.idle); err != nil {
		return err
	}
	return b.packets(ctx, l)
}

// byHand is the least there is to do when nothing has to be found out.
func byHand(ctx context.Context, l *lab.Lab) error {
	first := l.Pis[0]
	if _, err := first.Docker(ctx, "swarm", "init", "--advertise-addr", first.Addr.Addr().String()); err != nil {
		return err
	}
	token, err := first.Docker(ctx, "swarm", "join-token", "--quiet", "worker")
	if err != nil {
		return err
	}
	for _, pi := range l.Pis[1:] {
		if _, err := pi.Docker(ctx, "swarm", "join", "--token", strings.TrimSpace(string(token)),
			first.Addr.Addr().String()+":2377"); err != nil {
			return err
		}
	}
	return nil
}

func byAgent(config string) func(context.Context, *lab.Lab) error {
	return func(_ context.Context, l *lab.Lab) error {
		for _, pi := range l.Pis {
			if err := pi.SetConfig(config); err != nil {
				return err
			}
		}
		return l.StartAgents()
	}
}

// blank ends agents and swarms.
func blank(ctx context.Context, l *lab.Lab) error {
	var g errgroup.Group
	for _, pi := range l.Pis {
		g.Go(func() error {
			if p := pi.Process("pi-agent"); p != nil && p.Running() {
				if err := pi.StopAgent(); err != nil {
					return err
				}
			}
			e := swarm.NewDocker(pi.DockerHost(), zap.NewNop())
			defer e.Close()
			if s, err := e.Status(ctx); err != nil || s.State == swarm.Inactive {
				return err
			}
			return e.Leave(ctx, true)
		})
	}
	return g.Wait()
}

// formMax is how long boards may take to become a swarm before the measurement is given up.
const formMax = 2 * time.Minute

// timed returns the seconds from the call of form until some engine lists all Pis as ready.
func timed(ctx context.Context, l *lab.Lab, form func(context.Context, *lab.Lab) error) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, formMax)
	defer cancel()
	began := time.Now()
	if err := form(ctx, l); err != nil {
		return 0, err
	}
	engines := make([]*swarm.Docker, len(l.Pis))
	for i, pi := range l.Pis {
		engines[i] = swarm.NewDocker(pi.DockerHost(), zap.NewNop())
		defer engines[i].Close()
	}
	var manager *swarm.Docker
	err := lab.Wait(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		for _, e := range engines {
			if manager != nil {
				break
			}
			if s, err := e.Status(ctx); err == nil && s.Manager {
				manager = e
			}
		}
		if manager == nil {
			return errors.New("nobody manages")
		}
		nodes, err := manager.Nodes(ctx)
		ready := slices.DeleteFunc(nodes, func(n swarm.Node) bool { return !n.Ready })
		if err == nil && len(ready) != len(l.Pis) {
			err = fmt.Errorf("%d nodes are ready", len(ready))
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("no swarm of %d: %w", len(l.Pis), err)
	}
	return time.Since(began).Seconds(), nil
}

// packets counts the multicast DNS packets that the boards send while nothing happens.
func (b *bench) packets(ctx context.Context, l *lab.Lab) error {
	capture, err := l.Pis[0].Start("tcpdump", "tcpdump", "-lnn", "-i", "eth0", "udp dst port 5353 and ip multicast")
	if err != nil {
		return err
	}
	if err := rest(ctx, b.watch); err != nil {
		return err
	}
	capture.Kill()
	counts := map[string]int{}
	for line := range strings.Lines(l.Pis[0].LogOf("tcpdump")) {
		for _, pi := range l.Pis {
			if strings.Contains(line, " IP "+pi.Addr.Addr().String()+".5353 > 224.0.0.251.5353:") {
				counts[pi.Name]++
			}
		}
	}
	if len(counts) != len(l.Pis) {
		return fmt.Errorf("packets of %d boards were seen, want %d", len(counts), len(l.Pis))
	}
	var all, most int
	for _, n := range counts {
		all += n
		most = max(most, n)
	}
	perMinute := b.watch.Minutes()
	b.target(fmt.Sprintf("  multicast packets per node and minute, N = %d, mean", len(l.Pis)),
		float64(all)/float64(len(l.Pis))/perMinute, 4, "")
	b.target(fmt.Sprintf("  the same, busiest node, N = %d", len(l.Pis)), float64(most)/perMinute, 4, "")
	return nil
}

// resident is the resident memory of a Pi's agent in MB.
func resident(ctx context.Context, pi *lab.Pi) (float64, error) {
	out, err := pi.Exec(ctx, "sh", "-c", "grep -h VmRSS /proc/$(pgrep -xo pi-agent)/status")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(out))
	if len(f) < 2 {
		return 0, fmt.Errorf("no VmRSS in %q", out)
	}
	kib, err := strconv.ParseFloat(f[1], 64)
	return kib * 1024 / 1e6, err
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
