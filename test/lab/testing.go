package lab

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Need skips the test where no lab can be made, and says why. With CI=true in the environment the test fails instead.
func Need(t testing.TB) {
	t.Helper()
	need(t, "dockerd", "containerd", "runc", "docker", "ip", "iptables", "tcpdump")
}

// NeedMachines is Need for a lab that has only machines.
func NeedMachines(t testing.TB) {
	t.Helper()
	need(t, "systemd-nspawn", "mmdebstrap", "unshare", "dnsmasq", "ip", "tcpdump")
}

// NeedBoards is Need for a lab that has only boards.
func NeedBoards(t testing.TB) {
	t.Helper()
	need(t, "qemu-system-aarch64", "fdtput", "mcopy", "ssh", "ssh-keygen", "dnsmasq", "ip")
}

func need(t testing.TB, tools ...string) {
	t.Helper()
	reason := missing(tools)
	switch {
	case reason == "":
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// Must fails the test, which cannot go on, when something has failed.
func Must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func missing(tools []string) string {
	if os.Getuid() != 0 {
		return "a lab needs root"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return "a lab needs " + tool + " in the PATH"
		}
	}
	return ""
}

// tail is how many bytes of each log a failed test shows.
const tail = 6000

// Waited begins the line of a test's log that says how long its lab has waited for its turn. It is for those who add up
// what tests cost.
const Waited = "the lab waited for its turn "

// New makes a lab that ends with the test, or skips the test as Need does. It waits until the machine bears one more,
// so that all tests with labs may be parallel. When the test fails, the end of every log is shown.
//
// A test has one lab of New at a time. What it needs besides it makes with Start.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	if len(o.Machines) > 0 {
		NeedMachines(t)
	}
	if o.Boards {
		NeedBoards(t)
	}
	if len(o.Machines) == 0 && !o.Boards || o.N > 0 {
		Need(t)
	}
	for _, suite := range slices.Compact(slices.Sorted(slices.Values(o.Machines))) {
		// before its turn, for it takes a minute where there is none yet
		if _, err := RootFS(t.Context(), suite); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	p, err := enter(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	if waited := time.Since(began); waited > time.Second {
		t.Logf("%s%.1f s", Waited, waited.Seconds())
	}
	l, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.noSecret(t)
		if t.Failed() {
			l.showLogs(t)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Capture(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// noSecret fails the test when a join token or a cluster key is where it must never be.
func (l *Lab) noSecret(t testing.TB) {
	exposed, err := l.Exposed()
	if err != nil {
		t.Error(err)
	}
	for _, is := range exposed {
		t.Error(is)
	}
}

func (l *Lab) showLogs(t testing.TB) {
	for _, p := range l.Pis {
		for _, name := range p.Logs() {
			showLog(t, p.Name, name, []byte(p.LogOf(name)))
		}
	}
	for _, m := range l.Machines {
		if !m.On() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		journal, err := m.Exec(ctx, "journalctl", "--quiet", "--no-pager", "--lines=100", "--output=short-precise")
		cancel()
		if err != nil {
			t.Log(err)
		}
		showLog(t, m.Name, "systemd", journal)
	}
}

func showLog(t testing.TB, host, name string, log []byte) {
	t.Logf("%s, end of the log of %s:\n%s", host, name, bytes.TrimSpace(log[max(0, len(log)-tail):]))
}
