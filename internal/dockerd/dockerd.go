// Package dockerd tells how a person has set up the Docker Engine of this board: what is on its command line and in its
// daemon.json. It is for when the engine cannot be asked, because it does not run yet, or does not run for that very setting,
// and for settings that it does not tell.
package dockerd

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// DefaultRoot is where an engine keeps its data unless it is told otherwise.
const DefaultRoot = "/var/lib/docker"

const (
	unit         = "docker.service"
	settingsFile = "/etc/docker/daemon.json"
	fileMax      = 1 << 20 // bytes; more is no settings file
	pathMax      = 4096    // bytes, as Linux has it
)

// Setup is how an engine is set up. The zero value is an engine as its package makes it.
type Setup struct {
	Program string // what the service starts, empty when that is not known
	File    string // the file with its settings, whether it is there or not
	// settings are the values by the names that they have in daemon.json: what JSON has for them, or the text of a flag. An
	// engine that is given a setting both ways does not start.
	settings map[string]any
}

// OnThisBoard reads the setup of the engine that systemd would start, within some seconds. What cannot be read counts as not
// set.
func OnThisBoard(ctx context.Context) Setup {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Without systemd there is nothing to show, and an engine that is started some other way is told by its file alone.
	shown, _ := exec.CommandContext(ctx, "systemctl", "show", "--property=ExecStart,Environment,EnvironmentFiles", unit).Output()
	return Read(os.DirFS("/"), string(shown))
}

// Read reads a setup from the files of a board and what "systemctl show" says of the engine's service, which may be nothing.
func Read(root fs.FS, shown string) Setup {
	s := Setup{File: settingsFile, settings: map[string]any{}}
	command, env := service(root, shown)
	if len(command) > 0 {
		s.Program = command[0]
		s.flags(expand(command[1:], env))
	}
	if file := s.text("config-file"); path.IsAbs(file) {
		s.File = path.Clean(file)
	}
	var file map[string]any
	if json.Unmarshal(unmarked(read(root, s.File)), &file) == nil { // an engine with a file that is no JSON does not start
		for name, value := range file {
			if _, both := s.settings[name]; !both {
				s.settings[name] = value
			}
		}
	}
	return s
}

// read is a file of reasonable size, or nothing.
func read(root fs.FS, name string) []byte {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if info, err := fs.Stat(root, name); err != nil || !info.Mode().IsRegular() || info.Size() > fileMax {
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return text
}

// unmarked is a text in UTF-8 without the byte order mark that programs of Windows begin it with, in UTF-8 or UTF-16, which the
// engine takes, too.
func unmarked(text []byte) []byte {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return text[3:]
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		return utf8Of(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		return utf8Of(text[2:], binary.BigEndian)
	}
	return text
}

// utf8Of is a text in UTF-16 as UTF-8.
func utf8Of(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// service is the command of the engine's service, and the environment that is given to it.
func service(root fs.FS, shown string) (command []string, env map[string]string) {
	env = map[string]string{}
	for line := range strings.Lines(shown) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "ExecStart":
			_, argv, _ := strings.Cut(value, "argv[]=")
			argv, _, _ = strings.Cut(argv, " ; ")
			command = words(argv)
		case "Environment":
			for _, w := range words(value) {
				assign(env, w)
			}
		case "EnvironmentFiles":
			file, _, _ := strings.Cut(value, " (")
			for line := range strings.Lines(string(read(root, file))) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
					name, value, _ := strings.Cut(line, "=")
					env[strings.TrimSpace(name)] = strings.Join(words(value), " ")
				}
			}
		}
	}
	return command, env
}

func assign(env map[string]string, word string) {
	if name, value, ok := strings.Cut(word, "="); ok {
		env[name] = value
	}
}

// words are the words of a line, of which quotes keep spaces in one.
func words(line string) (all []string) {
	var word strings.Builder
	var quote rune
	inside := false
	end := func() {
		if inside {
			all = append(all, word.String())
		}
		word.Reset()
		inside = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == ' ' || r == '\t' || r == '\r' || r == '\n':
			end()
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	end()
	return all
}

// expand puts the environment into a command as systemd does: $NAME, which is a word of its own, becomes words, and ${NAME} a
// part of one.
func expand(command []string, env map[string]string) (all []string) {
	for _, w := range command {
		if name, ok := strings.CutPrefix(w, "$"); ok && !strings.HasPrefix(name, "{") {
			all = append(all, words(env[name])...)
			continue
		}
		for name, value := range env {
			w = strings.ReplaceAll(w, "${"+name+"}", value)
		}
		all = append(all, w)
	}
	return all
}

// flagNames are the flags that are called otherwise than their settings.
var flagNames = map[string]string{"g": "data-root", "graph": "data-root", "b": "bridge"}

// switches are the flags that take no word after them.
var switches = map[string]bool{"live-restore": true, "iptables": true, "ip-forward": true, "ip-masq": true, "rootless": true}

// flags takes in the arguments of a command line. A flag that is not known here and has a word after it is taken to own it
// only when that is no flag.
func (s *Setup) flags(args []string) {
	for i := 0; i < len(args); i++ {
		name, ok := strings.CutPrefix(args[i], "-")
		if !ok {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		name, value, given := strings.Cut(name, "=")
		if known := flagNames[name]; known != "" {
			name = known
		}
		switch {
		case given:
		case switches[name]:
			value = "true"
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "-"):
			i++
			value = args[i]
		default:
			value = "true"
		}
		s.settings[name] = value
	}
}

// text is the value of a setting that is a text, empty when it is not set.
func (s Setup) text(name string) string {
	text, _ := s.settings[name].(string)
	return text
}

// Is reports whether a setting has this value: a text, or a bool.
func (s Setup) Is(name string, value any) bool {
	is := s.settings[name]
	want, isBool := value.(bool)
	if text, given := is.(string); given && isBool {
		b, err := strconv.ParseBool(text)
		return err == nil && b == want
	}
	return is == value
}

// Has reports whether a setting is there, whatever its value.
func (s Setup) Has(name string) bool {
	_, has := s.settings[name]
	return has
}

// Feature reports whether an entry of "features" is true.
func (s Setup) Feature(name string) bool {
	all, _ := s.settings["features"].(map[string]any)
	on, _ := all[name].(bool)
	return on
}

// Root is the directory in which the engine keeps its data. last is what it said when it was last asked, which knows more than
// any setting: an engine with user namespaces keeps its data one level below.
func (s Setup) Root(last string) string {
	if !plain(last) {
		last = ""
	}
	set := s.text("data-root")
	if set == "" {
		set = s.text("graph") // in the daemon.json of old
	}
	switch {
	case !plain(set) && last != "":
		return last
	case !plain(set):
		return DefaultRoot
	}
	set = path.Clean(set)
	if strings.HasPrefix(last, strings.TrimSuffix(set, "/")+"/") {
		return last
	}
	return set
}

// plain reports whether a text may be the path of a directory.
func plain(dir string) bool {
	return path.IsAbs(dir) && len(dir) <= pathMax && !strings.ContainsFunc(dir, func(r rune) bool { return r < ' ' || r == 0x7f })
}
