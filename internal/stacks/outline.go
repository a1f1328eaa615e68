package stacks

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// outline is what is where in a Compose file. The zero outline, of a file that is no YAML, has nothing in it.
type outline struct {
	root *node
	next int // line in which something begins that Docker does not read, 0 without any
}

func outlineOf(text []byte) (o outline) {
	root, next, err := parse(text)
	if err != nil {
		return outline{}
	}
	return outline{root, next}
}

// entry is a key with what it holds, or an element of a list, which is its own key.
type entry struct{ key, value *node }

func (e entry) line() int {
	if e.key == nil {
		return 0
	}
	return e.key.line
}

// entries are those of a mapping, its own before those that << takes over, or the elements of a list.
func entries(n *node) []entry { return collect(n, map[*node]bool{}) }

// collect looks into each node of seen but once, for anchors make circles and doublings.
func collect(n *node, seen map[*node]bool) (all []entry) {
	n = resolved(n)
	if n == nil || seen[n] {
		return nil
	}
	seen[n] = true
	if n.kind == list {
		for _, e := range n.parts {
			all = append(all, entry{e, e})
		}
	}
	if n.kind != mapping {
		return all
	}
	var taken []*node
	for i := 0; i+1 < len(n.parts); i += 2 {
		switch key, value := n.parts[i], n.parts[i+1]; {
		case key.text != "<<":
			all = append(all, entry{key, value})
		case resolved(value).kind == list:
			taken = append(taken, resolved(value).parts...)
		default:
			taken = append(taken, value)
		}
	}
	for _, t := range taken {
		all = append(all, collect(t, seen)...)
	}
	return all
}

// resolved is what an alias stands for.
func resolved(n *node) *node {
	for range 8 {
		if n == nil || n.kind != alias {
			break
		}
		n = n.means
	}
	return n
}

// value is what stands at a key; nil when the key is not there.
func value(n *node, key string) *node { return at(n, key).value }

func at(n *node, key string) entry {
	for _, e := range entries(n) {
		if n := resolved(n); n.kind == mapping && e.key.text == key {
			return e
		}
	}
	return entry{}
}

// textOf is the text of a node that has no parts.
func textOf(n *node) (text string, is bool) {
	n = resolved(n)
	if n == nil || n.kind != scalar {
		return "", false
	}
	return n.text, true
}

// find goes along a path in Docker's words, such as services.web.ports.0.target, as far as it can: to the innermost entry
// that is there, which is the zero entry where not even the first is.
func (o outline) find(path string) entry {
	found, _ := follow(o.root, path)
	return found
}

// follow also tells how much of path it did not find. Names of services may have dots in them.
func follow(n *node, path string) (found entry, rest string) {
	rest = path
	if n == nil {
		return entry{}, rest
	}
	numbered := resolved(n).kind == list
	for i, e := range entries(n) {
		name := e.key.text
		if numbered {
			name = strconv.Itoa(i)
		}
		if name == path {
			return e, ""
		}
		below, is := strings.CutPrefix(path, name+".")
		if !is || len(below) >= len(rest) {
			continue
		}
		found, rest = e, below
		if inner, left := follow(e.value, below); inner.key != nil {
			found, rest = inner, left
		}
	}
	return found, rest
}

// services are all services in the file, in its order.
func (o outline) services() []entry { return mappings(value(o.root, "services")) }

// mappings are the entries of a mapping, none of anything else.
func mappings(n *node) []entry {
	if n = resolved(n); n == nil || n.kind != mapping {
		return nil
	}
	return entries(n)
}

// mentions is the first scalar in or below a node that match accepts, with its line; the zero entry without one.
func mentions(n *node, match func(text string) bool) entry {
	return search(n, match, map[*node]bool{})
}

func search(n *node, match func(string) bool, seen map[*node]bool) entry {
	if n = resolved(n); n == nil || seen[n] {
		return entry{}
	}
	seen[n] = true
	if n.kind == scalar && match(n.text) {
		return entry{n, n}
	}
	for _, c := range n.parts {
		if e := search(c, match, seen); e.key != nil {
			return e
		}
	}
	return entry{}
}

// source is a file that the stack is made of besides the Compose file.
type source struct {
	path string
	key  *node // where it is named
	env  bool  // it holds variables
}

// sourcesMax is how many more files of one stack are looked at.
const sourcesMax = 64

// sources are the files that Docker reads for the stack: those of env_file, and of configs and secrets. Relative ones start
// from dir, that of the Compose file.
func (o outline) sources(dir string) (all []source) {
	add := func(n *node, env bool) {
		name, is := textOf(n)
		if name = interpolated(name); !is || name == "" || len(all) == sourcesMax {
			return
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if !slices.ContainsFunc(all, func(s source) bool { return s.path == name }) {
			all = append(all, source{filepath.Clean(name), resolved(n), env})
		}
	}
	for _, s := range o.services() {
		files := resolved(value(s.value, "env_file"))
		add(files, true)
		if files != nil && files.kind == list {
			for _, f := range files.parts {
				add(f, true)
			}
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
