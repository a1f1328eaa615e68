package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/screen"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/test/lab"
)

// A Compose file on the manager's card is a running service without anybody having typed anything, spread over all boards.
// A broken one keeps nobody from forming a swarm, is said with its line, and is deployed once it is put right.
func TestStacks(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	if err := l.LoadWeb(t.Context()); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	file := stacks.Dir + "/practice.yml"
	write := func(replicas string) {
		t.Helper()
		text := "version: \"3.8\"\nservices:\n  web:\n    image: " + lab.WebImage + "\n    deploy:\n      replicas: " + replicas +
			"\n    volumes:\n      - /etc/hostname:/etc/hostname:ro\n"
		if err := leader.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	says := func(text string) {
		t.Helper()
		await(t, time.Minute, func(context.Context) error {
			if !strings.Contains(leader.Log(), text) {
				return fmt.Errorf("the journal does not say %q:\n%s", text, leader.Log())
			}
			return nil
		})
	}
	write("three")
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	awaitSwarm(t, time.Minute, leader, l.Pis)
	bad := "Stack practice is not deployed: " + file + ":6: services.web.deploy.replicas must be a integer."
	says(bad)
	shown := func(want ...string) { // on every board, and on the screen of the one that leads
		t.Helper()
		await(t, 30*time.Second, func(ctx context.Context) error {
			for _, p := range l.Pis {
				got, status, err := seen(ctx, p)
				if err != nil || !slices.Equal(got.StackErrors, want) || (status == 3) != (len(want) > 0) {
					return fmt.Errorf("%s shows stacks %q, with exit status %d, %v, want %q", p.Name, got.StackErrors, status, err, want)
				}
				out, _, err := tell(ctx, p, nobody, "status")
				if err != nil || strings.Contains(string(out), "! "+bad) != (len(want) > 0) {
					return fmt.Errorf("%s says\n%s, %v", p.Name, out, err)
				}
				issue, err := p.Exec(ctx, "cat", "/run/pi-agent/"+screen.IssueName)
				if err != nil || strings.Contains(string(issue), bad) != (len(want) > 0 && p == leader) {
					return fmt.Errorf("the screen of %s shows %q, %v", p.Name, issue, err)
				}
			}
			return nil
		})
	}
	shown(bad)

	write("3")
	began := time.Now()
	says("Deployed stack practice from " + file + ".")
	on := func(want int) {
		t.Helper()
		await(t, time.Minute, func(ctx context.Context) error {
			out, err := leader.Docker(ctx, "stack", "ps", "practice", "--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}")
			if err != nil {
				return err
			}
			boards := map[string]bool{}
			for line := range strings.Lines(string(out)) {
				if name, state, _ := strings.Cut(line, " "); strings.HasPrefix(state, "Running") {
					boards[name] = true
				}
			}
			if len(boards) != want || strings.Count(string(out), "\n") != want {
				return fmt.Errorf("want one task on each of %d boards, have\n%s", want, out)
			}
			return nil
		})
	}
	on(3)
	t.Logf("from a file put right to three running tasks: %v", time.Since(began).Round(time.Second/10))
	shown()
	write("1")
	on(1)

	// Nothing is deployed twice: not by an agent that starts anew, and not on the other cards.
	services := func() string {
		out, err := leader.Docker(t.Context(), "service", "inspect", "--format", "{{.Version.Index}}", "practice_web")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	before := services()
	if err := leader.StopAgent(); err != nil {
		t.Fatal(err)
	}
	lines := logLines(leader)
	if err := leader.StartAgent(); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(context.Context) error {
		if !strings.Contains(strings.Join(strings.SplitAfter(leader.Log(), "\n")[lines:], ""), "This board is a manager") {
			return fmt.Errorf("the agent has not found its place:\n%s", leader.Log())
		}
		return nil
	})
	pause(t, 15*time.Second)
	if after := services(); after != before {
		t.Errorf("the service has version %s after a restart of the agent, %s before", after, before)
	}
}
