package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// keyCommand is "pi-agent key new", which writes no file, and "pi-agent key set", which reads the key where nobody sees
// it: in the arguments of a program everybody on the machine does.
func keyCommand(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("pi-agent key", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "Usage of pi-agent key:\n  pi-agent key new\n    \tprint a new random cluster key\n"+
			"  pi-agent key set\n    \tmake the line on standard input the cluster key of this board, from the next boot on "+
			"(as root)")
	}
	if len(args) > 0 && args[0] == "new" {
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, clusterkey.Generate())
		return err
	}
	if len(args) > 0 && args[0] == "set" {
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
		return setKey(os.Stdin, clusterkey.Path)
	}
	if err := parse(flags, args); err != nil {
		return err
	}
	flags.Usage()
	return errUsage
}

// setKey makes what it reads the key in the file at path.
func setKey(from io.Reader, path string) error {
	text, err := tame.Read(from, clusterkey.FileMax, "it", "give "+clusterkey.Bounds)
	if err != nil {
		return fmt.Errorf("read the cluster key: %w", err)
	}
	return clusterkey.Save(string(text), path)
}

// withCard is the key that counts on a board whose settings have none: of the boot partition, or inFile. What is wrong
// there goes to what is wrong with the settings.
func withCard(cfg *config.Config, dirs []string, inFile clusterkey.Phrase, log *zap.Logger) clusterkey.Phrase {
	key, err := keyOnCard(dirs, inFile, log)
	// a partition that cannot be read is told once
	if err != nil && !strings.Contains(fmt.Sprint(cfg.BootErr), err.Error()) {
		cfg.BootErr = errors.Join(cfg.BootErr, err)
	}
	if key.None() && cfg.KeyLost {
		return nobodysKey()
	}
	return key
}

// keyOnCard puts the key on the boot partition in the place of the one in the file, if there is one that was not taken
// from there, as from a partition that is read-only. Of one that is not usable the error tells. The board then needs a
// person, and meanwhile keeps the key it has; where it has none it gets one that nobody has, for without one it would
// trust everybody.
func keyOnCard(dirs []string, inFile clusterkey.Phrase, log *zap.Logger) (clusterkey.Phrase, error) {
	paths, p, err := clusterkey.OnCard(dirs)
	switch {
	case err == nil && len(paths) == 0:
		return inFile, nil
	case err == nil:
		log.Warn(fmt.Sprintf("The cluster key is still in %s: whoever has the card can read it.",
			strings.Join(paths, " and ")))
		return p, nil
	case !inFile.None():
		return inFile, err
	}
	return nobodysKey(), err
}

// nobodysKey is a key that no other board has.
func nobodysKey() clusterkey.Phrase {
	p, _ := clusterkey.Parse(clusterkey.Generate()) // which is always a good one
	return p
}

// clusterKey is the key in the settings, else the one in the file, which may be absent at its default place.
func clusterKey(cfg config.Config, path string, log *zap.Logger) (clusterkey.Phrase, error) {
	phrase, err := clusterkey.ReadFile(path)
	switch {
	case !cfg.Key.None():
		if err == nil && !phrase.Equal(cfg.Key) {
			log.Warn(fmt.Sprintf("The settings have another cluster key than %s: the one in the settings is in force.", path))
		}
		return cfg.Key, nil
	case path == clusterkey.Path && errors.Is(err, fs.ErrNotExist):
		return clusterkey.Phrase{}, elsewhere(path)
	case errors.Is(err, clusterkey.ErrExposed):
		log.Warn(fmt.Sprintf("The cluster key is no secret on this board: %v.", err))
		return phrase, nil
	}
	return phrase, err
}

// elsewhere is nil unless a file beside path, where there is none, has the name that the key has on the boot partition,
// or one with an ending that a program added.
func elsewhere(path string) error {
	dir := filepath.Dir(path)
	others, _ := bootfile.Key.In(dir) // what cannot be read was told by now
	for _, name := range []string{".txt", ".key"} {
		if _, err := os.Stat(path + name); err == nil {
			others = append(others, path+name)
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("%s is not read under this name: call it %s if it has the cluster key, or take it away", others[0],
			path)
	}
	return nil
}
