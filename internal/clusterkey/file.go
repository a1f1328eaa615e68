package clusterkey

// This file reads and writes the file that keeps the key of a board.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/pi-agent/pi-agent/internal/tame"
)

// Path is where the key is kept unless the command line says otherwise. The file has one line, the phrase.
const Path = "/etc/pi-agent/key"

// FileMax bounds the file with the key, in bytes: the longest passphrase, four bytes a character, with room for space
// around it.
const FileMax = 1 << 10

// ErrExposed is the error of a key file that others than its owner may read. The phrase that comes with it is good.
var ErrExposed = errors.New("other users of this machine can read it")

// ReadFile reads the key in the file at path. Its errors name the file, what is wrong and what to do, and never the
// key; fs.ErrNotExist is among them when there is no such file.
func ReadFile(path string) (Phrase, error) {
	text, err := readText(path)
	if err != nil {
		return Phrase{}, err
	}
	p, err := Parse(text)
	if err != nil {
		return Phrase{}, fmt.Errorf("the cluster key in %s is not usable: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Phrase{}, fmt.Errorf("read the cluster key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return p, fmt.Errorf("%s: %w: chmod 600 %s", path, ErrExposed, path)
	}
	return p, nil
}

// readText is the text of the key file at path, without what editors put around it.
func readText(path string) (string, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("read the cluster key: %w: give the file to user id %d with chown", err, os.Geteuid())
	case err != nil:
		return "", fmt.Errorf("read the cluster key: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := tame.Read(f, FileMax, "it", errForm.Error())
	if err != nil {
		return "", fmt.Errorf("the cluster key in %s is not usable: %w", path, err)
	}
	// Some editors on Windows begin a file with a byte order mark.
	return strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")), nil
}

// Save makes text, which must be a key, the content of the file at to, mode 0600, and returns when it is on disk. The
// error says what is wrong, without the text.
func Save(text, to string) error {
	text, err := canonical(text)
	if err != nil {
		return fmt.Errorf("this is no cluster key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("save the cluster key: %w", err)
	}
	if err := renameio.WriteFile(to, []byte(text+"\n"), 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("save the cluster key: %w", err)
	}
	return syncDir(filepath.Dir(to))
}
