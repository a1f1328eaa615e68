package prepare

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestGiveKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	to := "nobody"
	if os.Geteuid() != 0 { // who may give to himself only
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		to = me.Username
	}
	u, err := user.Lookup(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := giveKey(path, to); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if err := os.WriteFile(path, []byte("four red raspberries\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := giveKey(path, "no-such-user"); err != nil {
		t.Errorf("without the user: %v", err)
	}
	for range 2 {
		if err := giveKey(path, to); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		owner := strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Uid), 10)
		if owner != u.Uid || info.Mode().Perm() != 0o600 {
			t.Errorf("it belongs to %s with mode %o, want %s and 600", owner, info.Mode().Perm(), u.Uid)
		}
	}
	link := path + "-link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := giveKey(link, to); err == nil {
		t.Error("a link is followed")
	}
}
