// Package config reads pi-agent.toml, and over it the one on the boot partition. It is strict: a key that is not known,
// a value of the wrong type or out of bounds is an error that names file, line, key and what may be given.
package config

import (
	"bytes"
	_ "embed" // for Reference
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Path is where the settings are unless the command line says otherwise.
const Path = "/etc/pi-agent/pi-agent.toml"

// fileMax bounds the file, in bytes.
const fileMax = 64 << 10

// AutoManagers lets the number of managers follow the number of boards.
const AutoManagers = -1

// Reference is the commented file with every key and its default. It changes nothing when it is used as it is.
//
//go:embed reference.toml
var Reference string

// Config is the settings.
type Config struct {
	Expect    int               // boards expected, 0 to 64; 0 is not known
	Settle    time.Duration     // how long no new board may appear before the election, 5 s to 5 min
	Managers  int               // managers of the swarm: 1, 3, 5 or 7, or AutoManagers; 0 leaves them as they are
	Cluster   string            // name of the cluster, as peer.CheckCluster wants it
	Key       clusterkey.Phrase // as given here; none leaves it to the file that has the key alone
	Interface string            // name of the cluster interface; empty chooses
	Peers     []netip.Addr      // other boards to ask where multicast is lost, at most 16; IPv4 unicast
	LinkLocal bool              // whether a swarm made anew uses an address that the board keeps itself
	Deny      []peer.Serial     // boards that are kept out, at most 64
	Serial    peer.Serial       // serial of a board that has none; empty asks the board
	Rename    bool              // whether a name of the image or of another board is changed
	Docker    string            // address of the Docker Engine, unix:// and an absolute path
	Web       string            // where the page listens, such as ":7380"; empty for no page
	Light     bool              // whether the green light says where the board stands
	Log       zapcore.Level     // info or debug

	DockerWithoutSudo bool // whether the user with id 1000 is put into group docker

	// KeyLost is whether a key was meant to be among settings that are wrong, so that the board must not do without one.
	KeyLost bool
	// Boot is the file on the boot partition that was read; empty without one.
	Boot string
	// BootErr is what is wrong with it, a line for each problem, nil when all is well. Settings in it that are not
	// wrong are in force.
	BootErr error
}

// Default returns the settings of an empty file.
func Default() Config {
	var text bytes.Buffer
	for _, s := range settings {
		fmt.Fprintf(&text, "%s = %s\n", s.key, s.byDefault)
	}
	c, err := parse(Config{}, "defaults", text.Bytes())
	if err != nil {
		panic("config: " + err.Error())
	}
	return c
}

// Load reads the file at path, and when that is the default Path also the one on the boot partition, which wins over it
// key by key. There need not be a file at the default Path; one that was named must be there, and stands alone. A
// mistake in the file at path is an error. One on the boot partition is in BootErr: that board may have neither screen
// nor keyboard, so it must start and say what is wrong.
func Load(path string) (Config, error) {
	if path == Path {
		return load(path, bootfile.Dirs)
	}
	return over(Default(), path)
}

// load reads the file at path, and over it the one in the first of dirs that has some.
func load(path string, dirs []string) (Config, error) {
	c, err := over(Default(), path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, err
	}
	var strays []error
	for _, dir := range dirs {
		all, err := bootfile.Strays(dir, bootfile.Settings)
		strays = append(strays, err) // that dir cannot be read is said once, and is enough
		for _, stray := range all {
			strays = append(strays, stray.Err())
			c.KeyLost = c.KeyLost || mentionsKey(stray.Path)
		}
	}
	for _, dir := range dirs {
		paths, err := bootfile.Settings.In(dir)
		if err != nil || len(paths) == 0 {
			continue
		}
		c = overOneOf(c, paths)
		break
	}
	c.BootErr = errors.Join(append([]error{c.BootErr}, strays...)...)
	return c, nil
}

// overOneOf reads the one of paths that sets something over the settings c. Where several do, and not the same, none
// counts.
func overOneOf(c Config, paths []string) Config {
	path := paths[0]
	var first []byte
	for _, p := range paths {
		text, err := read(p)
		switch {
		case err == nil && setsNothing(text):
			continue
		case first != nil && !bytes.Equal(text, first):
			c.BootErr = fmt.Errorf("%s and %s have different settings: keep the one that is meant", path, p)
			c.KeyLost = c.KeyLost || mentionsKey(path) || mentionsKey(p)
			return c
		case first == nil:
			path, first = p, append([]byte{}, text...)
		}
	}
	with, err := over(c, path)
	with.Boot, with.BootErr = path, err
	with.KeyLost = with.KeyLost || err != nil && with.Key.None() && mentionsKey(path)
	return with
}

// setsNothing reports whether a file has nothing but comments, as the one on a new image.
func setsNothing(text []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// keyLine is a line that is meant to set the key.
var keyLine = regexp.MustCompile(`(?im)^[\s\p{Cf}"'“”]*` + keySetting + `[\s"'“”]*[=:]`)

// mentionsKey reports whether a file that is not followed is meant to set the key. One that cannot be read may be.
func mentionsKey(path string) bool {
	text, err := read(path)
	text = bytes.TrimLeft(bytes.ReplaceAll(text, []byte{0}, nil), "\xff\xfe") // as far as UTF-16 shows it
	return err != nil || keyLine.Match(text)
}

// read is the text of the file at path.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := tame.Read(f, fileMax, path, "take out what is no setting")
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return text, nil
}

// over reads the file at path over the settings c. With an error come the settings that are not wrong.
func over(c Config, path string) (Config, error) {
	text, err := read(path)
	if err != nil {
		return c, err
	}
	return parse(c, path, text)
}

// parse reads the text of the file at path over the settings c. Its error joins what is wrong, in the order of the
// file, each with its line in the form file:line that editors follow; with it come the settings that are not wrong.
func parse(c Config, path string, text []byte) (Config, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // what some editors on Windows begin a file with
	at := func(line int, what string) error { return fmt.Errorf("%s:%d: %s", path, line, what) }
	number := 0
	for line := range bytes.Lines(text) {
		if number++; !utf8.Valid(line) {
			return c, at(number, "the file is not UTF-8 text: save it anew with the encoding UTF-8")
		}
	}
	values := map[string]any{}
	if err := toml.Unmarshal(text, &values); err != nil {
		return c, at(misspelt(text, err))
	}
	// An empty struct has room for no key, so the decoder tells where each of them is.
	places := &toml.StrictMissingError{}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&struct{}{})
	if err != nil && !errors.As(err, &places) {
		return c, at(misspelt(text, err))
	}
	var wrong []error
	for _, place := range places.Errors {
		line, _ := place.Position()
		key := place.Key()[0]
		value, ok := values[key]
		if !ok {
			continue // another line of a table that was looked at
		}
		delete(values, key)
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
		with := c
		switch {
		case i < 0:
			wrong = append(wrong, at(line, fmt.Sprintf("there is no setting %q; there are %s", key, strings.Join(keys(), ", "))))
		case !settings[i].set(&with, value):
			what := fmt.Sprintf("%s = %s is not possible: %s", key, shown(key, value), remedy(settings[i], value))
			wrong = append(wrong, at(line, what))
		default:
			c = with
		}
	}
	return c, errors.Join(wrong...)
}

