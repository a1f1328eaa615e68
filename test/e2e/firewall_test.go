package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// wall is a firewall of a Pi on the port of hello and join, put up or taken away. match narrows it down.
func wall(t *testing.T, pi *lab.Pi, up bool, match ...string) {
	t.Helper()
	word := "-D"
	if up {
		word = "-A"
	}
	firewall(t, pi, word, slices.Concat([]string{"-p", "tcp", "--dport", "2378"}, match, []string{"-j", "DROP"}))
}

// firewall changes the rules for what comes in, as iptables takes them.
func firewall(t *testing.T, pi *lab.Pi, how string, rule []string) {
	t.Helper()
	run(t, pi, append([]string{"iptables", "-w", how, "INPUT"}, rule...)...)
}

// without checks all the time that nobody makes a swarm.
func without(t *testing.T, d time.Duration, pis []*lab.Pi) {
	t.Helper()
	ctx := limited(t, d)
	everySecond(ctx, func() {
		for _, pi := range pis {
			if i, err := infoOf(ctx, pi); err == nil && i.Swarm.LocalNodeState != "inactive" {
				t.Fatalf("%s is in a swarm: %s", pi.Name, i.Swarm.LocalNodeState)
			}
		}
	})
}

// A firewall lets multicast through, and no hello, as ufw does: boards that are heard and not reached hold up the first
// swarm, and a person is told whose port to open.
func TestFirewall(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3})
	leader := lowest(l.Pis)
	other := others(leader, l.Pis)[0]
	const (
		heard = "Heard, and not reached at port 2378/tcp: "
		shut  = "Port 2378/tcp of this board is shut to "
		holds = 40 * time.Second // alone, a board made one after 15
	)
	tests := []struct {
		name string
		wall func(up bool)
		says map[*lab.Pi]string // what each asks a person for; nobody is held up when there is nothing
	}{
		{"every board is shut", func(up bool) {
			for _, pi := range l.Pis {
				wall(t, pi, up)
			}
		}, map[*lab.Pi]string{l.Pis[0]: heard, l.Pis[1]: heard, l.Pis[2]: heard}},
		{"one of three is shut", func(up bool) { wall(t, leader, up) },
			map[*lab.Pi]string{leader: shut, other: heard + serialName(leader)}},
		{"shut one way", func(up bool) { wall(t, leader, up, "-m", "mac", "--mac-source", other.MAC) },
			map[*lab.Pi]string{leader: shut + serialName(other), other: heard + serialName(leader)}},
		{"shut at the address that stays", func(up bool) {
			for _, pi := range l.Pis {
				wall(t, pi, up, "-d", "169.254.0.0/16")
			}
		}, nil},
	}
	for i, tt := range tests {
		if i > 0 {
			blank(t, l)
		}
		tt.wall(true)
		startAgents(t, l.Pis...)
		if tt.says == nil {
			t.Logf("%s: one swarm after %v", tt.name, awaitSwarm(t, soon, leader, l.Pis))
			continue
		}
		without(t, holds, l.Pis)
		for pi, sentence := range tt.says {
			says(t, pi, sentence)
			out, status, err := tell(t.Context(), pi, nobody, "status")
			if err != nil || status != 3 || !strings.Contains(string(out), "sudo ufw allow 2378/tcp") {
				t.Errorf("%s: status of %s ends with %d, %v:\n%s", tt.name, pi.Name, status, err, out)
			}
			if strings.HasPrefix(sentence, heard) {
				out, _, err := tell(t.Context(), pi, root, "doctor")
				if err != nil || !strings.Contains(string(out), "FAIL  port 2378/tcp") {
					t.Errorf("%s: doctor of %s says, %v:\n%s", tt.name, pi.Name, err, out)
				}
			}
		}
		tt.wall(false)
		took := awaitSwarm(t, atOnce, leader, l.Pis)
		t.Logf("%s: one swarm %v after it was opened", tt.name, took)
		if i == 0 {
			repaired(t, other, "a firewall shuts port 2378 on every board before there is a swarm",
				"makes no swarm, and names who is not reached, the port and what helps; goes on by itself when it is opened",
				"This board makes no swarm meanwhile, for there could be two. Open the port there: sudo ufw allow 2378/tcp", took)
		}
	}
}

// aloneTime is longer than a board with the setting quick waits before it makes a swarm alone.
const aloneTime = 20 * time.Second

// The only manager is off, and a worker gets a new card: whatever its settings let it do, it finds the worker that is
// left before it makes a swarm, also while it has no address by which the members of a swarm know each other.
func TestNewCardWithoutManager(t *testing.T) {
	t.Parallel()
	key := clusterkey.Generate()
	l := formed(t, lab.Options{N: 3, Config: quick}, withKey(key))
	leader, fresh := l.leader, l.workers[0]
	powerOff(t, leader)
	for range 3 {
		powerOff(t, fresh)
		newCard(t, fresh, key)
		without(t, aloneTime, []*lab.Pi{fresh})
		says(t, fresh, "is in a swarm: waiting for its manager to answer")
	}
	must(t, leader.PowerOn(), leader.StartEngine(), leader.StartAgent())
	await(t, soon, func(ctx context.Context) error {
		infos, _ := infosOf(ctx, l.Pis) // one that does not answer yet has no say
		neverTwo(t, infos)
		return isWorker(fresh)(ctx)
	})
}
