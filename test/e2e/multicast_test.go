package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// Multicast reaches nobody. All boards name one of them, which names itself: it tells the others of one another.
func TestWithoutMulticast(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3})
	for _, pi := range l.Pis {
		must(t, pi.DropMulticast())
		must(t, pi.SetConfig(naming(l.Pis[0])))
	}
	took := becomeOne(t, later, l.Pis)
	t.Logf("one swarm after %v", took)
	for _, pi := range l.Pis {
		says(t, pi, "Multicast does not pass this network: 2 of 2 boards are met by address only, ")
	}
	for _, pi := range l.Pis[1:] {
		says(t, pi, "1 named in the settings")
	}
	repaired(t, l.Pis[1], "multicast is lost, and the settings name one board (`peers`)",
		"asks there, and the boards tell one another of the rest",
		"Multicast does not pass this network: 2 of 2 boards are met by address only, 1 named in the settings", took)
}

// knows checks that a board remembers where it met all others.
func knows(pi *lab.Pi, pis []*lab.Pi) error {
	var state struct{ Peers []netip.Addr }
	err := readState(pi, &state)
	for _, o := range pis {
		met := slices.Contains(state.Peers, o.Addr.Addr()) || slices.Contains(state.Peers, candidateOf(onPi{o}))
		if err == nil && o != pi && !met {
			err = fmt.Errorf("%s does not remember %s: %v", pi.Name, o.Name, state.Peers)
		}
	}
	return err
}

// writtenMax is how long an agent in a swarm may take to write whom it has met: it spares the card.
const writtenMax = 7 * time.Minute

// The boards form a swarm, then multicast is lost for good, and the power. They find each other where they met before,
// also when somebody has taken them all out of the swarm.
func TestMulticastIsLost(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3}, withKey(clusterkey.Generate()))
	leader := l.leader
	await(t, writtenMax, func(context.Context) error {
		var errs error
		for _, pi := range l.Pis {
			errs = errors.Join(errs, knows(pi, l.Pis))
		}
		return errs
	})
	powerCut := func() time.Duration {
		t.Helper()
		powerOff(t, l.Pis...)
		for _, pi := range l.Pis {
			must(t, pi.PowerOn(), pi.DropMulticast(), pi.StartEngine(), pi.StartAgent())
		}
		return awaitSwarm(t, later, leader, l.Pis)
	}
	powerCut()
	for _, pi := range l.Pis {
		stopAgents(t, pi)
		leaveSwarm(t, pi)
	}
	took := powerCut()
	for _, pi := range l.Pis {
		repaired(t, pi, "multicast is lost later, and no settings name anybody",
			"asks at the addresses where it met the others before",
			"Multicast does not pass this network: 2 of 2 boards are met by address only, 2 remembered from last time.", took)
		if log := pi.Log(); strings.Contains(log, "No board answers") || strings.Contains(log, "announces itself at") {
			t.Errorf("%s complains of what it remembers:\n%s", pi.Name, log)
		}
	}
}

// The access point lets no board reach another one, until somebody turns that off.
func TestClientIsolation(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 2}, withKey(clusterkey.Generate()))
	for i, pi := range l.Pis {
		must(t, pi.Isolate(true))
		must(t, pi.SetConfig(naming(l.Pis[1-i])))
	}
	startAgents(t, l.Pis...)
	const sentence = "No board answers at %v, which peers in the settings names: is it on, " +
		"and does the network let boards reach one another? Client isolation of an access point must be off."
	for i, pi := range l.Pis {
		says(t, pi, fmt.Sprintf(sentence, l.Pis[1-i].Addr.Addr()))
	}
	for _, pi := range l.Pis {
		must(t, pi.Isolate(false))
	}
	leader := lowest(l.Pis)
	other := others(leader, l.Pis)[0]
	took := awaitSwarm(t, later, leader, l.Pis)
	repaired(t, other, "client isolation of the access point: no board reaches another",
		"waits for the board that the settings name, and joins when isolation is off",
		fmt.Sprintf(sentence, leader.Addr.Addr()), took)
}
