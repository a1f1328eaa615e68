package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// Multicast reaches nobody. All boards name one of them, which names itself: it tells the others of one another.
func TestWithoutMulticast(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	engines(t, l)
	for _, pi := range l.Pis {
		if err := pi.DropMulticast(); err != nil {
			t.Fatal(err)
		}
		if err := pi.SetConfig(fmt.Sprintf(`peers = ["%v"]`, l.Pis[0].Addr.Addr())); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	took := awaitSwarm(t, 2*time.Minute, lowest(l.Pis), l.Pis)
	t.Logf("one swarm after %v", took.Round(time.Second/10))
	for _, pi := range l.Pis {
		says(t, pi, "Multicast does not pass this network: 2 of 2 boards are met by address only, ")
	}
	for _, pi := range l.Pis[1:] {
		says(t, pi, "1 named in the settings")
	}
	repaired(t, l.Pis[1], "multicast is lost, and the settings name one board (`peers`)", "asks there, and the boards tell one another of the rest",
		"Multicast does not pass this network: 2 of 2 boards are met by address only, 1 named in the settings", took)
}

// knows checks that a board remembers where it met all others.
func knows(pi *lab.Pi, pis []*lab.Pi) error {
	var state struct{ Peers []netip.Addr }
	b, err := os.ReadFile(pi.Path("/var/lib/pi-agent/state.json"))
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	for _, o := range pis {
		met := slices.Contains(state.Peers, o.Addr.Addr()) || slices.Contains(state.Peers, address.Candidate(peer.Serial(o.Serial), 0))
		if err == nil && o != pi && !met {
			err = fmt.Errorf("%s does not remember %s: %v", pi.Name, o.Name, state.Peers)
		}
	}
	return err
}

// The boards form a swarm, then multicast is lost for good, and the power. They find each other where they met before, also
// when somebody has taken them all out of the swarm.
func TestMulticastIsLost(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, time.Minute, leader, l.Pis)
	await(t, 7*time.Minute, func(context.Context) error {
		var errs error
		for _, pi := range l.Pis {
			errs = errors.Join(errs, knows(pi, l.Pis))
		}
		return errs
	})
	powerCut := func() time.Duration {
		t.Helper()
		for _, pi := range l.Pis {
			if err := pi.PowerOff(); err != nil {
				t.Fatal(err)
			}
		}
		for _, pi := range l.Pis {
			if err := errors.Join(pi.PowerOn(), pi.DropMulticast(), pi.StartEngine(), pi.StartAgent()); err != nil {
				t.Fatal(err)
			}
		}
		return awaitSwarm(t, 2*time.Minute, leader, l.Pis)
	}
	powerCut()
	for _, pi := range l.Pis {
		if err := pi.StopAgent(); err != nil {
			t.Fatal(err)
		}
		if _, err := pi.Docker(t.Context(), "swarm", "leave", "--force"); err != nil {
			t.Fatal(err)
		}
	}
	took := powerCut()
	for _, pi := range l.Pis {
		repaired(t, pi, "multicast is lost later, and no settings name anybody", "asks at the addresses where it met the others before",
			"Multicast does not pass this network: 2 of 2 boards are met by address only, 2 remembered from last time.", took)
		if log := pi.Log(); strings.Contains(log, "No board answers") || strings.Contains(log, "announces itself at") {
			t.Errorf("%s complains of what it remembers:\n%s", pi.Name, log)
		}
	}
}

// The access point lets no board reach another one, until somebody turns that off.
func TestClientIsolation(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis...)
	for i, pi := range l.Pis {
		if err := pi.Isolate(true); err != nil {
			t.Fatal(err)
		}
		if err := pi.SetConfig(fmt.Sprintf(`peers = ["%v"]`, l.Pis[1-i].Addr.Addr())); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	const sentence = "No board answers at %v, which peers in the settings names: is it on, and does the network let boards " +
		"reach one another? Client isolation of an access point must be off."
	for i, pi := range l.Pis {
		says(t, pi, fmt.Sprintf(sentence, l.Pis[1-i].Addr.Addr()))
	}
	for _, pi := range l.Pis {
		if err := pi.Isolate(false); err != nil {
			t.Fatal(err)
		}
	}
	leader, other := lowest(l.Pis), l.Pis[0]
	if other == leader {
		other = l.Pis[1]
	}
	took := awaitSwarm(t, 2*time.Minute, leader, l.Pis)
	repaired(t, other, "client isolation of the access point: no board reaches another", "waits for the board that the settings name, and joins when isolation is off",
		fmt.Sprintf(sentence, leader.Addr.Addr()), took)
}
