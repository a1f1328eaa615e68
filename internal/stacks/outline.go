package stacks

// This file finds in a Compose file what Docker's paths lead to, with lines.

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// outline is what is where in a Compose file. The zero outline, of a file that is no YAML, has nothing in it. Docker
// has the last word on every file.
type outline struct {
	root *yaml.Node // there is no alias in or below it
	next int        // line in which something begins that Docker does not read, 0 without any
}

// outlineOf reads the first document of a text, which is the one that Docker reads.
func outlineOf(text []byte) outline {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var first yaml.Node
	if d.Decode(&first) != nil || !unalias(&first) {
		return outline{}
	}
	root := first.Content[0]
	return outline{root, next(d, text, root.Line)}
}

// noDocument is what the library says of something behind a document that begins none. It counts lines from 0 there.
var noDocument = regexp.MustCompile(`^yaml: (?:line (\d+): )?did not find expected <document start>`)

// next is the line in which something begins behind the first document, which begins in line first; 0 when nothing
// does.
func next(d *yaml.Decoder, text []byte, first int) int {
	var second yaml.Node
	err := d.Decode(&second)
	switch {
	case err == nil:
		return second.Line
	case errors.Is(err, io.EOF):
		return 0
	}
	if m := noDocument.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1]) // digits or none
		return line + 1
	}
	for i, line := range bytes.Split(text, []byte("\n")) { // it is a document that is no YAML
		if i >= first && bytes.HasPrefix(line, []byte("---")) {
			return i + 1
		}
	}
	return 0
}

// nodesMax is how many nodes a file may have when each alias counts as much as what it stands for. Docker takes fewer.
const nodesMax = 1 << 20

// unalias puts what they stand for in the place of aliases, with their lines. It reports whether that is something that
// can be walked through: without circles, and of nodesMax nodes at the most.
func unalias(root *yaml.Node) bool {
	whole := map[*yaml.Node]int{} // nodes in what has an anchor, once all of it was seen
	var visit func(n *yaml.Node) int
	visit = func(n *yaml.Node) int {
		nodes := 1
		for i, c := range n.Content {
			if c.Kind != yaml.AliasNode {
				nodes += visit(c)
			} else if of := whole[c.Alias]; of > 0 {
				there := *c.Alias
				there.Line = c.Line
				n.Content[i] = &there
				nodes += of
			} else { // it stands in what it stands for
				nodes += nodesMax
			}
			if nodes > nodesMax {
				return nodesMax + 1
			}
		}
		if n.Anchor != "" {
			whole[n] = nodes
		}
		return nodes
	}
	return visit(root) <= nodesMax
}

// entry is a key with what it holds, or an element of a list, which is its own key.
type entry struct{ key, value *yaml.Node }

func (e entry) line() int {
	if e.key == nil {
		return 0
	}
	return e.key.Line
}

// mappings are the entries of a mapping, its own before those that << takes over; none of anything else.
func mappings(n *yaml.Node) (all []entry) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var taken []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry{n.Content[i], n.Content[i+1]}
		if e.key.Tag != "!!merge" {
			all = append(all, e)
			continue
		}
		taken = append(taken, mappings(e.value)...)
		for _, m := range elements(e.value) {
			taken = append(taken, mappings(m)...)
		}
	}
	if len(taken) == 0 {
		return all
	}
	there := map[string]bool{}
	for _, e := range all {
		there[e.key.Value] = true
	}
	for _, e := range taken {
		if !there[e.key.Value] {
			there[e.key.Value] = true
			all = append(all, e)
		}
	}
	return all
}

// elements are those of a list, none of anything else.
func elements(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// at is the entry at a key; the zero entry when the key is not there.
func at(n *yaml.Node, key string) entry {
	for _, e := range mappings(n) {
		if e.key.Value == key {
			return e
		}
	}
	return entry{}
}

// value is what stands at the last of keys, one in the other; nil when one of them is not there.
func value(n *yaml.Node, keys ...string) *yaml.Node {
	for _, k := range keys {
		n = at(n, k).value
	}
	return n
}

// textOf is the text of a node that has no parts.
func textOf(n *yaml.Node) (text string, ok bool) {
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", false
	}
	return n.Value, true
}

// isNull reports whether there is nothing in a node.
func isNull(n *yaml.Node) bool { return n != nil && n.Tag == "!!null" }

// onceBool is what was true or false in YAML 1.1, which Docker 20.10 and 26.1 go by.
var onceBool = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)

// isText reports whether a node is text for any version of YAML.
func isText(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!str" && (n.Style != 0 || !onceBool.MatchString(n.Value))
}

// services are all services in the file, in its order.
func (o outline) services() []entry { return mappings(value(o.root, "services")) }

// find goes along a path in Docker's words, such as services.web.ports.0.target, as far as it can: to the innermost
// entry that is there, which is the zero entry where not even the first is.
func (o outline) find(path string) entry {
	found, _ := follow(o.root, path+".")
	return found
}

// follow also tells how much of path it did not find. Each part of path ends with a dot; names of services may have
// dots in them.
func follow(n *yaml.Node, path string) (found entry, rest string) {
	rest = path
	try := func(name string, e entry) {
		below, ok := strings.CutPrefix(path, name+".")
		if !ok || len(below) >= len(rest) {
			return
		}
		found, rest = e, below
		if inner, left := follow(e.value, below); inner.key != nil {
			found, rest = inner, left
		}
	}
	for i, e := range elements(n) {
		try(strconv.Itoa(i), entry{e, e})
	}
	for _, e := range mappings(n) {
		try(e.key.Value, e)
	}
	return found, rest
}

// mentions is the first scalar in or below a node that match accepts, with its line; the zero entry without one.
func mentions(n *yaml.Node, match func(text string) bool) entry {
	if n == nil {
		return entry{}
	}
	if n.Kind == yaml.ScalarNode && match(n.Value) {
		return entry{n, n}
	}
	for _, c := range n.Content {
		if e := mentions(c, match); e.key != nil {
			return e
		}
	}
	return entry{}
}
