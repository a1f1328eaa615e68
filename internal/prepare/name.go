package prepare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// labelMax is the longest label of a host name (RFC 1035 section 2.3.4), in bytes.
const labelMax = 63

// factoryNames are what images call every board.
var factoryNames = []string{
	"", "localhost", "raspberrypi", "raspberry", "raspbian", "raspi", "rpi", "debian", "ubuntu", "armbian", "dietpi", "alarm",
}

// AskForName asks root for another name than the one that is taken. It returns before that is done.
func AskForName(taken string) error {
	if err := renameio.WriteFile(takenPath, []byte(taken+"\n"), 0o644); err != nil {
		return fmt.Errorf("ask for another name: %w", err)
	}
	return nil
}

// rename gives the board another name if it is called as its image was, or as another board.
func rename(ctx context.Context, serial peer.Serial, log *zap.Logger) error {
	old, err := Hostname()
	if err != nil {
		return err
	}
	taken, err := readLine(takenPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read which name is taken: %w", err)
	}
	name := nameFor(old, taken, serial)
	if name == old {
		return nil
	}
	// The other way round a power cut could leave a name that hosts does not have, and nothing that puts it right.
	if err := renameInHosts(old, name); err != nil {
		return fmt.Errorf("rename %q to %q: %w", old, name, err)
	}
	if err := command(ctx, "hostnamectl", "--no-ask-password", "set-hostname", name); err != nil {
		return fmt.Errorf("rename %q to %q: %w", old, name, err)
	}
	log.Info(fmt.Sprintf("This board is now called %s; it was %s.", name, old))
	// An avahi that runs already goes on with its name. It has a call that changes it, but one that is just settling a
	// conflict may then be found by neither. At boot it does not run yet, and nothing is to wait for.
	if err := command(ctx, "systemctl", "--no-block", "try-restart", "avahi-daemon.service"); err != nil {
		log.Debug("avahi was not restarted.", zap.Error(err))
	}
	return nil
}

// nameFor is what a board with the name old should be called when taken is the name of another one. A name that is neither
// an image's nor taken stays.
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
	if domain != "" {
		label += "." + domain
	}
	return label
}

// Hostname is the name that the board was given, or the one that the kernel has where it was given none. Of a later change
// the kernel tells a service nothing that is not to make any.
func Hostname() (string, error) {
	name, err := readLine(namePath)
	if err == nil && name != "" || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return name, err
	}
	return os.Hostname()
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

// renameInHosts makes the new name resolve on the board itself, where sudo looks for it.
func renameInHosts(old, name string) error {
	text, err := os.ReadFile(hostsPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	with := inHosts(text, old, name)
	if bytes.Equal(text, with) {
		return nil
	}
	return renameio.WriteFile(hostsPath, with, 0o644)
}

// inHosts is the text of a hosts file with the name in place of old on the line of 127.0.1.1, which Debian gives to a
// machine's own name, or on a line of its own.
func inHosts(text []byte, old, name string) []byte {
	const own = "127.0.1.1"
	var b strings.Builder
	found := false
	for line := range strings.Lines(string(text)) {
		entry, comment, _ := strings.Cut(line, "#")
		fields := strings.Fields(entry)
		if len(fields) < 2 || fields[0] != own {
			b.WriteString(line)
			continue
		}
		changed := false
		for i, f := range fields[1:] {
			if label, domain, dotted := strings.Cut(f, "."); f == old || dotted && label == old {
				fields[1+i] = strings.TrimSuffix(name+"."+domain, ".")
				changed = true
			}
		}
		found = found || slices.Contains(fields, name)
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
		b.WriteString(own + "\t" + name + "\n")
	}
	return []byte(b.String())
}
