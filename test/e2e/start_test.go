package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/test/lab"
)

// What is not there yet when the agent of pi1 starts must not keep the three from becoming a swarm once it is.
func TestStartedTooEarly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		boot     lab.Link // of pi1; the others have a network
		noEngine bool
		sentence string
		then     func(*lab.Pi) error
	}{
		{"before the engine", lab.Link{}, true, "Waiting for the Docker Engine", func(pi *lab.Pi) error {
			return pi.StartEngine()
		}},
		{"before the link is up", lab.Link{Down: true}, false, "Waiting for the network", func(pi *lab.Pi) error {
			if err := pi.LinkUp(); err != nil {
				return err
			}
			return pi.SetAddr(pi.Addr)
		}},
		{"before there is an address", lab.Link{NoAddr: true}, false, "Waiting for the network", func(pi *lab.Pi) error {
			return pi.SetAddr(pi.Addr)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := lab.New(t, lab.Options{N: 3, Off: true})
			pi := l.Pis[0]
			for _, p := range l.Pis {
				state := lab.Link{}
				if p == pi {
					state = tt.boot
				}
				must(t, p.Boot(state))
				if p != pi || !tt.noEngine {
					startEngines(t, []*lab.Pi{p})
				}
			}
			startAgents(t, pi)
			says(t, pi, tt.sentence)
			must(t, tt.then(pi))
			startAgents(t, l.Pis[1:]...)
			awaitSwarm(t, later, lowest(l.Pis), l.Pis)
		})
	}
}

func TestWithoutDefaultRoute(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Off: true, Config: "expect = 3"})
	for _, pi := range l.Pis {
		must(t, pi.Boot(lab.Link{NoRoute: true}))
	}
	engines(t, l)
	becomeOne(t, soon, l.Pis)
}

func TestBesideAvahi(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 4, Config: "expect = 3"})
	pis, watcher := l.Pis[:3], l.Pis[3]
	startEngines(t, pis)
	must(t, watcher.StartAvahi(t.Context()))
	must(t, pis[0].StartAvahi(t.Context())) // before the agent
	startAgents(t, pis...)
	must(t, pis[1].StartAvahi(t.Context())) // after the agent
	awaitSwarm(t, soon, lowest(pis), pis)

	for _, from := range []*lab.Pi{watcher, pis[0], pis[1]} {
		await(t, later, func(ctx context.Context) error {
			out, err := from.Exec(ctx, "avahi-browse", "--resolve", "--terminate", "--parsable", "_pi-agent._tcp")
			if err != nil {
				return err
			}
			for _, pi := range pis {
				if err := browsed(string(out), pi); err != nil {
					return fmt.Errorf("avahi-browse on %s: %w:\n%s", from.Name, err, out)
				}
			}
			return nil
		})
	}

	gone := pis[2]
	stopAgents(t, gone)
	await(t, atOnce, func(ctx context.Context) error {
		out, err := watcher.Exec(ctx, "avahi-browse", "--cache", "--parsable", "_pi-agent._tcp")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, ";IPv4;pi-"+gone.Serial) {
				return fmt.Errorf("%s said goodbye and is still in avahi's cache", gone.Name)
			}
		}
		return nil
	})
}

// browsed looks for the resolved line of a Pi in the output of avahi-browse.
func browsed(out string, pi *lab.Pi) error {
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSpace(line), ";", 10)
		if len(f) < 10 || f[0] != "=" || f[3] != "pi-"+pi.Serial || f[2] != "IPv4" {
			continue
		}
		state := "state=worker"
		if strings.Contains(pi.Log(), "is a manager of swarm") {
			state = "state=manager"
		}
		for _, want := range []string{"v=1", "serial=" + pi.Serial, "cluster=pi", state} {
			if !strings.Contains(f[9], `"`+want+`"`) {
				return fmt.Errorf("%s has TXT %s, want %s", pi.Name, f[9], want)
			}
		}
		// Of the two addresses avahi shows either.
		at := []string{pi.Addr.Addr().String(), candidateOf(onPi{pi}).String()}
		if f[6] != "pi-"+pi.Serial+".local" || !slices.Contains(at, f[7]) || f[8] != "2378" {
			return fmt.Errorf("%s is at %s, %s, port %s", pi.Name, f[6], f[7], f[8])
		}
		return nil
	}
	return fmt.Errorf("%s is not listed", pi.Name)
}
