package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPassed(t *testing.T) {
	dir := t.TempDir()
	built := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	witness, asked := filepath.Join(dir, "state.json"), filepath.Join(dir, "clock-behind")
	witnesses := []string{filepath.Join(dir, "none"), witness}
	const up = time.Hour
	want := func(name string, at time.Time) {
		t.Helper()
		if got, err := passed(built, witnesses, asked, up); err != nil || !got.Equal(at) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, at)
		}
	}
	write := func(path, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want("nothing but the program", built)
	write(witness, "", built.Add(-time.Hour))
	want("an older file", built)
	joined := built.Add(30 * 24 * time.Hour)
	write(witness, "", joined)
	want("since it has joined", joined)
	boot := joined.Add(time.Minute)
	write(asked, fmt.Sprintln(boot.UnixNano()), built)
	want("what the manager's clock says", boot.Add(up))
	write(asked, fmt.Sprintln(built.UnixNano()), built)
	want("a manager that was behind", joined)
	for _, bad := range []string{"yesterday", "1e9", "99999999999999999999999"} {
		write(asked, bad, built)
		got, err := passed(built, witnesses, asked, up)
		if err == nil || !strings.Contains(err.Error(), bad) || !got.Equal(joined) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}
