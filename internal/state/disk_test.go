package state_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/state"
)

// smallDisk mounts a file system of its own, and unmounts it when the test ends.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestReadOnlyCardKeepsTheNodeKey(t *testing.T) {
	dir := smallDisk(t)
	first, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	again, err := state.Open(dir, serial)
	if err != nil || !again.State().Key().Equal(first.State().Key()) {
		t.Errorf("after the card became read-only: %v, another key", err)
	}
	err = again.Update(func(s *state.State) { s.Membership.Node = "n1" })
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "replace the card") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

func TestFullCardIsWrittenWhenThereIsSpace(t *testing.T) {
	dir := smallDisk(t)
	f, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	err = f.Update(func(s *state.State) { s.Membership.Node = "n1" })
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	if old, err := state.Open(dir, serial); err != nil || !old.State().Key().Equal(f.State().Key()) {
		t.Errorf("the old file is lost: %v", err)
	}
	core, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		go f.Run(ctx, zap.New(core))
		time.Sleep(2*time.Minute + time.Second)
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		stop()
	})
	if n := logs.FilterMessageSnippet("written again").Len(); n != 1 {
		t.Errorf("told %d times that the state is written, want once", n)
	}
	if again, err := state.Open(dir, serial); err != nil || again.State().Membership.Node != "n1" {
		t.Errorf("it was not written: %v", err)
	}
}

func TestNewerFileIsReadAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	content := `{"version":2,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","moon":"full"}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := state.Open(dir, serial)
	if err == nil || !strings.Contains(err.Error(), "newer pi-agent") {
		t.Errorf("error %v", err)
	}
	if key := f.State().NodeKey; len(key) != 32 || key[1] != 1 {
		t.Errorf("the node key is another: %v", key)
	}
	for range 2 { // once it is no news any more
		if err := f.Update(func(s *state.State) { s.Membership.Node = "n1" }); err == nil {
			t.Error("an update that is not kept gives no error")
		}
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != content {
		t.Errorf("the file was changed: %s, %v", kept, err)
	}
}
