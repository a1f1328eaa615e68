package prepare

// This file gives a board a name of its own, in hostname(5) and hosts(5).

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// takenPath is where the agent leaves the name that another board has, too. Its directory is the agent's; the path unit
// pi-agent-prepare.path waits for the file.
const takenPath = "/run/pi-agent/name-taken"

// The files of hostname(5) and hosts(5).
const (
	namePath  = "/etc/hostname"
	hostsPath = "/etc/hosts"
)

// givenPath is where it is kept which name this board was given instead of one that is another's: cloud-init and its
// like call a board at every boot as they once were told.
const givenPath = "/var/lib/pi-agent-prepare/name.json"

// Bounds of a host name, in bytes: a label (RFC 1035 section 2.3.4), and the whole in the kernel.
const (
	labelMax = 63
	nameMax  = 64
)

// factoryNames are what images call every board.
var factoryNames = []string{
	"", "localhost", "raspberrypi", "raspberry", "raspbian", "raspi", "rpi", "debian", "ubuntu", "armbian", "dietpi",
	"alarm",
}

// AskForName asks root for another name than the one that is taken. It returns before that is done.
func AskForName(taken string) error {
	if err := renameio.WriteFile(takenPath, []byte(taken+"\n"), 0o644); err != nil {
		return fmt.Errorf("ask for another name: %w", err)
	}
	return nil
}

// rename gives the board another name if it is called as its image was, as another board, or by what is no name. It
// makes hosts(5) know the name, even when somebody has written that file since.
func rename(ctx context.Context, serial peer.Serial, log *zap.Logger) error {
	kernel, err := os.Hostname()
	if err != nil {
		return err
	}
	old, err := readLine(namePath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old = cmp.Or(old, kernel)
	taken, err := readLine(takenPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read which name is taken: %w", err)
	}
	before := readGiven(givenPath, serial)
	name, now := decideName(old, taken, before, serial)
	// Each step is done anew after a power cut before the next one. First of all what the later ones come from.
	if now != before {
		if err := now.write(givenPath); err != nil {
			return fmt.Errorf("rename %q to %q: %w", old, name, err)
		}
	}
	outdated := func(label string) bool {
		return isFactory(label) || !sameLabel(label, name) && (sameLabel(label, old) || sameLabel(label, now.Taken))
	}
	changed, hostsErr := renameInHosts(name, outdated)
	if hostsErr != nil {
		hostsErr = fmt.Errorf("name %q in %s: %w", name, hostsPath, hostsErr)
	}
	label, _, _ := strings.Cut(kernel, ".")
	switch {
	case name == old && !outdated(label):
		if changed {
			log.Info(fmt.Sprintf("%s has the name of this board again: %s.", hostsPath, name))
		}
		return hostsErr
	case name == old:
		old = kernel // only that was called otherwise
	}
	if err := command(ctx, "hostnamectl", "--no-ask-password", "set-hostname", name); err != nil {
		return errors.Join(hostsErr, fmt.Errorf("rename %q to %q: %w", old, name, err))
	}
	switch {
	case !usable(old):
		log.Info(fmt.Sprintf("This board is now called %s; %q is no name for a board.", name, old))
	case now == before && now.Name == name:
		log.Info(fmt.Sprintf("This board is called %s again: it had been called %s, as another board is. "+
			`hostname = "keep" leaves it its name.`, name, old))
	default:
		log.Info(fmt.Sprintf("This board is now called %s; it was %s.", name, old))
	}
	// An avahi that runs already goes on with its name. It has a call that changes it, but one that is just settling a
	// conflict may then be found by neither. At boot it does not run yet, and nothing is to wait for.
	if err := command(ctx, "systemctl", "--no-block", "try-restart", "avahi-daemon.service"); err != nil {
		log.Debug("avahi was not restarted.", zap.Error(err))
	}
	return hostsErr
}

// given is the name that a board was given instead of one that is another's. It holds for the board with that serial
// only: its card may be copied.
type given struct {
	Serial peer.Serial `json:"serial"`
	Taken  string      `json:"taken"`
	Name   string      `json:"name"`
}

// decideName is what a board that is called old is to be called, when another board has the name taken, and what to
// keep of that. What is called as it was before it was given its name has been reset, and gets that name at once: the
// engine starts with it.
func decideName(old, taken string, kept given, serial peer.Serial) (string, given) {
	if !usable(old) {
		old = ""
	}
	name := nameFor(old, "", serial)
	if kept.Taken != "" && strings.EqualFold(name, kept.Taken) {
		name = kept.Name
	}
	if other := nameFor(name, taken, serial); other != name {
		return other, given{serial, name, other}
	}
	return name, kept
}

// readGiven is what is kept in the file at path for this board, zero where that is nothing that is understood.
func readGiven(path string, serial peer.Serial) given {
	text, err := os.ReadFile(path)
	if err != nil {
		return given{}
	}
	return parseGiven(text, serial)
}

// parseGiven is readGiven for the text of the file.
func parseGiven(text []byte, serial peer.Serial) given {
	var g given
	if json.Unmarshal(text, &g) != nil || g.Serial != serial || !usable(g.Taken) || !usable(g.Name) {
		return given{}
	}
	return g
}

func (g given) write(path string) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, append(text, '\n'), 0o644)
}

