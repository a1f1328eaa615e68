package stacks

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What is wrong with a file as YAML, and as a Compose file as a whole.

const versionRemedy = `write version: "3.8"`

func (r refused) version(m []string) fault {
	line := r.line("version")
	if line == 0 {
		return fault{0, m[0], versionRemedy + " as its first line"}
	}
	return fault{line, m[0], versionRemedy}
}

var tabbed = regexp.MustCompile(`^ *\t`)

func (r refused) syntax(m []string) fault {
	f := fault{0, m[0], "look there and a few lines below"}
	tab := r.lineWith(tabbed.Match)
	line, _ := strconv.Atoi(m[1]) // digits
	switch {
	case strings.Contains(m[2], "cannot start any token") && tab > 0:
		return fault{tab, m[2], "indent it with spaces, for YAML takes no tabs there"}
	case strings.Contains(m[2], "cannot start any token"):
		return fault{line, m[2], "put quotes around a text that begins with %, @ or `"}
	case strings.Contains(m[2], "unexpected end of stream"):
		f.remedy = "look for quotes that are not closed, there and above"
	case strings.Contains(m[2], "mapping values are not allowed"):
		f.remedy += ", for a line that is not in its column, or a text with a colon and a space that needs quotes"
	}
	return f
}

func (r refused) twice(m []string) fault {
	line, _ := strconv.Atoi(m[1]) // digits
	said, _, _ := strings.Cut(m[2], "\n")
	return fault{line, said, "take one of the two out, or give it another name"}
}

func (r refused) encoding(m []string) fault {
	line := r.lineWith(func(line []byte) bool {
		return !utf8.Valid(line) || bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' && c != '\r' })
	})
	return fault{line, m[0], "save the file as UTF-8"}
}

func (r refused) anchor(m []string) fault {
	line := r.lineWith(func(line []byte) bool { return bytes.Contains(line, []byte("*"+m[1])) })
	return fault{line, m[0], fmt.Sprintf("write &%s before it, where what it stands for is", m[1])}
}

func (r refused) noMapping(m []string) fault {
	if r.root == nil || isNull(r.root) {
		return fault{0, "there is nothing in it", "write services: and below it what is to run, or take the file away"}
	}
	return fault{r.root.Line, m[0], "begin with services: and write below it what is to run"}
}

// oddKey is for names that YAML takes for something else than text: n for no, 5 for a number, {{ x }} for a mapping.
func (r refused) oddKey(m []string) fault {
	k := oddKey(r.root, true)
	if m[1] != "" {
		k = oddKey(r.find(m[1]).value, false)
	}
	if k == nil {
		return fault{r.line(m[1]), m[0], "put quotes around names that are no words"}
	}
	f := fault{k.Line, m[0], "put quotes around it"}
	if text, ok := textOf(k); ok {
		f.remedy += fmt.Sprintf(": %q", text)
	}
	return f
}

// oddKey is the first key of a mapping that is no text, or deep in it; nil without one.
func oddKey(n *yaml.Node, deep bool) *yaml.Node {
	for _, e := range mappings(n) {
		if !isText(e.key) {
			return e.key
		}
		if !deep {
			continue
		}
		if k := oddKey(e.value, true); k != nil {
			return k
		}
	}
	return nil
}
