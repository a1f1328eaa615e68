package clusterkey

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// BootPaths are the places for the key on the boot partition, which any computer can write after flashing a card. The first
// file that is there counts.
var BootPaths = []string{"/boot/firmware/pi-agent.key", "/boot/pi-agent.key"}

// takenSuffix marks a file on the boot partition whose key is safe elsewhere. What is in it is no key any more: a power cut
// can leave it half overwritten, and half a key would be taken for a passphrase.
const takenSuffix = ".taken"

// ErrStillThere is the error of a key that is where it belongs, and could not be taken off the boot partition.
var ErrStillThere = errors.New("whoever has the card can still read it there")

// OnCard reads the key in the first file of paths that is there, and returns its path. Without such a file the path is empty.
// The error is one of ReadFile; that others can read the file is none, for a boot partition has no modes.
func OnCard(paths []string) (path string, p Phrase, err error) {
	for _, path := range paths {
		p, err := ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, ErrExposed):
			err = nil
		}
		return path, p, err
	}
	return "", Phrase{}, nil
}

// Take moves the key from the first file of paths that is there to the file at to, mode 0600, in place of another one, and
// returns what it has done as a sentence, empty when there was nothing to do. Power may go at any instant: the key is on disk
// at to before it is touched where it was, and whole in one of the two places. With the error ErrStillThere the key at to is
// good; with any other, one on the boot partition that is not usable for one, nothing was changed.
func Take(paths []string, to string) (done string, err error) {
	from, p, err := OnCard(paths)
	if err != nil {
		return "", err
	}
	if from != "" {
		if done, err = store(from, p, to); err != nil {
			return "", err
		}
		// Nothing is overwritten before it has lost its name for good.
		if err := errors.Join(os.Rename(from, from+takenSuffix), syncDir(filepath.Dir(from))); err != nil {
			return done, fmt.Errorf("the cluster key in %s: %w: %w", from, ErrStillThere, err)
		}
	}
	for _, path := range paths {
		if err := wipe(path + takenSuffix); err != nil {
			return done, fmt.Errorf("the cluster key in %s: %w: %w", path+takenSuffix, ErrStillThere, err)
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
