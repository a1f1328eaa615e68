// Package bootfile finds the files that a person has put on the boot partition, by the names that people and their
// programs give them: an editor adds .txt and does not show it, a phone begins with a capital, and the partition keeps
// what was typed.
package bootfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Dirs are the places of the boot partition, which any computer can write after flashing a card: of today's systems,
// and of older ones.
var Dirs = []string{"/boot/firmware", "/boot"}

// Name is a file that may be on the boot partition, with the names that clearly mean it.
type Name struct {
	Is      string   // as the documentation calls it
	stems   []string // folded, see fold
	endings []string
}

// The files that may be there.
var (
	Key      = Name{"pi-agent.key", []string{agent}, []string{".key"}}
	Settings = Name{"pi-agent.toml", []string{agent}, []string{".toml"}}
	Stack    = Name{"stack.yml", []string{"stack", "compose", "dockercompose", "dockerstack"}, []string{".yml", ".yaml"}}
)

const agent = "piagent" // pi-agent, folded

// plain are the endings that editors of plain text add to a name.
var plain = []string{".txt", ".text"}

// Paths are the places of the file under the name that is documented.
func (n Name) Paths() (all []string) {
	for _, dir := range Dirs {
		all = append(all, filepath.Join(dir, n.Is))
	}
	return all
}

// In returns the files in dir that are meant by the name, the one that is called exactly so first. A directory that is
// not there has none.
func (n Name) In(dir string) (paths []string, err error) {
	entries, err := list(dir)
	for _, e := range entries {
		switch path := filepath.Join(dir, e.Name()); {
		case e.Name() == n.Is:
			paths = slices.Insert(paths, 0, path)
		case n.Fits(e.Name()):
			paths = append(paths, path)
		}
	}
	return paths, err
}

// Fits reports whether a file of this name is clearly meant: in any case of letters, with or without the dash, with
// another ending that is as good, and with those that an editor added.
func (n Name) Fits(name string) bool {
	stem, ok := n.Stem(name)
	return ok && slices.Contains(n.stems, fold(stem))
}

// Stem is a file name without its endings, of which one must be of n.
func (n Name) Stem(name string) (stem string, ok bool) {
	for stem = name; ; {
		stem = strings.TrimRight(stem, " .")
		ending := filepath.Ext(stem)
		own := slices.Contains(n.endings, strings.ToLower(ending))
		if !own && !slices.Contains(plain, strings.ToLower(ending)) {
			return stem, ok
		}
		stem, ok = strings.TrimSuffix(stem, ending), ok || own
	}
}

// fold is a name without case, and without what people put between words.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '−' || unicode.In(r, unicode.Pd, unicode.Zs, unicode.Cf) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// Stray is a file that looks as if it was put there for the agent, which does not read it.
type Stray struct {
	Path string
	For  Name // what it seems to be meant for
}

// Remedy says what is to be done about it, in half a sentence.
func (s Stray) Remedy() string {
	return fmt.Sprintf("it is not read under this name: save it as plain text and call it %s, or take it away", s.For.Is)
}

// Err is the Stray as an error.
func (s Stray) Err() error { return fmt.Errorf("%s: %s", s.Path, s.Remedy()) }

// copied is what programs add to the name of a copy.
var copied = regexp.MustCompile(`(?i)\s*\(\d+\)|\s*-\s*(copy|kopie|copia|copie)\b|` +
	`\b(copy of|kopie von|copia de|copie de)\s+|\s+(copy|kopie|copia|copie)\b`)

// texts are the endings of files in which people write, other than plain ones.
var texts = slices.Concat([]string{
	"", ".rtf", ".rtfd", ".doc", ".docx", ".odt", ".pages", ".md", ".html", ".tml", ".conf", ".config", ".cfg", ".ini",
	".json",
}, plain, Key.endings, Settings.endings, Stack.endings)

