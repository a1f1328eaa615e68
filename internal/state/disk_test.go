package state_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/state"
)

// smallDisk mounts a file system of that size, and unmounts it when the test ends.
// retryPace is how often a write is tried again here.
const retryPace = time.Minute

func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
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
	dir := smallDisk(t, "64k")
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
	dir := smallDisk(t, "64k")
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
		go f.Run(ctx, retryPace, zap.New(core))
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

// A card that becomes read-only, or full, is told of though nothing is to be written.
func TestAilingCardIsTold(t *testing.T) {
	dir := smallDisk(t, "2m")
	f, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Error(err)
		}
	}
	core, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		go f.Run(ctx, retryPace, zap.New(core))
		time.Sleep(90 * time.Second)
		remount(syscall.MS_RDONLY)
		time.Sleep(3 * time.Minute)
		remount(0)
		time.Sleep(time.Minute)
		if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the disk is not full: %v", err)
		}
		time.Sleep(3 * time.Minute)
		stop()
	})
	var told []string
	for _, e := range logs.All() {
		told = append(told, e.Message)
	}
	want := []string{
		"This board can keep nothing now: the card is read-only, which is how worn cards fail, restart the board and " +
			"replace the card " +
			"if it happens again: read-only file system.",
		"This board can keep things again.",
		"This board can keep nothing now: the card is full, free some space, for example with docker system prune: no " +
			"space left on device.",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
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
