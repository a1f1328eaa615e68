package lab

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// Need skips the test where no lab can be made, and says why. With CI=true in the environment the test fails instead.
func Need(t testing.TB) {
	t.Helper()
	reason := missing()
	switch {
	case reason == "":
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

func missing() string {
	if os.Getuid() != 0 {
		return "a lab needs root"
	}
	for _, tool := range []string{"dockerd", "containerd", "runc", "docker", "ip", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "a lab needs " + tool + " in the PATH"
		}
	}
	return ""
}

// tail is how many bytes of each log a failed test shows.
const tail = 4000

// New makes a lab that ends with the test, or skips the test as Need does. When the test fails, the end of every log is
// shown.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	Need(t)
	l, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.showLogs(t)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *Lab) showLogs(t testing.TB) {
	for _, p := range l.Pis {
		for _, name := range p.Logs() {
			b := []byte(p.LogOf(name))
			if len(b) > tail {
				b = b[len(b)-tail:]
			}
			t.Logf("%s, end of the log of %s:\n%s", p.Name, name, bytes.TrimSpace(b))
		}
	}
}
