package sdnotify_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/sdnotify"
)

// systemd is the manager's end of the socket.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return systemd{t, conn}
}

// heard takes what was sent so far and checks it.
func (s systemd) heard(want ...string) {
	s.t.Helper()
	var got []string
	for buf := make([]byte, 4096); ; {
		if err := s.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			s.t.Fatal(err)
		}
		n, err := s.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			s.t.Fatal(err)
		}
		got = append(got, string(buf[:n]))
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("systemd heard %q, want %q", got, want)
	}
}

func TestNotifier(t *testing.T) {
	s := listen(t)
	n := sdnotify.New(zaptest.NewLogger(t))
	n.Status("waits for the engine")
	n.Status("waits for the engine")
	n.Ready()
	n.Status("serves\nREADY=0")
	n.Status("waits for the engine")
	n.Watchdog()
	n.Stopping()
	s.heard("STATUS=waits for the engine", "READY=1", "STATUS=serves READY=0", "STATUS=waits for the engine", "STOPPING=1")
}

func TestWatchdog(t *testing.T) {
	s := listen(t)
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := sdnotify.New(zaptest.NewLogger(t))
	synctest.Test(t, func(*testing.T) {
		for range 25 { // 2.5 s of the bubble's clock
			n.Watchdog()
			time.Sleep(100 * time.Millisecond)
		}
	})
	s.heard("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1")

	t.Setenv("WATCHDOG_PID", "1")
	sdnotify.New(zaptest.NewLogger(t)).Watchdog() // it is another process's
	core, logs := observer.New(zap.WarnLevel)
	t.Setenv("WATCHDOG_USEC", "soon")
	sdnotify.New(zap.New(core)).Watchdog()
	if logs.Len() != 1 {
		t.Errorf("%d warnings about the watchdog settings, want 1", logs.Len())
	}
	s.heard()
}

func TestStatusIsSaidAgainWhenItWasLost(t *testing.T) {
	s := listen(t)
	here := os.Getenv("NOTIFY_SOCKET")
	n := sdnotify.New(zaptest.NewLogger(t))
	t.Setenv("NOTIFY_SOCKET", here+"-gone")
	n.Status("serves")
	t.Setenv("NOTIFY_SOCKET", here)
	n.Status("serves")
	s.heard("STATUS=serves")
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", "")
	core, logs := observer.New(zap.DebugLevel)
	n := sdnotify.New(zap.New(core))
	n.Ready()
	n.Status("serves")
	n.Watchdog()
	n.Stopping()
	if logs.Len() > 0 {
		t.Errorf("it complains: %v", logs.All())
	}
}
