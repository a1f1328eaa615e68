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

// drawTime is longer than a page takes to draw anew, every 2 s.
const drawTime = 3 * time.Second

// TestPage looks at the pages of a manager and of a worker in a browser while the plug of another worker is pulled.
// With PAGE_SHOTS, pictures of both are left in that directory.
func TestPage(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"}, withWeb)
	leader, workers := l.leader, l.workers
	before := resident(t, leader)
	deployWeb(t, leader, "--replicas=4")
	dir := os.Getenv("PAGE_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	said := browser(t, l.Lab, dir, url(leader), url(workers[0]))
	next := func(want string) {
		t.Helper()
		if got, ok := <-said; !ok || got != want {
			t.Fatalf("the browser says %q, want %q", got, want)
		}
	}
	next("ready")
	powerOff(t, workers[1])
	await(t, later, func(ctx context.Context) error {
		nodes, err := nodesOf(ctx, leader)
		for _, n := range nodes {
			if n.Hostname == workers[1].Name && n.Status == "Down" {
				return nil
			}
		}
		return fmt.Errorf("%s is not Down: %+v, %v", workers[1].Name, nodes, err)
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
		docker(t, leader, "service", "scale", "--detach", fmt.Sprintf("web=%d", tasks))
	}
	changes := busyChanges
	if n, err := strconv.Atoi(os.Getenv("PAGE_CHANGES")); err == nil {
		changes = n
	}
	opened := time.Now()
	for i := range changes {
		scale(2 + i%5)
		pause(t, drawTime)
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
	for _, want := range []string{workers[1].Name + " is down.", "moves from " + workers[1].Name, "2 de 3 placas listas",
		"no complaints"} {
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
	return run(t, pi, "sh", "-c", "grep -h -A30 -x 'Name:.pi-agent' /proc/[0-9]*/status | sed -n 's/^VmRSS:[ \\t]*//p'")
}

// openFiles is how many files and connections the agent of a Pi has open.
func openFiles(t *testing.T, pi *lab.Pi) int {
	t.Helper()
	out := run(t, pi, "sh", "-c", "ls $(grep -l -x 'Name:.pi-agent' /proc/[0-9]*/status | sed 's/status$/fd/') | wc -l")
	n, err := strconv.Atoi(out)
	must(t, err)
	return n
}

// browser runs test/page/watch.mjs on the lab's LAN. What it says comes line by line, until it ends well.
func browser(t *testing.T, l *lab.Lab, dir string, urls ...string) <-chan string {
	t.Helper()
	script, err := filepath.Abs("../page/watch.mjs")
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script, dir}, urls...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, l.InLAN(cmd.Start))
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
