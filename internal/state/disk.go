package state

// This file deals with a card that takes no state: full, read-only, or broken.

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Run writes what a full or read-only card did not take, as soon as the card takes it, until ctx ends. It tries once in
// each period of again. It says when a card begins to fail like that, because the engine on the same card fails next.
func (f *File) Run(ctx context.Context, again time.Duration, log *zap.Logger) {
	tick := time.NewTicker(again)
	defer tick.Stop()
	f.mu.Lock()
	told := f.kept == nil // by Open
	f.mu.Unlock()
	ails, wrote := false, false
	for {
		err := f.ailing()
		switch {
		case err != nil && !ails && !told:
			log.Warn(fmt.Sprintf("This board can keep nothing now: %v.", err))
		case err == nil && ails && !wrote:
			log.Info("This board can keep things again.")
		}
		ails, told = err != nil, false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if wrote, err = f.retry(); err != nil {
			log.Debug("The state still cannot be written.", zap.Error(err))
		} else if wrote {
			log.Info("The state is written again: what this board knows outlives a power cut.")
		}
	}
}

// retry writes the file when it lacks something. It reports whether it did.
func (f *File) retry() (wrote bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept != nil || f.unread != nil {
		return false, nil
	}
	if err := f.write(); err != nil {
		return false, err
	}
	return true, nil
}

// ailing says why the card would not take another state.
func (f *File) ailing() error {
	dir := filepath.Dir(f.path)
	if err := unix.Access(dir, unix.W_OK); errors.Is(err, unix.EROFS) {
		return inWords(err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err == nil && disk.Bavail*uint64(disk.Bsize) < fileMax {
		return inWords(unix.ENOSPC)
	}
	return nil
}

// inWords adds to an error of the card what a person can do about it.
func inWords(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the card is full, free some space, for example with docker system prune: %w", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the card is read-only, which is how worn cards fail, restart the board and replace the card "+
			"if it happens again: %w", err)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("the card has errors, replace it: %w", err)
	}
	return err
}
