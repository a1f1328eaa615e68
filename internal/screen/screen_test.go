package screen_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/screen"
)

// told is the Notifier behind the screen.
type told struct{ status string }

func (told) Ready()             {}
func (told) Watchdog()          {}
func (n *told) Status(s string) { n.status = s }

func TestScreen(t *testing.T) {
	before := syscall.Umask(0o077) // as the service has it
	defer syscall.Umask(before)
	dir, page, behind := t.TempDir(), "", &told{}
	s := &screen.Screen{
		Notifier: behind, Dir: dir, Name: func() string { return "pi-1" }, Page: func() string { return page }, Log: zaptest.NewLogger(t),
	}
	look := func(name string) (string, os.FileInfo) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b), info
	}
	s.Watchdog()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are there before there is anything to show", left, err)
	}
	s.Status("Looking\x1b[2J for \\u\nboards")
	if behind.status != "Looking\x1b[2J for \\u\nboards" {
		t.Errorf("%q is passed on", behind.status)
	}
	if got, info := look(screen.IssueName); got != "pi-1: Looking [2J for \\\\u boards\n\n" ||
		info.Mode().Perm() != 0o644 {
		t.Errorf("issue %q, %v", got, info.Mode())
	}
	page = "http://10.77.0.129:7380/"
	s.Status("In.")
	want := "pi-1: In.\nhttp://10.77.0.129:7380/\n"
	got, first := look(screen.MotdName)
	if got != want || first.Mode().Perm() != 0o644 {
		t.Errorf("motd %q, %v, want %q", got, first.Mode(), want)
	}
	s.Status("In.")
	if _, again := look(screen.MotdName); !os.SameFile(first, again) {
		t.Error("what has not changed was written")
	}
	page = "http://10.77.0.130:7380/" // the router has given another address
	s.Watchdog()
	if got, _ := look(screen.MotdName); got != "pi-1: In.\nhttp://10.77.0.130:7380/\n" {
		t.Errorf("motd %q after a change of the address", got)
	}
	want = "pi-1: In.\n" + page + "\n"
	problems := []say.Text{say.Words("Stack web is not\n deployed.")}
	s.Problems = func() []say.Text { return problems }
	s.Status("In.")
	if got, _ := look(screen.MotdName); got != want+"Stack web is not  deployed.\n" {
		t.Errorf("motd %q with a problem", got)
	}
	if got, _ := look(screen.IssueName); got != want+"Stack web is not  deployed.\n\n" {
		t.Errorf("issue %q with a problem", got)
	}
	problems = nil
	s.Status("In.")
	if got, _ := look(screen.MotdName); got != want {
		t.Errorf("motd %q once it is solved", got)
	}
	s.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
	s.Close()
}

// A directory that is not there costs a screen, no more.
func TestNoDirectory(t *testing.T) {
	behind := &told{}
	s := &screen.Screen{
		Notifier: behind, Dir: filepath.Join(t.TempDir(),
			"none"), Name: func() string { return "" }, Page: func() string { return "" }, Log: zaptest.NewLogger(t),
	}
	s.Status("In.")
	s.Close()
	if behind.status != "In." {
		t.Errorf("%q is passed on", behind.status)
	}
}