// unusual are in names that mean settings and have an ending that no settings have.
var unusual = regexp.MustCompile(`t(o)?ml|conf|cfg|settings|ini$|ya?ml$|json$|env$|tom$`)

// settingsWords are in names that mean settings.
var settingsWords = regexp.MustCompile(`t(o)?ml|conf|cfg|settings|\.ini`)

// Strays are the files in dir that look as if they were put there for one of these names, and fit none.
func Strays(dir string, names ...Name) (all []Stray, err error) {
	entries, err := list(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		fits := func(n Name) bool { return n.Fits(e.Name()) }
		if e.IsDir() || Aside(e.Name()) || slices.ContainsFunc([]Name{Key, Settings, Stack}, fits) {
			continue
		}
		if n, ok := guess(path, copied.ReplaceAllString(e.Name(), "")); ok &&
			slices.ContainsFunc(names, func(of Name) bool { return of.Is == n.Is }) {
			all = append(all, Stray{path, n})
		}
	}
	return all, err
}

// Aside reports whether a file of this name is hidden, or an older one that an editor or a person has put aside.
func Aside(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		slices.Contains([]string{".bak", ".old", ".orig", ".save", ".swp", ".tmp"}, strings.ToLower(filepath.Ext(name)))
}

// others are the endings of files that have our name and are none of ours: packages, images, signatures, and keys that
// were taken.
var others = []string{
	".deb", ".rpm", ".img", ".xz", ".gz", ".zip", ".asc", ".sig", ".gpg", ".sha256", ".taken",
	".dpkg-old", ".dpkg-dist", ".dpkg-new", ".ucf-old", ".ucf-dist",
}

// downloaded are the beginnings of our names, as fold leaves them, with an ending that a browser or a phone has added.
var downloaded = regexp.MustCompile(`^(docker)?\.?(stack|compose)\.ya?ml`)

// shortened are the names of our files as old programs shorten them.
var shortened = map[string]Name{".key": Key, ".tom": Settings}

// squeezed drops from a folded name all but letters and digits, and takes full-width characters for what they look
// like.
func squeezed(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' {
			r = unicode.ToLower(r - '！' + '!')
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, name)
}

// guess is what the file at path is meant for, if it is meant for the agent. Its name is without what marks a copy.
func guess(path, name string) (Name, bool) {
	ending := strings.ToLower(filepath.Ext(name))
	if slices.Contains(others, ending) {
		return Name{}, false
	}
	if n, ok := shortened[ending]; ok && strings.HasPrefix(strings.ToLower(name), "pi-age~") {
		return n, true
	}
	folded, stem := fold(name), fold(strings.TrimSuffix(name, filepath.Ext(name)))
	isText, isStack := slices.Contains(texts, ending), slices.Contains(Stack.stems, stem)
	if downloaded.MatchString(folded) && !isStack {
		return Stack, true
	}
	_, after, ours := strings.Cut(squeezed(folded), agent)
	if ours && (!isText || !strings.Contains(folded, agent)) {
		switch isKey, isSettings := strings.Contains(after, "key"), unusual.MatchString(after); {
		case isKey:
			return Key, true
		case isSettings:
			return Settings, true
		}
	}
	if !isText {
		return Name{}, false
	}
	if Stack.Fits(name) || isStack && ending != "" {
		return Stack, true
	}
	before, after, ours := strings.Cut(folded, agent)
	isKey, isSettings := strings.Contains(after, "key"), settingsWords.MatchString(after)
	switch {
	case !ours:
		return Name{}, false
	case isKey && !isSettings:
		return Key, true
	case isSettings && !isKey:
		return Settings, true
	case isKey || before == "" && slices.Contains(texts, after):
		if assigns(path) {
			return Settings, true
		}
		return Key, true
	}
	return Name{}, false
}

// assigns reports whether a file has settings, as far as it can be read.
func assigns(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	text, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	return strings.Contains(string(text), "=")
}

// list is what is in dir, which need not be there.
func list(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for files on the boot partition: %w", err)
	}
	return entries, nil
}
