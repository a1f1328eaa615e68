package board_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/board"
)

func TestStarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "started")
	if ago, err := board.Started(path); err != nil || ago != 0 {
		t.Fatalf("the first start: %v, %v", ago, err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if ago, err := board.Started(path); err != nil || ago <= 0 || ago > time.Minute {
		t.Errorf("the second start: %v, %v", ago, err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
		t.Errorf("the second start moved the first from %s to %s, %v", first, again, err)
	}
	put := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(fmt.Sprint(-int64(time.Hour)))
	if ago, err := board.Started(path); err != nil || ago < time.Hour {
		t.Errorf("an hour later: %v, %v", ago, err)
	}
	put(fmt.Sprint(math.MaxInt64))
	if ago, err := board.Started(path); err != nil || ago != 0 {
		t.Errorf("after a power-off that the file survived: %v, %v", ago, err)
	}
	put("soon")
	if _, err := board.Started(path); err == nil {
		t.Error("garbage gives no error")
	}
	if _, err := board.Started(filepath.Join(path, "below", "a file")); err == nil {
		t.Error("a place that cannot be gives no error")
	}
}
