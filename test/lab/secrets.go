package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

// token begins every join token of Docker.
const token = "SWMTKN"

// SetKey gives the Pi a cluster key, which the lab then looks for, see Exposed.
func (p *Pi) SetKey(key string) error {
	p.lab.Secret(key)
	return p.WriteFile(clusterkey.Path, key+"\n", 0o600)
}

// Secret says that this cluster key may be in the files for it only.
func (l *Lab) Secret(key string) { l.secrets = append(l.secrets, key) }

// Exposed says where a join token is, or a cluster key that is none of the files for it: of those that Secret has
// named, and of those that the computers have now.
func (l *Lab) Exposed() (all []string, err error) {
	needles := []string{token}
	for _, key := range append(l.keys(), l.secrets...) {
		needles = append(needles, key, strings.ReplaceAll(key, "-", ""))
	}
	for i, n := range needles {
		needles[i] = strings.ToLower(n)
	}
	slices.Sort(needles)
	needles = slices.Compact(needles)
	err = l.eachText(func(path string, text []byte) {
		for _, n := range needles {
			if bytes.Contains(text, []byte(n)) && !mayHave(path, n) {
				all = append(all, fmt.Sprintf("%.6s... is in %s", n, path))
			}
		}
	})
	return all, err
}

// keys are the cluster keys that the computers have. What is no key is none.
func (l *Lab) keys() (all []string) {
	for _, dir := range l.etc() {
		text, _ := os.ReadFile(filepath.Join(dir, "pi-agent/key")) // which many have not
		if _, err := clusterkey.Parse(string(text)); err == nil {
			all = append(all, strings.TrimSpace(string(text)))
		}
	}
	return all
}

// etc are the directories with what the computers have changed in /etc.
func (l *Lab) etc() (all []string) {
	for _, p := range l.Pis {
		all = append(all, filepath.Join(layer(p.disk(), "/etc"), "upper"))
	}
	for _, m := range l.Machines {
		all = append(all, filepath.Join(m.disk(), "upper/etc"))
	}
	return all
}

// mayHave reports whether a file may have such a secret. What the attacker has in its log is the tests' own affair:
// there are made-up tokens in it, too.
func mayHave(path, needle string) bool {
	if needle == strings.ToLower(token) {
		return filepath.Base(path) == rogueName+".log"
	}
	for _, home := range []string{
		"/pi-agent/key", "/pi-agent.key", "/pi-agent.key.txt", "/pi-agent.toml",
		"/var/cache/debconf/passwords.dat-old", // debconf's own copy, for root only
	} {
		if strings.HasSuffix(path, home) {
			return true
		}
	}
	return false
}

// Find returns the files with this text, or with the same in other cases: logs and journals, the capture, and what the
// computers have written to their disks and to /run. What engines keep for themselves is not looked at.
func (l *Lab) Find(text string) (paths []string, err error) {
	needle := []byte(strings.ToLower(text))
	err = l.eachText(func(path string, text []byte) {
		if bytes.Contains(text, needle) {
			paths = append(paths, path)
		}
	})
	slices.Sort(paths)
	return paths, err
}

// eachText calls f for each file that Find speaks of, with its text in lower case.
func (l *Lab) eachText(f func(path string, text []byte)) error {
	roots := []string{filepath.Join(l.Dir, "lan")}
	for _, p := range l.Pis {
		roots = append(roots, p.Dir)
		if p.On() {
			roots = append(roots, p.Path("/run/pi-agent"))
		}
	}
	for _, m := range l.Machines {
		roots = append(roots, filepath.Join(m.Dir, "log"))
		// programs have the word in them
		for _, dir := range []string{"boot", "etc", "var/cache/debconf", "var/lib", "var/log"} {
			roots = append(roots, filepath.Join(m.disk(), "upper", dir))
		}
		if !m.On() {
			continue
		}
		roots = append(roots, m.Path("/run/pi-agent"), m.Path("/run/log"))
		// Its files may be compressed.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		journal, err := m.Exec(ctx, "journalctl", "--quiet", "--no-pager", "--all", "--output=cat")
		cancel()
		if err != nil {
			return err
		}
		f(m.Name+"/journal", bytes.ToLower(journal))
	}
	for _, root := range roots {
		if err := eachFile(root, f); err != nil {
			return err
		}
	}
	return nil
}

func eachFile(root string, f func(path string, text []byte)) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile, or never made
			return nil
		case err != nil:
			return err
		case d.IsDir() && (strings.HasSuffix(path, "/disk/docker") || strings.HasSuffix(path, "/var/lib/docker")):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			f(path, bytes.ToLower(text))
		}
		return err
	})
}
