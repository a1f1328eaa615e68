//go:build page

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// busyChanges is how often the number of tasks changes while the pages are open, unless PAGE_CHANGES says so.
const busyChanges = 60

// knownMax is how long a page may take to show what the swarm knows.
const knownMax = 15 * time.Second

// TestPage looks at the pages of a manager and of a worker in a browser while the plug of another worker is pulled. With
// PAGE_SHOTS, pictures of both are left in that directory.
func TestPage(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 3, Config: "expect = 3"})
	engines(t, l)
	if err := l.LoadWeb(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, 2*time.Minute, leader, l.Pis)
	var workers []*lab.Pi
	for _, pi := range l.Pis {
		if pi != leader {
			workers = append(workers, pi)
		}
	}
	before := resident(t, leader)
	_, err := leader.Docker(t.Context(), "service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", "web", "--replicas", "4",
		"--mount", "type=bind,src=/etc/hostname,dst=/etc/hostname,readonly", lab.WebImage)
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("PAGE_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	said := browser(t, l, dir, url(leader), url(workers[0]))
	next := func(want string) {
		t.Helper()
		if got, ok := <-said; !ok || got != want {
			t.Fatalf("the browser says %q, want %q", got, want)
		}
	}
	next("ready")
	if err := workers[1].PowerOff(); err != nil {
		t.Fatal(err)
	}
	await(t, 2*time.Minute, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, leader)
		for _, n := range nodes {
			if n.Hostname == workers[1].Name && n.Status == "Down" {
				return nil
			}
		}
		return fmt.Errorf("%v, %v", nodes, err)
	})
	known := time.Now()
	next("moved")
	took := time.Since(known)
	if took > knownMax {
		t.Errorf("the pages show it %v after the swarm knows it", took)
	}
	next("running") // how long that takes is the engine's affair
	var rest []string
	until := func(want string) {
		t.Helper()
		for line := range said {
			if line == want {
				return
			}
			rest = append(rest, line)
		}
		t.Fatalf("the browser does not say %q but\n%s", want, strings.Join(rest, "\n"))
	}
	until("held")
	files := openFiles(t, leader)
	scale := func(tasks int) {
		if _, err := leader.Docker(t.Context(), "service", "scale", "--detach", fmt.Sprintf("web=%d", tasks)); err != nil {
			t.Fatal(err)
		}
	}
	changes := busyChanges
	if n, err := strconv.Atoi(os.Getenv("PAGE_CHANGES")); err == nil {
		changes = n
	}
	opened := time.Now()
	for i := range changes {
		scale(2 + i%5)
		pause(t, 3*time.Second) // the pages draw every 2 s
	}
	scale(1)
	until("left open")
	if now := openFiles(t, leader); now > files+2 {
		t.Errorf("the agent of %s has %d open files, before it had %d", leader.Name, now, files)
	}
	for line := range said {
		rest = append(rest, line)
	}
	text := strings.Join(rest, "\n")
	for _, want := range []string{workers[1].Name + " is down.", "moves from " + workers[1].Name, "2 de 3 placas listas", "no complaints"} {
		if !strings.Contains(text, want) {
			t.Errorf("the browser does not say %q but\n%s", want, text)
		}
	}
	t.Logf("shown on both pages %v after the swarm knew; %d changes in %v; agent %s before, %s after\n%s",
		took.Round(time.Millisecond), changes, time.Since(opened).Round(time.Second), before, resident(t, leader), text)
}

func url(pi *lab.Pi) string { return fmt.Sprintf("http://%s:7380/", pi.Addr.Addr()) }

// resident is how much memory the agent of a Pi has.
func resident(t *testing.T, pi *lab.Pi) string {
	t.Helper()
	out, err := pi.Exec(t.Context(), "sh", "-c", "grep -h -A30 -x 'Name:.pi-agent' /proc/[0-9]*/status | sed -n 's/^VmRSS:[ \\t]*//p'")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// openFiles is how many files and connections the agent of a Pi has open.
func openFiles(t *testing.T, pi *lab.Pi) int {
	t.Helper()
	out, err := pi.Exec(t.Context(), "sh", "-c", "ls $(grep -l -x 'Name:.pi-agent' /proc/[0-9]*/status | sed 's/status$/fd/') | wc -l")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// browser runs test/page/watch.mjs on the lab's LAN. What it says comes line by line, until it ends well.
func browser(t *testing.T, l *lab.Lab, dir string, urls ...string) <-chan string {
	t.Helper()
	script, err := filepath.Abs("../page/watch.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script, dir}, urls...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.InLAN(cmd.Start); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the browser: %v", err)
		}
	}()
	return said
}
