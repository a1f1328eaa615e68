package stacks

// This file finds the other files that a Compose file names.

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// source is a file that the stack is made of besides the Compose file.
type source struct {
	path string
	line int  // where it is named
	env  bool // it holds variables
}

// sourcesMax is how many more files of one stack are looked at.
const sourcesMax = 64

// sources are the files that Docker reads for the stack: those of env_file, and of configs and secrets. Relative ones
// start from dir, that of the Compose file.
func (o outline) sources(dir string) (all []source) {
	add := func(n *yaml.Node, env bool) {
		name, _ := textOf(n)
		if name = interpolated(name); name == "" || len(all) == sourcesMax {
			return
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		name = filepath.Clean(name)
		if !slices.ContainsFunc(all, func(s source) bool { return s.path == name }) {
			all = append(all, source{name, n.Line, env})
		}
	}
	for _, s := range o.services() {
		files := value(s.value, "env_file")
		add(files, true)
		for _, f := range elements(files) {
			add(f, true)
		}
	}
	for _, kind := range []string{"configs", "secrets"} {
		for _, c := range mappings(value(o.root, kind)) {
			add(value(c.value, "file"), false)
		}
	}
	return all
}

// variable is a variable in a Compose file, with the value that it has where it is not set.
var variable = regexp.MustCompile(`\$(?:(\$)|[A-Za-z_]\w*|\{[A-Za-z_]\w*(?::?-([^}]*))?\})`)

// interpolated puts in place of variables what Docker does when none is set.
func interpolated(text string) string { return variable.ReplaceAllString(text, "$1$2") }

// variables looks for the line itself: Docker does not always name the file, and shows what stands in it.
func (r refused) variables(m []string) fault {
	for _, s := range r.sources(r.dir) {
		if !s.env {
			continue
		}
		text, err := read(s.path)
		if err != nil {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			name, _, _ := bytes.Cut(bytes.TrimLeft(line, " \t"), []byte("="))
			name = bytes.TrimRight(name, "\r")
			odd := bytes.ContainsAny(name, " \t") || len(name) == 0 && bytes.Contains(line, []byte("="))
			if !utf8.Valid(line) || odd && !bytes.HasPrefix(name, []byte("#")) {
				said := fmt.Sprintf("line %d of %s is no variable", i+1, s.path)
				return fault{s.line, said, "write NAME=value there, in UTF-8 and without a space before the ="}
			}
		}
	}
	said, _, _ := strings.Cut(m[1], "'") // what follows may be a password
	return fault{said: "in an env_file: " + strings.TrimSpace(said)}
}

func (r refused) unread(m []string) fault {
	path := filepath.Clean(m[1])
	f := fault{said: m[0], remedy: readRemedy(r.dir, path, m[0])}
	for _, s := range r.sources(r.dir) {
		if s.path == path {
			f.line = s.line
			f.said = strings.TrimPrefix(m[0], ": ")
		}
	}
	return f
}
