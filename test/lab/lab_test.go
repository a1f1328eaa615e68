package lab_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
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

func join(t *testing.T, worker, manager *lab.Pi) {
	t.Helper()
	token := docker(t, manager, "swarm", "join-token", "-q", "worker")
	docker(t, worker, "swarm", "join", "--token", token, manager.Addr.Addr().String())
}

// eventually waits until the manager's list of nodes shows these states, by hostname.
func eventually(t *testing.T, manager *lab.Pi, want map[string]string) {
	t.Helper()
	lab.Await(t, time.Minute, func(context.Context) error {
		got := map[string]string{}
		for line := range strings.Lines(docker(t, manager, "node", "ls", "--format", "{{.Hostname}} {{.Status}}")) {
			name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
			got[name] = state
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("nodes are %v, want %v", got, want)
		}
		return nil
	})
}

func TestSwarm(t *testing.T) {
	t.Parallel()
	start := time.Now()
	l := lab.New(t, lab.Options{})
	t.Logf("3 pis are on after %v", time.Since(start))
	must(t, l.StartEngines(t.Context()))
	t.Logf("3 engines answer after %v", time.Since(start))

	m, last := l.Pis[0], l.Pis[2]
	docker(t, m, "swarm", "init", "--advertise-addr", m.Addr.Addr().String())
	for _, p := range l.Pis[1:] {
		join(t, p, m)
	}
	ready := map[string]string{"pi1": "Ready", "pi2": "Ready", "pi3": "Ready"}
	down := map[string]string{"pi1": "Ready", "pi2": "Ready", "pi3": "Down"}
	eventually(t, m, ready)
	t.Logf("3 nodes are ready after %v", time.Since(start))

	must(t, last.PowerOff())
	eventually(t, m, down)
	must(t, last.PowerOn())
	must(t, last.StartEngine())
	eventually(t, m, ready)

	must(t, last.Cut())
	eventually(t, m, down)
	must(t, last.Mend())
	eventually(t, m, ready)
}

func TestWebOnEveryPi(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 2})
	must(t, l.StartEngines(t.Context()))
	must(t, l.LoadWeb(t.Context()))
	m := l.Pis[0]
	docker(t, m, "swarm", "init", "--advertise-addr", "eth0")
	join(t, l.Pis[1], m)
	// The routing mesh would need IPVS in the kernel, which not every machine has.
	docker(t, m, "service", "create", "--quiet", "--name", "web", "--mode", "global", "--no-resolve-image",
		"--publish", "mode=host,target=80,published=80",
		"--mount", "type=bind,src=/etc/hostname,dst=/etc/hostname,readonly", lab.WebImage)
	for _, p := range l.Pis {
		var said string
		err := l.InLAN(func() (err error) {
			said, err = get(netip.AddrPortFrom(p.Addr.Addr(), 80))
			return err
		})
		if err != nil || !strings.HasPrefix(said, "hello from "+p.Name+", container ") {
			t.Errorf("%s answers %q, %v", p.Name, said, err)
		}
	}
}

// get speaks just enough HTTP to stay on the calling thread, which is inside the lab.
func get(addr netip.AddrPort) (string, error) {
	conn, err := net.DialTimeout("tcp4", addr.String(), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return body, err
}

func TestEngineRestarts(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 1, EngineArgs: []string{"--live-restore"}})
	p := l.Pis[0]
	must(t, l.StartEngines(t.Context()))
	must(t, l.LoadWeb(t.Context()))
	id := docker(t, p, "run", "-d", lab.WebImage)
	const uptime = "{{.State.Pid}} {{.State.Running}}"
	before := docker(t, p, "inspect", "-f", uptime, id)

	must(t, p.KillEngine())
	must(t, l.StartEngines(t.Context()))
	if after := docker(t, p, "inspect", "-f", uptime, id); after != before {
		t.Errorf("after a crash of the engine the container is %q, was %q", after, before)
	}
	must(t, p.StopEngine())
	must(t, l.StartEngines(t.Context(), "--label=k=again"))
	if labels := docker(t, p, "info", "-f", "{{.Labels}}"); labels != "[k=again]" {
		t.Errorf("labels are %s, want [k=again]", labels)
	}
	must(t, p.StopEngine())
	must(t, p.WriteFile("/etc/docker/daemon.json", `{"labels": ["k=file"]}`, 0o644))
	must(t, l.StartEngines(t.Context()))
	if labels := docker(t, p, "info", "-f", "{{.Labels}}"); labels != "[k=file]" {
		t.Errorf("labels are %s, want [k=file]", labels)
	}
}

func TestEngineThatCannotStart(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 1})
	err := l.StartEngines(t.Context(), "--no-such-option")
	if err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("StartEngines() = %v, want an error that says why", err)
	}
}

func TestEngineOfAnotherRelease(t *testing.T) {
	t.Parallel()
	lab.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tree, err := lab.FetchEngine(ctx, "trixie")
	if err != nil {
		t.Skip(err) // no network, or a machine without apt
	}
	l := lab.New(t, lab.Options{N: 2, Engine: tree})
	must(t, l.StartEngines(ctx))
	m := l.Pis[0]
	if v := docker(t, m, "version", "-f", "{{.Server.Version}}"); !strings.HasPrefix(v, "26.1.") {
		t.Errorf("engine is %s, want 26.1", v)
	}
	docker(t, m, "swarm", "init", "--advertise-addr", "eth0")
	join(t, l.Pis[1], m)
	eventually(t, m, map[string]string{"pi1": "Ready", "pi2": "Ready"})
	must(t, l.LoadWeb(ctx))
	docker(t, m, "run", "-d", lab.WebImage)
}
