package stacks

// This file reads files, and says what to do about one that cannot be read.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pi-agent/pi-agent/internal/tame"
)

const fileMax = 1 << 20 // bytes

// read returns the text of a file. One that is no regular file could keep its reader waiting for ever.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return tame.Read(f, fileMax, "it", "put what is large into an image or a volume")
}

// hidden are directories whose files systemd keeps from the agent, and from the docker command that it runs.
var hidden = regexp.MustCompile(`^/(home|root|run/user|tmp|var/tmp)/`)

// readRemedy is what to do about a file that cannot be read, by what was said of it; "" when nothing is known. The
// Compose file is in dir.
func readRemedy(dir, path, said string) string {
	to, err := os.Readlink(path)
	linked := err == nil
	if !linked {
		to = path
	} else if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(path), to)
	}
	missing := strings.HasSuffix(said, "no such file or directory")
	denied := strings.HasSuffix(said, "permission denied")
	switch in := hidden.FindString(to); {
	case (missing || denied) && in != "" && in != hidden.FindString(dir+"/"):
		in = strings.TrimSuffix(in, "/")
		return fmt.Sprintf("the agent sees nothing in %s: put the file itself into %s, not a link", in, dir)
	case denied:
		return fmt.Sprintf("let the agent read it: sudo chgrp pi-agent %s && sudo chmod g+r %s", to, to)
	case missing && linked:
		return fmt.Sprintf("it is a link to %s: put the file there", to)
	case missing:
		return "put the file there"
	case strings.HasSuffix(said, "is a directory"):
		return "name a file in it"
	}
	return ""
}
