package board

// This file has what the kernel tells of time: since the boot, since the agent was first started, and of the clock.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Started is how long ago the agent was first started since the board was switched on. It is kept in the file at path,
// which must be on a file system that is empty after power-off, such as /run. It does not change when the clock is set.
func Started(path string) (time.Duration, error) {
	now, err := SinceBoot()
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, note(path, now)
	}
	if err != nil {
		return 0, fmt.Errorf("since when the agent runs: %w", err)
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("since when the agent runs: %s has %.40q", path, text)
	}
	if at := time.Duration(ns); at <= now {
		return now - at, nil
	}
	return 0, note(path, now) // from before the last power-off, which it should not have survived
}

func note(path string, now time.Duration) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("note since when the agent runs: %w", err)
	}
	if err := os.WriteFile(path, fmt.Appendln(nil, int64(now)), 0o600); err != nil {
		return fmt.Errorf("note since when the agent runs: %w", err)
	}
	return nil
}

// SinceBoot is the time since the kernel started, sleep included. It does not change when the clock is set.
func SinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read the time since boot: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// ClockSynced reports whether a time server sets the clock. It asks the kernel, whatever program does that.
func ClockSynced() (bool, error) {
	state, err := unix.Adjtimex(&unix.Timex{})
	if err != nil {
		return false, fmt.Errorf("ask whether a time server sets the clock: %w", err)
	}
	return state != unix.TIME_ERROR, nil
}
