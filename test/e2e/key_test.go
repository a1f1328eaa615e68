package e2e

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

const capturePath = "/var/lib/eth0.pcap"

// setKey gives the Pis a cluster key.
func setKey(t *testing.T, key string, pis ...*lab.Pi) {
	t.Helper()
	for _, pi := range pis {
		if err := pi.WriteFile(clusterkey.Path, key+"\n", 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// capture records what the Pi's network interface sees from now on.
func capture(t *testing.T, pi *lab.Pi) {
	t.Helper()
	if _, err := pi.Start("tcpdump", "tcpdump", "-i", "eth0", "-U", "-Z", "root", "-w", capturePath); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := pi.WaitLog(ctx, "tcpdump", "listening on"); err != nil {
		t.Fatal(err)
	}
}

// secrets fails the test when a join token or the key is in the agent's log, its state file, or what went over the
// network.
func secrets(t *testing.T, pi *lab.Pi, key string) {
	t.Helper()
	state, err := os.ReadFile(pi.Path("/var/lib/pi-agent/state.json"))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := os.ReadFile(pi.Path(capturePath))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(packets, []byte("serial="+pi.Serial)) {
		t.Errorf("%s: the announcements are not in what was captured, %d bytes", pi.Name, len(packets))
	}
	for name, text := range map[string][]byte{"log": []byte(pi.Log()), "state file": state, "capture": packets} {
		text = bytes.ToUpper(text)
		for _, secret := range []string{"SWMTKN", key, strings.ReplaceAll(key, "-", "")} {
			if bytes.Contains(text, []byte(strings.ToUpper(secret))) {
				t.Errorf("%s: %q is in the %s", pi.Name, secret, name)
			}
		}
	}
}

func TestRogueWithoutTheKeyIsIgnored(t *testing.T) {
	l := lab.New(t, lab.Options{N: 4})
	engines(t, l)
	members, rogue, key := l.Pis[:3], l.Pis[3], clusterkey.Generate()
	setKey(t, key, members...)
	for _, pi := range members {
		capture(t, pi)
	}
	if err := rogue.StartRogue(); err != nil {
		t.Fatal(err)
	}
	for _, pi := range members {
		if err := pi.StartAgent(); err != nil {
			t.Fatal(err)
		}
	}
	took := awaitSwarm(t, time.Minute, lowest(members), members)
	t.Logf("three Pis with a key are one swarm after %.1f s beside a rogue", took.Seconds())
	for _, pi := range members {
		says(t, pi, "1 other cluster nearby")
		if log := pi.Log(); strings.Contains(log, "pi-000001") || strings.Contains(log, "no cluster key") {
			t.Errorf("%s has met the rogue, or has no key", pi.Name)
		}
		secrets(t, pi, key)
	}
	tries := rogue.LogOf("rogue")
	if strings.Contains(tries, "served ") || strings.Contains(tries, "got ") {
		t.Errorf("the rogue was asked, or let in:\n%s", tries)
	}
	for _, pi := range members {
		if !strings.Contains(tries, "refused /v1/join by "+pi.Addr.Addr().String()+": 403 ") {
			t.Errorf("%s was not asked for the token, or did not refuse it:\n%s", pi.Name, tries)
		}
	}
}

func TestClustersOnOneLANDoNotMix(t *testing.T) {
	l := lab.New(t, lab.Options{N: 4, Config: "settle = \"5s\""})
	engines(t, l)
	setKey(t, clusterkey.Generate(), l.Pis[0])
	setKey(t, clusterkey.Generate(), l.Pis[1])
	setKey(t, "four red raspberries", l.Pis[2]) // the fourth has none
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	for _, pi := range l.Pis {
		await(t, time.Minute, func(ctx context.Context) error { return oneSwarm(ctx, pi, []*lab.Pi{pi}) })
		says(t, pi, "3 other clusters nearby")
	}
	says(t, l.Pis[2], "passphrase, which is weak")
	says(t, l.Pis[3], "There is no cluster key")
	pause(t, 20*time.Second) // in which a manager would find another one
	for _, pi := range l.Pis {
		if err := oneSwarm(t.Context(), pi, []*lab.Pi{pi}); err != nil {
			t.Error(err)
		}
		if strings.Contains(pi.Log(), "Found pi-") {
			t.Errorf("%s has met a board of another cluster", pi.Name)
		}
	}
}
