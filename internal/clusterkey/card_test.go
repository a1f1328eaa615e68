package clusterkey_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

// card is a boot partition beside an /etc, in a directory.
type card struct {
	dirs  []string
	boot  []string // where the key is in each of dirs
	taken string   // where the first of boot is while it is being overwritten
	etc   string
}

func newCard(t *testing.T, dir string) card {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "firmware"), 0o755); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "firmware", "pi-agent.key")
	return card{[]string{filepath.Dir(first), dir}, []string{first, filepath.Join(dir, "pi-agent.key")}, first + ".taken",
		filepath.Join(t.TempDir(), "pi-agent", "key")}
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
			done, err := clusterkey.Take(c.dirs, c.etc)
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
		done, err := clusterkey.Take(c.dirs, c.etc)
		if !errors.Is(err, clusterkey.ErrStillThere) || !strings.Contains(err.Error(), c.boot[1]) {
			t.Errorf("Take() = %q, %v", done, err)
		}
		holds(t, c.etc, key)
	}
	if paths, p, err := clusterkey.OnCard(c.dirs); !slices.Equal(paths, c.boot[1:]) || !p.Equal(mustParse(t, key)) ||
		err != nil {
		t.Errorf("OnCard() finds %q, %v", paths, err)
	}
	remount(0)
	if _, err := clusterkey.Take(c.dirs, c.etc); err != nil {
		t.Error(err)
	}
	holds(t, c.etc, key, c.boot[1], c.boot[1]+".taken")
	if paths, _, err := clusterkey.OnCard(c.dirs); len(paths) > 0 || err != nil {
		t.Errorf("OnCard() finds %q, %v", paths, err)
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
		_, err := clusterkey.Take(c.dirs, c.etc)
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

// The key is taken under every name that clearly means it, and wiped under that name.
func TestTakeUnderOtherNames(t *testing.T) {
	key := clusterkey.Generate()
	for _, names := range [][]string{
		{"pi-agent.key.txt"}, {"PI-AGENT.KEY"}, {"Pi-Agent.Key.TXT"}, {"pi-agent.key.txt.txt"}, {"piagent.key"},
		{"pi-agent.key", "pi-agent.key.txt"}, {"PI-AGENT.KEY", "pi-agent.key.txt"}, {"pi-agent.key.txt", "../pi-agent.key"},
		{"pi-agent.key", "pi-agent.key~", ".pi-agent.key.swp", "._pi-agent.key"},
	} {
		c := newCard(t, t.TempDir())
		var all, asides []string
		for i, name := range names {
			path := filepath.Join(c.dirs[0], name)
			text := []string{key + "\r\n", strings.ToLower(key)}[i%2] // which are one key
			if all = append(all, path, path+".taken"); strings.HasPrefix(filepath.Base(name), ".") ||
				strings.HasSuffix(name, "~") {
				text, all, asides = clusterkey.Generate(), all[:len(all)-2], append(asides, path)
			}
			put(t, path, text)
		}
		done, err := clusterkey.Take(c.dirs, c.etc)
		if err != nil || !strings.Contains(done, " is now in "+c.etc) || !strings.Contains(done, all[0]) &&
			!strings.Contains(done, all[2]) {
			t.Errorf("%q: Take() = %q, %v", names, done, err)
		}
		holds(t, c.etc, key, all...)
		for _, path := range asides {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
		// Power went before one was overwritten.
		put(t, all[0]+".taken", key)
		if done, err := clusterkey.Take(c.dirs, c.etc); done != "" || err != nil {
			t.Errorf("%q: Take() = %q, %v at the next boot", names, done, err)
		}
		holds(t, c.etc, key, all...)
	}
}

// A file that is meant as a key is taken or told of, and nothing is changed before a person has decided.
func TestTakeAsksAPerson(t *testing.T) {
	key, other := clusterkey.Generate(), clusterkey.Generate()
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"two keys", map[string]string{"pi-agent.key": key, "pi-agent.key.txt": other},
			"pi-agent.key.txt have different cluster keys: keep the one that is meant"},
		{"two keys in two cases", map[string]string{"pi-agent.key": key, "PI-AGENT.KEY": other},
			"have different cluster keys"},
		{"two keys at two places", map[string]string{"pi-agent.key": key, "../pi-agent.key": other},
			"have different cluster keys"},
		{"a key and a broken one", map[string]string{"pi-agent.key": key, "pi-agent.key.txt": key[:33]},
			"pi-agent.key.txt is not usable: it looks like a key"},
		{"a broken one with .txt", map[string]string{"pi-agent.key.txt": "short"},
			"pi-agent.key.txt is not usable: it has 5 characters"},
		{"rich text", map[string]string{"pi-agent.key.rtf": "{\\rtf1 " + key + "}"},
			"pi-agent.key.rtf: it is not read under this name: save it as plain text and call it pi-agent.key"},
		{"a second download", map[string]string{"pi-agent (1).key": key}, "pi-agent (1).key: it is not read under this name"},
		{"no ending", map[string]string{"pi-agent.txt": key}, "pi-agent.txt: it is not read under this name"},
		{"another name", map[string]string{"cluster-key.txt": key}, "cluster-key.txt: it is not read under this name"},
		{"another name, at the other place", map[string]string{"../KEY": key}, "KEY: it is not read under this name"},
		{"UTF-16", map[string]string{"pi-agent.key.txt": "\xff\xfe7\x00Q\x00"},
			"pi-agent.key.txt is not usable: it is not UTF-8 text: save it anew"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, t.TempDir())
			for name, text := range tt.files {
				put(t, filepath.Join(c.dirs[0], name), text)
			}
			done, err := clusterkey.Take(c.dirs, c.etc)
			if done != "" || err == nil || errors.Is(err, clusterkey.ErrStillThere) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Take() = %q, %v, want %q", done, err, tt.want)
			}
			for _, text := range tt.files {
				if err != nil && len(text) > 5 && strings.Contains(err.Error(), text) {
					t.Errorf("the key is in the error: %v", err)
				}
			}
			for name, text := range tt.files {
				if now, err := os.ReadFile(filepath.Join(c.dirs[0], name)); err != nil || string(now) != text {
					t.Errorf("%s is now %.20q, %v", name, now, err)
				}
			}
		})
	}
	// Keys of other programs are none of ours.
	c := newCard(t, t.TempDir())
	for name, text := range map[string]string{"server.key": "-----BEGIN PRIVATE KEY-----\n",
		"authorized_keys": "ssh-ed25519 AAAA", "wifi-key.txt": "four red raspberries"} {
		put(t, filepath.Join(c.dirs[0], name), text)
	}
	if done, err := clusterkey.Take(c.dirs, c.etc); done != "" || err != nil {
		t.Errorf("Take() = %q, %v", done, err)
	}
}
