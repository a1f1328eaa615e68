package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
)

// settingsIn writes a file with these settings, on a board with a serial and without an engine.
func settingsIn(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pi-agent.toml")
	text := fmt.Sprintf("serial = \"10000000aabbcc01\"\ndocker = \"unix://%s\"\n%s",
		filepath.Join(t.TempDir(), "none.sock"), lines)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStatusWithoutAgent(t *testing.T) {
	none := filepath.Join(t.TempDir(), "agent.sock")
	good, bad := settingsIn(t, ""), settingsIn(t, "settel = \"15s\"\n")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"-config", good},
			[]string{"The agent does not run on this board: sudo systemctl start pi-agent. Nor can the Docker Engine be asked",
				"10000000aabbcc01"}},
		{[]string{"-config", good, "-json"}, []string{`{"version":1,`, `"needs":true`, `"serial":"10000000aabbcc01"`}},
		{[]string{"-config", bad}, []string{"and cannot with its settings: " + bad + ":3: there is no setting \"settel\""}},
	} {
		var stdout, stderr bytes.Buffer
		got := run(t.Context(), append([]string{"status", "-socket", none}, tt.args...), &stdout, &stderr)
		if got != int(statusNoAgent) || stderr.Len() > 0 {
			t.Errorf("%v: exit status %d, want %d; stderr %q", tt.args, got, statusNoAgent, stderr.String())
		}
		for _, want := range tt.want {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%v: stdout lacks %q:\n%s", tt.args, want, stdout.String())
			}
		}
	}
}

// showing is an agent that shows a picture until the test ends. It returns the path of its other socket.
func showing(t *testing.T, draw func() picture.Picture) string {
	t.Helper()
	return answering(t, func() ([]byte, error) { return draw().Encode() })
}

// answering is an agent that answers whoever wants to see the picture, until the test ends. It returns the path of its
// other socket.
func answering(t *testing.T, text func() ([]byte, error)) string {
	t.Helper()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	path := filepath.Join(dir, control.StatusName)
	go func() {
		ended <- control.Show(ctx, path, func(context.Context) ([]byte, error) { return text() })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if _, err := control.Status(ctx, path); !errors.Is(err, control.ErrNotRunning) {
			return filepath.Join(dir, "agent.sock")
		}
	}
}

func init() { portsOf = fstest.MapFS{} }

func TestStatus(t *testing.T) {
	warning := picture.Warning{Text: say.Words("1 manager: if pi-3f09a2 fails, the swarm cannot be changed.")}
	socket := showing(t, func() picture.Picture {
		return picture.Picture{Doing: say.Words("This board is a worker."), Warnings: []picture.Warning{warning}}
	})
	for _, tt := range []struct {
		trouble bool
		args    []string
		status  int
		want    string
	}{
		{false, nil, 0, "This board is a worker.\n\n- 1 manager: if pi-3f09a2 fails"},
		{true, nil, int(statusTrouble), "This board is a worker.\n\n! 1 manager: if pi-3f09a2 fails"},
		{true, []string{"-json"}, int(statusTrouble), `{"version":1,`},
	} {
		warning.Trouble = tt.trouble
		var stdout, stderr bytes.Buffer
		got := run(t.Context(), append([]string{"status", "-socket", socket}, tt.args...), &stdout, &stderr)
		if got != tt.status || stderr.Len() > 0 {
			t.Errorf("%v: exit status %d, want %d; stderr %q", tt.args, got, tt.status, stderr.String())
		}
		begins(t, "stdout", stdout.String(), tt.want)
	}
}

// hanging is an agent that takes calls and answers none, until the test ends. It returns the path of its other socket.
func hanging(t *testing.T) string {
	t.Helper()
	before := agentMax
	agentMax = 50 * time.Millisecond
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, control.StatusName)) // the kernel takes calls for it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agentMax = before
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "agent.sock")
}

func TestStatusOfAnAgentThatHangs(t *testing.T) {
	socket, config := hanging(t), settingsIn(t, "")
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"status", "-socket", socket, "-config", config}, &stdout,
		&stderr); got != int(statusNoAgent) || stderr.Len() > 0 {
		t.Errorf("exit status %d, want %d; stderr %q", got, statusNoAgent, stderr.String())
	}
	for _, want := range []string{"The agent of this board hangs: sudo systemctl restart pi-agent.", "10000000aabbcc01"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout.String())
		}
	}
	stdout.Reset()
	if got := run(t.Context(), []string{"doctor", "-socket", socket, "-config", config}, &stdout,
		&stderr); got != int(statusTrouble) {
		t.Errorf("doctor: exit status %d, stderr %q", got, stderr.String())
	}
	if want := "FAIL  agent "; !strings.Contains(stdout.String(), want) {
		t.Errorf("stdout lacks %q:\n%s", want, stdout.String())
	}
}

// Watching goes on while the agent hangs, and after an answer that is not understood.
func TestStatusWatchGoesOn(t *testing.T) {
	good := settingsIn(t, "")
	for name, socket := range map[string]string{
		"hangs":          hanging(t),
		"not understood": answering(t, func() ([]byte, error) { return []byte("{"), nil }),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			out, in := io.Pipe()
			status := make(chan int, 1)
			go func() {
				status <- run(ctx, []string{"status", "-watch", "-socket", socket, "-config", good}, in, in)
				_ = in.Close() // who reads has all
			}()
			lines := bufio.NewScanner(out)
			for seen := 0; seen < 2; {
				if !lines.Scan() {
					t.Fatal("it has ended")
				}
				if strings.Contains(lines.Text(), "hangs: sudo") || strings.Contains(lines.Text(), "pi-agent: the picture") {
					seen++
				}
			}
			stop()
			go func() { _, _ = io.Copy(io.Discard, out) }() // until the test ends
			if got := <-status; got != 0 {
				t.Errorf("exit status %d after an interrupt, want 0", got)
			}
		})
	}
}

func TestStatusWatch(t *testing.T) {
	socket := showing(t, func() picture.Picture { return picture.Picture{Doing: say.Words("Looking."), Needs: true} })
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out, in := io.Pipe()
	status := make(chan int, 1)
	go func() { status <- run(ctx, []string{"status", "-watch", "-socket", socket}, in, io.Discard) }()
	for range 2 {
		b := make([]byte, 64)
		n, err := out.Read(b)
		if err != nil || strings.ContainsRune(string(b[:n]), '\x1b') {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
	stop()
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the test ends
	if got := <-status; got != 0 {
		t.Errorf("exit status %d after an interrupt, want 0", got)
	}
}
