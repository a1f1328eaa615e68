package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Attach is Pi.Command for a Pi of a lab that another process holds.
func Attach(ctx context.Context, id, pi string, argv ...string) (*Cmd, error) {
	pid, err := readPid(filepath.Join(Base(), id, pi))
	if err != nil {
		return nil, err
	}
	if pid == 0 {
		return nil, fmt.Errorf("%s is off, or there is none in lab %s", pi, id)
	}
	enter := func(f func() error) error { return enterPid(pid, piOnly, f) }
	return command(ctx, enter, argv), nil
}

// LogPath is the log of a program of a Pi, as Pi.LogOf shows it, of a lab that any process holds.
func LogPath(id, pi, program string) string {
	return filepath.Join(Base(), id, pi, "log", program+".log")
}

// AwaitEnd returns when the lab that another process holds is closed and cleaned up.
func AwaitEnd(id string) error {
	dir := filepath.Join(Base(), id)
	held, err := lock(filepath.Join(dir, lockName), 0, 0)
	if err == nil {
		return held.Close()
	}
	if errors.Is(err, fs.ErrNotExist) { // the lock goes before the directory does
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = Wait(ctx, 10*time.Millisecond, func(context.Context) error {
			if _, gone := os.Stat(dir); !errors.Is(gone, fs.ErrNotExist) {
				return errors.Join(fmt.Errorf("%s is still there", dir), gone)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("wait for the end of lab %s: %w", id, err)
	}
	return nil
}