// usable reports whether a board can have this name: labels of letters, digits, "-" and "_", none of which begins or
// ends with "-". The kernel takes anything.
func usable(name string) bool {
	if len(name) > nameMax {
		return false
	}
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > labelMax || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, foreign) {
			return false
		}
	}
	return true
}

// isFactory reports whether an image calls its board so. localhost is a name of every machine.
func isFactory(label string) bool {
	label = strings.ToLower(label)
	return label != "" && label != "localhost" && slices.Contains(factoryNames, label)
}

// sameLabel reports whether label is the first one of name.
func sameLabel(label, name string) bool {
	first, _, _ := strings.Cut(name, ".")
	return label != "" && strings.EqualFold(label, first)
}

// nameFor is what a board with the name old should be called when taken is the name of another one. A name that is
// neither an image's nor taken stays.
func nameFor(old, taken string, serial peer.Serial) string {
	label, domain, _ := strings.Cut(old, ".")
	suffix := strings.TrimPrefix(serial.Name(), "pi") // such as -bbcc01
	switch {
	case slices.Contains(factoryNames, strings.ToLower(label)):
		return serial.Name()
	case !strings.EqualFold(old, taken), label == serial.Instance():
		return old
	case label == serial.Name():
		label = serial.Instance()
	case strings.HasSuffix(label, suffix):
		return old
	default:
		label = strings.TrimRight(label[:min(len(label), labelMax-len(suffix))], "-") + suffix
	}
	if domain != "" && len(label)+1+len(domain) <= nameMax {
		label += "." + domain
	}
	return label
}

// Hostname is the name in hostname(5), or the kernel's where that is no name that a board can have. It is empty where
// neither is. The file comes first because a service that may change no names is not told by the kernel when one
// changes.
func Hostname() (string, error) {
	name, err := readLine(namePath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if usable(name) {
		return name, nil
	}
	if name, err = os.Hostname(); err != nil || !usable(name) {
		return "", err
	}
	return name, nil
}

// hostsMax bounds what Aliases reads: some people keep lists of advertisers there.
const hostsMax = 64 << 10

// Aliases are the other names in hosts(5) of the board that has this one, such as the one with its domain.
func Aliases(name string) []string {
	f, err := os.Open(hostsPath)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, hostsMax))
	if err != nil {
		return nil
	}
	return aliases(string(text), name)
}

// aliases are the usable names on the lines of a hosts file that have this one.
func aliases(text, name string) (all []string) {
	for line := range strings.Lines(text) {
		entry, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(entry)
		if len(fields) < 3 || !has(fields[1:], name) {
			continue
		}
		for _, f := range fields[1:] {
			if usable(f) && !strings.EqualFold(f, name) && !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// has reports whether a name is among others, in whatever case.
func has(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// readLine is the first line of a file that is neither empty nor a comment.
func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line, nil
		}
	}
	return "", nil
}

// renameInHosts makes the name resolve on the board itself, where sudo looks for it, and reports whether it did not.
func renameInHosts(name string, outdated func(label string) bool) (changed bool, err error) {
	text, err := os.ReadFile(hostsPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	with := inHosts(text, name, outdated)
	if bytes.Equal(text, with) {
		return false, nil
	}
	err = renameio.WriteFile(hostsPath, with, 0o644)
	return err == nil, err
}

// inHosts is the text of a hosts file that has the name. On the line of 127.0.1.1, which Debian gives to a machine's
// own name, it takes the place of names that are outdated. Where no line has it, it gets one.
func inHosts(text []byte, name string, outdated func(label string) bool) []byte {
	const own = "127.0.1.1"
	label, domain, _ := strings.Cut(name, ".")
	var b strings.Builder
	found := false
	for line := range strings.Lines(string(text)) {
		entry, comment, _ := strings.Cut(line, "#")
		fields := strings.Fields(entry)
		changed := false
		if len(fields) > 1 && fields[0] == own {
			names := []string{own}
			for _, f := range fields[1:] {
				if old, domain, dotted := strings.Cut(f, "."); outdated(old) {
					f, changed = label, true
					if dotted {
						f += "." + domain
					}
				}
				if !slices.Contains(names, f) {
					names = append(names, f)
				}
			}
			fields = names
		}
		found = found || len(fields) > 1 && has(fields[1:], name)
		if !changed {
			b.WriteString(line)
			continue
		}
		b.WriteString(fields[0] + "\t" + strings.Join(fields[1:], " "))
		if comment != "" {
			b.WriteString(" #" + strings.TrimRight(comment, "\r\n"))
		}
		b.WriteString("\n")
	}
	if !found {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteString("\n")
		}
		b.WriteString(own + "\t" + name)
		if domain != "" {
			b.WriteString(" " + label)
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}
