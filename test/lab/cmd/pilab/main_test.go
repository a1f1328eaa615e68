package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pi-agent/pi-agent/test/lab"
)

// TestMain lets the test binary be the holder that "up" starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "hold" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestCommands(t *testing.T) {
	lab.Need(t)
	t.Setenv("PI_LAB_DIR", t.TempDir())
	t.Setenv("PI_LAB", "test")
	t.Setenv("PI_AGENT", "/bin/echo")
	do := func(wantErr bool, args ...string) {
		t.Helper()
		if err := run(args); (err != nil) != wantErr {
			t.Errorf("pilab %q: %v, want error %v", args, err, wantErr)
		}
	}
	do(false, "up", "-n", "2")
	t.Cleanup(func() {
		do(false, "down")
		if _, err := os.Stat(filepath.Join(lab.Base(), "test")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after down: %v, want no directory", err)
		}
	})
	do(true, "up")
	do(false, "exec", "pi1", "--", "docker", "info", "-f", "{{.Name}}")
	do(true, "exec", "pi1", "--", "false")
	do(false, "log", "pi1")
	do(false, "log", "pi1", "dockerd")
	do(false, "cut", "pi2")
	do(false, "unplug", "pi2")
	do(false, "mend", "pi2")
	do(false, "off", "pi2")
	do(true, "exec", "pi2", "--", "true")
	do(true, "off", "pi2")
	do(false, "on", "pi2")
	do(true, "off", "pi3")
	do(false, "reflash", "pi2")
	do(false, "list")
	do(true, "log")
	do(true, "frobnicate")
}
