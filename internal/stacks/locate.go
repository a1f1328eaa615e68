package stacks

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// How Docker names what it complains of.
var (
	unknownKey   = regexp.MustCompile(`^(\S+) Additional property (\S+) is not allowed`)
	wrongValue   = regexp.MustCompile(`^((?:services|networks|volumes|configs|secrets)\.\S+) `)
	wrongService = regexp.MustCompile(`[Ss]ervice "?([\w.-]+?)"?:? `)
	syntax       = regexp.MustCompile(`^yaml: (?:line \d+: )?`)
)

// located puts the file and, where it can be told, the line before what Docker said of it: Docker itself names no line, or
// one that is a few off.
func located(path string, text []byte, err error) error {
	said := err.Error()
	file, bad := parser.ParseBytes(text, 0)
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	switch {
	case strings.HasPrefix(said, "unsupported Compose file version"):
		return fmt.Errorf(`%s: %w: write version: "3.8" as its first line`, path, err)
	case errors.As(bad, &at) && syntax.MatchString(said):
		return fmt.Errorf("%s:%d: %s", path, at.GetToken().Position.Line, at.GetMessage())
	case bad != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	keys := accused(said)
	for len(keys) > 0 {
		if line := lineOf(file, keys); line > 0 {
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		keys = keys[:len(keys)-1]
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

// lineOf is the line of a key, 0 when the file does not have it.
func lineOf(file *ast.File, keys []string) int {
	if len(file.Docs) == 0 {
		return 0
	}
	node, line := file.Docs[0].Body, 0
	for _, key := range keys {
		entry := entryOf(node, key)
		if entry == nil {
			return 0
		}
		node, line = entry.Value, entry.Key.GetToken().Position.Line
	}
	return line
}

// entryOf is the entry of a mapping that has this key, nil when there is none.
func entryOf(node ast.Node, key string) *ast.MappingValueNode {
	m, ok := node.(ast.MapNode)
	if !ok {
		return nil
	}
	for all := m.MapRange(); all.Next(); {
		if entry := all.KeyValue(); entry.Key.GetToken().Value == key {
			return entry
		}
	}
	return nil
}
