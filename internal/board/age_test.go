package board_test

import (
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pi-agent/pi-agent/internal/board"
)

func TestAge(t *testing.T) {
	const stat = "1 (my init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name string
		root fstest.MapFS
		want time.Duration
	}{
		{"a board", fstest.MapFS{"proc/uptime": file("90.50 12.3\n"), "proc/1/stat": file(stat + "7 9 9\n")}, 90430 * time.Millisecond},
		{"a container", fstest.MapFS{"proc/uptime": file("1000.00 12.3\n"), "proc/1/stat": file(stat + "99000 9 9\n")}, 10 * time.Second},
		{"hidden", fstest.MapFS{"proc/uptime": file("1000.00 12.3\n")}, 1000 * time.Second},
		{"short", fstest.MapFS{"proc/uptime": file("1000.00 12.3\n"), "proc/1/stat": file("1 (init) S 0")}, 1000 * time.Second},
		{"no number", fstest.MapFS{"proc/uptime": file("1000.00 12.3\n"), "proc/1/stat": file(stat + "x y z")}, 1000 * time.Second},
	} {
		if got, err := board.Age(tt.root); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for name, root := range map[string]fstest.MapFS{"no file": {}, "garbage": {"proc/uptime": file("soon\n")}} {
		if got, err := board.Age(root); err == nil {
			t.Errorf("%s: %v, want an error", name, got)
		}
	}
	if got, err := board.Age(os.DirFS("/")); err != nil || got <= 0 {
		t.Errorf("this machine: %v, %v", got, err)
	}
}
