package lab_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

func docker(t *testing.T, p *lab.Pi, args ...string) string {
	t.Helper()
	out, err := p.Docker(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// eventually waits until the manager's list of nodes shows these states, by hostname.
func eventually(t *testing.T, manager *lab.Pi, want map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		got := map[string]string{}
		for line := range strings.Lines(docker(t, manager, "node", "ls", "--format", "{{.Hostname}} {{.Status}}")) {
			name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
			got[name] = state
		}
		same := len(got) == len(want)
		for name := range want {
			same = same && got[name] == want[name]
		}
		if same {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("nodes are %v, want %v", got, want)
		}
	}
}

func TestSwarm(t *testing.T) {
	start := time.Now()
	l := lab.New(t, lab.Options{})
	t.Logf("3 pis are on after %v", time.Since(start))
	if err := l.StartEngines(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("3 engines answer after %v", time.Since(start))

	m := l.Pis[0]
	docker(t, m, "swarm", "init", "--advertise-addr", m.Addr.Addr().String())
	token := docker(t, m, "swarm", "join-token", "-q", "worker")
	for _, p := range l.Pis[1:] {
		docker(t, p, "swarm", "join", "--token", token, m.Addr.Addr().String())
	}
	ready := map[string]string{"pi1": "Ready", "pi2": "Ready", "pi3": "Ready"}
	down := map[string]string{"pi1": "Ready", "pi2": "Ready", "pi3": "Down"}
	eventually(t, m, ready)
	t.Logf("3 nodes are ready after %v", time.Since(start))

	if err := l.Pis[2].PowerOff(); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, down)
	if err := l.Pis[2].PowerOn(); err != nil {
		t.Fatal(err)
	}
	if err := l.Pis[2].StartEngine(); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, ready)

	if err := l.Pis[2].Cut(); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, down)
	if err := l.Pis[2].Mend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, ready)
}