// misspelt is what the TOML parser found wrong, and in which line. Most often quotes are missing, so it shows how the
// setting on that line is written.
func misspelt(text []byte, err error) (line int, what string) {
	line = 1
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ = at.Position()
	}
	what = strings.TrimPrefix(err.Error(), "toml: ")
	key, _, _ := strings.Cut(strings.Split(string(text), "\n")[line-1], "=")
	key = strings.TrimSpace(key)
	if key == keySetting {
		what = "the value is not understood" // the parser shows a character of it
	}
	for _, s := range settings {
		if s.key == key {
			what += fmt.Sprintf("; %s takes %s, as in %s = %s", s.key, s.bounds, s.key, s.byDefault)
		}
	}
	return line, what
}

// remedy is what may be given for a setting in place of value.
func remedy(s setting, value any) string {
	if text, ok := value.(string); ok && s.key == keySetting {
		if _, err := clusterkey.Parse(text); err != nil {
			return err.Error()
		}
	}
	return "give " + s.bounds
}

// shown is the value of a key about as it stands in the file.
func shown(key string, value any) string {
	if key == keySetting {
		return "***"
	}
	if s, ok := value.(string); ok {
		return fmt.Sprintf("%.60q", s)
	}
	return fmt.Sprintf("%.60s", fmt.Sprint(value))
}

func keys() []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.key)
	}
	return all
}
