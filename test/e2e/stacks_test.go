package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/screen"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/test/lab"
)

// lookTime is longer than it takes a manager to look at the files of its stacks once more.
const lookTime = 15 * time.Second

// A Compose file on the manager's card becomes a running service, spread over all boards, without anybody typing
// anything. A broken one keeps nobody from forming a swarm, is reported with its line, and is deployed once it is put
// right.
func TestStacks(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 3, Config: "expect = 3"}, withWeb)
	leader := lowest(l.Pis)
	file := stacks.Dir + "/practice.yml"
	write := func(replicas string) {
		t.Helper()
		must(t, leader.WriteFile(file, `version: "3.8"
services:
  web:
    image: `+lab.WebImage+`
    deploy:
      replicas: `+replicas+`
    volumes:
      - /etc/hostname:/etc/hostname:ro
`, 0o644))
	}
	write("three")
	becomeOne(t, soon, l.Pis)
	bad := "Stack practice is not deployed: " + file +
		":6: services.web.deploy.replicas must be a integer: write it in digits, without quotes."
	says(t, leader, bad)
	shown := func(want ...string) { // on every board, and on the screen of the one that leads
		t.Helper()
		await(t, soon, func(ctx context.Context) error {
			for _, p := range l.Pis {
				got, status, err := seen(ctx, p)
				if err != nil || !slices.Equal(say.English(got.StackErrors), want) || (status == 3) != (len(want) > 0) {
					return fmt.Errorf("%s shows stacks %q, with exit status %d, %v, want %q",
						p.Name, got.StackErrors, status, err, want)
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
	says(t, leader, "Deployed stack practice from "+file+".")
	on := func(want int) {
		t.Helper()
		await(t, soon, func(ctx context.Context) error {
			out, err := leader.Docker(ctx, "stack", "ps", "practice", "--filter", "desired-state=running",
				"--format", "{{.Node}} {{.CurrentState}}")
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
	version := func() string {
		return docker(t, leader, "service", "inspect", "--format", "{{.Version.Index}}", "practice_web")
	}
	before := version()
	stopAgents(t, leader)
	lines := logLines(leader)
	startAgents(t, leader)
	await(t, soon, func(context.Context) error {
		if !strings.Contains(strings.Join(strings.SplitAfter(leader.Log(), "\n")[lines:], ""), "This board is a manager") {
			return fmt.Errorf("the agent has not found its place:\n%s", leader.Log())
		}
		return nil
	})
	pause(t, lookTime)
	if after := version(); after != before {
		t.Errorf("the service has version %s after a restart of the agent, %s before", after, before)
	}
}

// What Docker says of a stack is seen where people look: what it refuses with its line and a remedy, what it leaves out
// as advice on the page and in status of every board, and which image is not on which board. What the stack reads is
// deployed when it changes.
func TestStackAdvice(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 2, Config: "expect = 2"}, withWeb)
	leader := lowest(l.Pis)
	write := func(name, text string) {
		t.Helper()
		must(t, leader.WriteFile(stacks.Dir+"/"+name, text, 0o644))
	}
	saysOnce := func(text string) {
		t.Helper()
		await(t, soon, func(context.Context) error {
			if strings.Count(leader.Log(), text) != 1 {
				return fmt.Errorf("the journal does not say %q once:\n%s", text, leader.Log())
			}
			return nil
		})
	}
	shows := func(status int, text string) { // on every board
		t.Helper()
		for _, p := range l.Pis {
			await(t, soon, tells(p, nobody, "status", status, text))
		}
	}
	file := stacks.Dir + "/home.yml"
	const head = `version: "3.8"
services:
  web:
    image: ` + lab.WebImage + `
    privileged: true
    devices: [/dev/null]
    restart: unless-stopped
    env_file: web.env
`
	const conf = `    configs: [conf]
configs:
  conf:
    file: ./web.conf
`
	write("web.env", "ROOM=12\n")
	write("web.conf", "one\n")
	write("home.yml", head+"    mem_limit: 100m\n"+conf)
	becomeOne(t, soon, l.Pis)
	bad := "Stack home is not deployed: " + file +
		":9: mem_limit of service web is not for a swarm: write deploy: {resources: {limits: {memory: 100m}}}."
	saysOnce(bad)
	shows(3, "! "+bad)

	write("home.yml", head+conf)
	saysOnce("Deployed stack home from " + file + ".")
	advice := "Stack home: service web runs without devices and privileged, which Docker ignores in a swarm (" + file +
		":5)."
	saysOnce(advice)
	shows(0, "- "+advice)

	room := func(want string) {
		t.Helper()
		await(t, soon, func(ctx context.Context) error {
			out, err := leader.Docker(ctx, "service", "inspect",
				"--format", "{{.Spec.TaskTemplate.ContainerSpec.Env}}", "home_web")
			if err == nil && !strings.Contains(string(out), "ROOM="+want) {
				err = fmt.Errorf("the service has %s, want ROOM=%s", out, want)
			}
			return err
		})
	}
	room("12")
	write("web.env", "ROOM=13\n")
	began := time.Now()
	room("13")
	t.Logf("from a changed env_file to the service: %v", time.Since(began).Round(time.Second/10))

	write("web.conf", "two\n")
	bad = "Stack home is not deployed: " + file +
		":11: config home_conf has changed, and Docker changes none that is there: " +
		"write name: home_conf_2 there, which makes a new one."
	saysOnce(bad)
	shows(3, "! "+bad)
	write("home.yml", head+conf+"    name: home_conf_2\n")
	shows(0, "- "+advice)

	write("gone.yml", `version: "3.8"
services:
  gone:
    image: registry.invalid/gone:1
    deploy: {mode: global}
`)
	shows(3, "! gone_gone runs 0 of 2 tasks: there is no image registry.invalid/gone:1 on ")
	await(t, soon, func(ctx context.Context) error {
		out, _, err := tell(ctx, leader, nobody, "status")
		for _, p := range l.Pis {
			if _, on, _ := strings.Cut(string(out), "registry.invalid/gone:1 on "); err == nil &&
				!strings.Contains(strings.SplitN(on, "\n", 2)[0], p.Name) {
				err = fmt.Errorf("the image is not said to be missing on %s:\n%s", p.Name, out)
			}
		}
		return err
	})
	// A service that is not tried again says the same.
	write("once.yml", `version: "3.8"
services:
  once:
    image: registry.invalid/once:1
    deploy: {restart_policy: {condition: none}}
`)
	shows(3, "! once_once runs 0 of 1 tasks: there is no image registry.invalid/once:1 on ")
	out, _, err := tell(t.Context(), leader, nobody, "status")
	t.Logf("%v\n%s", err, out)
}
