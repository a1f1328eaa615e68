package clusterkey_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

// card is a boot partition beside an /etc, in a directory.
type card struct {
	boot  []string
	taken string // where the first of boot is while it is being overwritten
	etc   string
}

func newCard(t *testing.T, dir string) card {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "firmware"), 0o755); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "firmware", "pi-agent.key")
	return card{[]string{first, filepath.Join(dir, "pi-agent.key")}, first + ".taken", filepath.Join(t.TempDir(), "pi-agent", "key")}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holds checks that the file has the key and the mode of one, and that none of the others is there.
func holds(t *testing.T, path, key string, gone ...string) {
	t.Helper()
	p, err := clusterkey.ReadFile(path)
	if err != nil || !p.Equal(mustParse(t, key)) {
		t.Errorf("%s has another key than the one expected, error %v", path, err)
	}
	for _, path := range gone {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func TestTake(t *testing.T) {
	key, old := clusterkey.Generate(), clusterkey.Generate()
	for _, tt := range []struct {
		name, text, etc, taken string
		done                   string
	}{
		{"first start", key, "", "", "is now in"},
		{"from Windows", "\ufeff" + key + " \t\r\n\r\n", "", "", "is now in"},
		{"a new key", key, old, "", "replaces the one in"},
		{"in place of one that is not usable", key, "short", "", "replaces the one in"},
		{"power went after it was stored", key, key, "", ""},
		{"power went before it was overwritten", "", key, key, ""},
		{"power went while it was overwritten", "", key, strings.Repeat("\x00", 14) + key[14:], ""},
		{"once more after that", key, old, key[:3], "replaces the one in"},
		{"nothing to do", "", key, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, t.TempDir())
			for path, text := range map[string]string{c.boot[0]: tt.text, c.etc: tt.etc, c.taken: tt.taken} {
				if text != "" {
					put(t, path, text)
				}
			}
			if err := os.MkdirAll(filepath.Dir(c.etc), 0o755); err != nil {
				t.Fatal(err)
			}
			_ = os.Chmod(c.etc, 0o600) // where there is one
			done, err := clusterkey.Take(c.boot, c.etc)
			if err != nil || !strings.Contains(done, tt.done) || (done == "") != (tt.done == "") {
				t.Errorf("Take() = %q, %v, want %q", done, err, tt.done)
			}
			holds(t, c.etc, key, c.boot[0], c.taken)
		})
	}
}

func TestTakeFromAReadOnlyPartition(t *testing.T) {
	dir := ownMount(t)
	key, c := clusterkey.Generate(), newCard(t, dir)
	put(t, c.boot[1], key+"\r\n")
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	for range 2 {
		done, err := clusterkey.Take(c.boot, c.etc)
		if !errors.Is(err, clusterkey.ErrStillThere) || !strings.Contains(err.Error(), c.boot[1]) {
			t.Errorf("Take() = %q, %v", done, err)
		}
		holds(t, c.etc, key)
	}
	if path, p, err := clusterkey.OnCard(c.boot); path != c.boot[1] || !p.Equal(mustParse(t, key)) || err != nil {
		t.Errorf("OnCard() finds %q, %v", path, err)
	}
	remount(0)
	if _, err := clusterkey.Take(c.boot, c.etc); err != nil {
		t.Error(err)
	}
	holds(t, c.etc, key, c.boot[1], c.boot[1]+".taken")
	if path, _, err := clusterkey.OnCard(c.boot); path != "" || err != nil {
		t.Errorf("OnCard() finds %q, %v", path, err)
	}
}

// ownMount is a file system of its own, which only the thread of this test sees and which goes with it.
func ownMount(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root to mount a file system")
		}
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestTakeLeavesWhatIsNoKey(t *testing.T) {
	old := clusterkey.Generate()
	for _, text := range []string{"short", "", "two\nlines of words", strings.Repeat("x", 2000)} {
		c := newCard(t, t.TempDir())
		put(t, c.boot[0], text)
		put(t, c.etc, old)
		_, err := clusterkey.Take(c.boot, c.etc)
		if err == nil || errors.Is(err, clusterkey.ErrStillThere) || !strings.Contains(err.Error(), c.boot[0]) ||
			!strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("%.20q: error %v, want the file and a remedy", text, err)
		}
		for path, want := range map[string]string{c.boot[0]: text, c.etc: old} {
			if now, err := os.ReadFile(path); err != nil || string(now) != want {
				t.Errorf("beside %.20q %s is now %.20q, %v", text, path, now, err)
			}
		}
	}
}
