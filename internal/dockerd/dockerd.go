// Package dockerd tells how a person has set up the Docker Engine of this board: what is on its command line and in its
// daemon.json. It serves when the engine cannot be asked, because it does not run yet or because that very setting
// keeps it from running, and for settings that the engine does not tell.
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
	"unicode"
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
	// settings are the values by their names in daemon.json: what JSON has for them, or the text of a flag. An engine that
	// is given a setting both ways does not start.
	settings map[string]any
}

// OnThisBoard reads the setup of the engine that systemd would start, within 5 s. What cannot be read counts as not
// set.
func OnThisBoard(ctx context.Context) Setup {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Without systemd there is nothing to show, and an engine that is started some other way is told by its file alone.
	shown, _ := exec.CommandContext(ctx,
		"systemctl", "show", "--property=ExecStart,Environment,EnvironmentFiles", unit).Output()
	return Read(os.DirFS("/"), string(shown))
}

// Read reads a setup from the files of a board and what "systemctl show" says of the engine's service, which may be
// nothing.
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
	// An engine does not start with a file that is not JSON.
	if json.Unmarshal(unmarked(readFile(root, s.File)), &file) == nil {
		for name, value := range file {
			if !s.Has(name) {
				s.settings[name] = value
			}
		}
	}
	return s
}

// readFile is the content of a file of reasonable size, or nothing.
func readFile(root fs.FS, name string) []byte {
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

// unmarked is a text in UTF-8 without the byte order mark that programs of Windows begin it with. As the engine does,
// it takes UTF-16, too, where the mark says so.
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
			for line := range strings.Lines(string(readFile(root, file))) {
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

// expand puts the environment into a command as systemd does: $NAME as a word of its own becomes words, and ${NAME} a
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

// flagNames are the long flags that are called otherwise than their settings.
var flagNames = map[string]string{"graph": "data-root"}

// shortFlags are the flags of one letter, which may stand together after one dash: the settings that they are for,
// empty where that has no place in daemon.json.
var shortFlags = map[byte]string{
	'b': "bridge", 'D': "debug", 'G': "group", 'g': "data-root", 'H': "hosts", 'l': "log-level", 'p': "pidfile",
	's': "storage-driver", 'h': "", 'v': "",
}

// switches are the flags that take no word after them.
var switches = map[string]bool{
	"debug": true, "live-restore": true, "iptables": true, "ip-forward": true, "ip-masq": true, "rootless": true, "": true,
}

// flags takes in the arguments of a command line.
func (s *Setup) flags(args []string) {
	for i := 0; i < len(args); i++ {
		rest := args[i+1:]
		long, isLong := strings.CutPrefix(args[i], "--")
		short, isShort := strings.CutPrefix(args[i], "-")
		taken := false
		switch {
		case isLong && long == "":
			return // no flag comes after it
		case isLong:
			taken = s.long(long, rest)
		case isShort:
			taken = s.short(short, rest)
		}
		if taken {
			i++
		}
	}
}

// long takes in a flag such as data-root=/x, and reports whether the first of the arguments after it is its value. A
// flag that is not known here owns the next argument only when that is no flag.
func (s *Setup) long(flag string, rest []string) (taken bool) {
	name, value, given := strings.Cut(flag, "=")
	if known := flagNames[name]; known != "" {
		name = known
	}
	if !given {
		value = "true"
		if taken = !switches[name] && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"); taken {
			value = rest[0]
		}
	}
	s.settings[name] = value
	return taken
}

// short takes in flags such as D, g/x, g=/x and Dg/x, and reports whether the first of the arguments after them is the
// value of the last one.
func (s *Setup) short(flags string, rest []string) (taken bool) {
	for ; flags != ""; flags = flags[1:] {
		name, known := shortFlags[flags[0]]
		value := flags[1:]
		switch {
		case !known:
			return false // the engine does not start with it
		case len(value) > 1 && value[0] == '=':
			s.settings[name] = value[1:]
			return false
		case switches[name]:
			s.settings[name] = "true"
		case value != "":
			s.settings[name] = value
			return false
		case len(rest) > 0:
			s.settings[name] = rest[0]
			return true
		}
	}
	return false
}

// text is the value of a setting that is a text, empty when it is not set.
func (s Setup) text(name string) string {
	text, _ := s.settings[name].(string)
	return text
}

// Is reports whether a setting has this value: a text, or a bool.
func (s Setup) Is(name string, value any) bool {
	got := s.settings[name]
	want, isBool := value.(bool)
	if text, isFlag := got.(string); isFlag && isBool {
		b, err := strconv.ParseBool(text)
		return err == nil && b == want
	}
	return got == value
}

// Has reports whether a setting is there, whatever its value.
func (s Setup) Has(name string) bool {
	_, ok := s.settings[name]
	return ok
}

// Feature reports whether an entry of "features" is true.
func (s Setup) Feature(name string) bool {
	all, _ := s.settings["features"].(map[string]any)
	on, _ := all[name].(bool)
	return on
}

// Root is the directory in which the engine keeps its data. last is what the engine said when it was last asked, empty
// if never. That knows more than any setting: an engine with user namespaces keeps its data one level below.
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
	return path.IsAbs(dir) && len(dir) <= pathMax && !strings.ContainsFunc(dir, unicode.IsControl)
}
