package stacks

import (
	"fmt"
	"regexp"
	"strings"
)

// How Docker names what it complains of.
var (
	unknownKey   = regexp.MustCompile(`^(\S+) Additional property (\S+) is not allowed`)
	wrongValue   = regexp.MustCompile(`^((?:services|networks|volumes|configs|secrets)\.\S+) `)
	wrongService = regexp.MustCompile(`[Ss]ervice "?([\w.-]+?)"?:? `)
)

// located puts the file and, where it can be told, the line before what Docker said of it: Docker itself names a line only
// when the file is no YAML, and then one near the mistake.
func located(path string, text []byte, err error) error {
	switch said := err.Error(); {
	case strings.HasPrefix(said, "unsupported Compose file version"):
		return fmt.Errorf(`%s: %w: write version: "3.8" as its first line`, path, err)
	case strings.HasPrefix(said, "yaml: line "):
		return fmt.Errorf("%s: %w: look there and a few lines below", path, err)
	}
	if line := lineOf(string(text), accused(err.Error())); line > 0 {
		return fmt.Errorf("%s:%d: %w", path, line, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// accused are the keys, from the outermost, that lead to what Docker complains of.
func accused(said string) []string {
	if m := unknownKey.FindStringSubmatch(said); m != nil {
		return append(strings.Split(m[1], "."), m[2])
	}
	if m := wrongValue.FindStringSubmatch(said); m != nil {
		return strings.Split(m[1], ".")
	}
	if m := wrongService.FindStringSubmatch(said); m != nil {
		return []string{"services", m[1]}
	}
	return nil
}

// lineOf is the line of the innermost of keys that stands at the beginning of a line, as people write Compose files; 0 when
// not even the first does.
func lineOf(text string, keys []string) (line int) {
	above, level := -1, 0 // how far the key that was found last is indented, and those below it; -1 before one was seen
	for number, s := range strings.Split(text, "\n") {
		rest := strings.TrimLeft(s, " ")
		indent := len(s) - len(rest)
		if rest = strings.TrimSpace(rest); rest == "" || rest[0] == '#' {
			continue
		}
		if indent <= above { // that key ends here
			return line
		}
		if level < 0 {
			level = indent
		}
		key, _, is := strings.Cut(rest, ":")
		if is && indent == level && len(keys) > 0 && strings.Trim(key, `"'`) == keys[0] {
			line, above, level, keys = number+1, indent, -1, keys[1:]
		}
	}
	return line
}
