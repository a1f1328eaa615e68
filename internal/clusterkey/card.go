package clusterkey

// This file takes the key off the boot partition, where anybody who has the card could read it.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pi-agent/pi-agent/internal/bootfile"
)

// takenSuffix marks a file on the boot partition whose key is safe elsewhere. What is in it is no key any more: a power
// cut can leave it half overwritten, and half a key may be taken for a passphrase.
const takenSuffix = ".taken"

// ErrStillThere is the error of a key that is where it belongs, and could not be taken off the boot partition.
var ErrStillThere = errors.New("whoever has the card can still read it there")

// OnCard reads the key in the files of dirs that are meant for it, and returns their paths, without any when there is
// none. All must have one key. The error is one of ReadFile, or names files that have different keys, or one that seems
// to be meant as the key and is called otherwise. That others can read a file is no error: a boot partition has no
// modes.
func OnCard(dirs []string) (paths []string, p Phrase, err error) {
	for _, dir := range dirs {
		here, err := bootfile.Key.In(dir)
		if err != nil {
			return here, Phrase{}, err
		}
		paths = append(paths, here...)
	}
	for i, path := range paths {
		here, err := ReadFile(path)
		switch {
		case errors.Is(err, ErrExposed):
		case err != nil:
			return paths, Phrase{}, err
		}
		if i > 0 && !here.Equal(p) {
			return paths, Phrase{}, fmt.Errorf("%s and %s have different cluster keys: keep the one that is meant",
				paths[0], path)
		}
		p = here
	}
	for _, dir := range dirs {
		if stray, err := strayKey(dir); err != nil {
			return append(paths, stray), Phrase{}, err
		}
	}
	return paths, p, nil
}

// strayKey is a file in dir that seems to be meant as the key and is called otherwise, with what to do about it as the
// error.
func strayKey(dir string) (path string, err error) {
	strays, err := bootfile.Strays(dir, bootfile.Key)
	if err != nil {
		return dir, err
	}
	if len(strays) > 0 {
		return strays[0].Path, strays[0].Err()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil // it is not there: anything else was told above
	}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || !strings.Contains(strings.ToLower(name), "key") || strings.HasSuffix(name, takenSuffix) ||
			bootfile.Key.Fits(name) || bootfile.Aside(name) {
			continue
		}
		path := filepath.Join(dir, name)
		// Other programs have keys there, too, but none of this form.
		if p, _ := ReadFile(path); !p.None() && !p.Weak() {
			return path, bootfile.Stray{Path: path, For: bootfile.Key}.Err()
		}
	}
	return "", nil
}

// Take moves the key from the files of dirs that are meant for it to the file at to, mode 0600, in place of another
// one, and returns what it has done as a sentence, empty when there was nothing to do. Power may go at any instant: the
// key is on disk at to before it is touched where it was, and whole in one of the two places. With the error
// ErrStillThere the key at to is good; with any other, one of OnCard, nothing was changed.
func Take(dirs []string, to string) (done string, err error) {
	from, p, err := OnCard(dirs)
	if err != nil {
		return "", err
	}
	if len(from) > 0 {
		if done, err = store(from[0], p, to); err != nil {
			return "", err
		}
	}
	for _, path := range from {
		// Nothing is overwritten before it has lost its name for good. A partition that is at two places has it once.
		if err := os.Rename(path, path+takenSuffix); !errors.Is(err, fs.ErrNotExist) {
			if err := errors.Join(err, syncDir(filepath.Dir(path))); err != nil {
				return done, fmt.Errorf("the cluster key in %s: %w: %w", path, ErrStillThere, err)
			}
		}
	}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // OnCard has read it
		for _, e := range entries {
			if was, ok := strings.CutSuffix(e.Name(), takenSuffix); !ok || !bootfile.Key.Fits(was) {
				continue
			}
			path := filepath.Join(dir, e.Name())
			if err := wipe(path); err != nil {
				return done, fmt.Errorf("the cluster key in %s: %w: %w", path, ErrStillThere, err)
			}
		}
	}
	return done, nil
}

// store brings the key p, which is in the file from, to the file at to, and returns when it is on disk there.
func store(from string, p Phrase, to string) (done string, err error) {
	old, err := ReadFile(to)
	switch {
	case old.Equal(p):
		return "", syncDir(filepath.Dir(to)) // power may have gone before that
	case errors.Is(err, fs.ErrNotExist):
		done = fmt.Sprintf("The cluster key in %s is now in %s.", from, to)
	default:
		done = fmt.Sprintf("The cluster key in %s replaces the one in %s.", from, to)
	}
	text, err := readText(from)
	if err != nil {
		return "", err
	}
	return done, Save(text, to)
}

// wipe overwrites a file and removes it. What the controller of a card keeps of it is out of reach.
func wipe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // Sync has told what went wrong
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Write(make([]byte, min(info.Size(), FileMax))); err != nil {
		return err
	}
	return errors.Join(f.Sync(), os.Remove(path), syncDir(filepath.Dir(path)))
}

// syncDir returns when the names in a directory are on disk.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
