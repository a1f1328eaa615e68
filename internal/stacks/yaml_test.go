package stacks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// same compares what parse reads with what the library does: what there is, and in which line.
func same(ours *node, theirs *yaml.Node, path string) error {
	if ours == nil {
		if theirs == nil || theirs.Tag == "!!null" {
			return nil
		}
		return fmt.Errorf("%s is not there", path)
	}
	if theirs == nil {
		return fmt.Errorf("%s is there", path)
	}
	kinds := map[yaml.Kind]kind{yaml.ScalarNode: scalar, yaml.MappingNode: mapping, yaml.SequenceNode: list, yaml.AliasNode: alias}
	switch {
	case kinds[theirs.Kind] != ours.kind:
		return fmt.Errorf("%s is of kind %v, want %v", path, ours.kind, kinds[theirs.Kind])
	case ours.line != theirs.Line && theirs.Tag != "!!null": // where nothing is, is a matter of taste
		return fmt.Errorf("%s is in line %d, want %d", path, ours.line, theirs.Line)
	case len(ours.parts) != len(theirs.Content):
		return fmt.Errorf("%s has %d parts, want %d", path, len(ours.parts), len(theirs.Content))
	case ours.kind == scalar && ours.text != theirs.Value && theirs.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0:
		return fmt.Errorf("%s is %q, want %q", path, ours.text, theirs.Value)
	case ours.kind == scalar && ours.plain != (theirs.Style&^yaml.TaggedStyle == 0):
		return fmt.Errorf("%s is plain: %v", path, ours.plain)
	}
	for i, p := range ours.parts {
		if err := same(p, theirs.Content[i], fmt.Sprintf("%s.%d", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// library is what it reads in a text: the first document, and where the second begins, -1 where something else follows.
func library(text []byte) (root *yaml.Node, next int, err error) {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var first, second yaml.Node
	if err := d.Decode(&first); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	if len(first.Content) > 0 {
		root = first.Content[0]
	}
	switch err := d.Decode(&second); {
	case err == nil:
		next = second.Line
	case !errors.Is(err, io.EOF):
		next = -1 // it is no second one either
	}
	return root, next, nil
}

// samples are texts as people write them, and what is odd in them.
func samples(t testing.TB) (all []string) {
	t.Helper()
	for _, c := range triedFiles(t) {
		all = append(all, c.text)
	}
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text), strings.ReplaceAll(string(text), "\n", "\r\n"))
	}
	return append(all,
		"", "\n\n", "# nothing\n", "---\n", "...\n", "--- a\n", "a: b", "{}", "[]", "- a\n- b\n", "a\n", "a:\n", "a: ~\n", "\ufeffa: b\n",
		"%YAML 1.1\n---\na: b\n", "a: b\n...\n", "a: b\n---\n", "a: b\n---\nc: d\n", "a: b\n--- c\n",
		"a:\n- b\n- c\nd: e\n", "a:\n  - b: c\n    d: e\n  - f\n", "- - a\n  - b\n- c\n", "a:\n  -\n    b: c\n  -\n",
		"a: b c  # d\n", "a: b#c\n", "a: 'it''s'\n", "a: \"b\\tc\\u00e9\\x41\\\"\"\n", "\"a b\": 'c: d'\n", "'a': b\n", "a : b\n",
		"a: b\n  c\n\n  d\ne: f\n", "a: 'b\n  c'\nd: \"e\n\n  f\"\n", "a: \"b\\\n  c\"\n", "a:\n  b\n", "a:\n  'b'\n", "a:\n\n  # x\n  b: c\n",
		"a: |\n  b: c\n  # d\n\n  e\nf: g\n", "a: >-\n  b\n  c\nd: e\n", "a: |2\n   b\n  c\nd: e\n", "a: |\nb: c\n", "- |\n a\n- b\n", "a: |+\n\n\nb: c\n",
		"a: [b, c]\n", "a: [b, [c, {d: e}], \"f\"]\n", "a: [\n  b, # x\n  c,\n]\nd: e\n", "a: {b: c, d: [e], f: , g}\n", "{a: b,\n c: d}\n", "a: {\"b\":c, \"d\": e}\n",
		"a: [b: c, d]\n", "a: {b:c, d: http://e:80/f}\n", "a: [b c,\n  d\n  e]\n", "[a, b]: c\n", "{a: b}: c\n",
		"a: &x b\nc: *x\n", "a: &x\n  b: c\nd: *x\n", "a: &x {b: c}\nd:\n  <<: *x\n  e: f\n", "a: &x\n- b\nc: d\n", "&x a: b\nc: *x\n", "- &x a\n- *x\n",
		"a: !!str 5\nb: !x {c: d}\ne: !y\n  f: g\n", "a: !!str\nb: c\n", "a: &x !!str b\nc: !!str &y d\n", "a: !reset null\n", "a: &x\nb: *x\n", "*x : a\n",
		"a: -b\nc: -1\nd: ?e\nf: :g\n", "a: b:c\n", "a: 80:80\n", "a::b: c\n", "a: b ? c - d\n", "a: %b\n", "a: @b\n", "a: `b`\n", "a: *b\n",
		"a: b: c\n", "a: - b\n", "a: b\n c: d\n", "a:\n   b: c\n  d: e\n", "a:\n\tb: c\n", "a: b\n\tc\n", "a:\tb\n", "a: b\t# c\n", "  a: b\n  c: d\n", "  a: b\nc: d\n",
		"a: [b\n", "a: {b\n", "a: ]\n", "a: 'b\n", "a: \"\\z\"\n", "? a\n: b\n", "? [a]\n: b\n", "a: b\n- c\n", "- a\nb: c\n", "a\nb: c\n", "a b\n  c: d\n",
		"a: {b: c} d\n", "a: 'b' c\n", "a: &\n", "a: [b]]\n", "a: | b\n", "a: b\n...\nc: d\n", "a: b\n...\n---\n", "a:  \n  b\n", "a: é ü\nü: ö\n",
	)
}

// What parse reads of a text is what the library reads, for all that is in Compose files; it may refuse what is not.
func TestParse(t *testing.T) {
	refused := map[string]bool{"? a\n: b\n": true, "? [a]\n: b\n": true}
	for _, text := range samples(t) {
		root, next, err := parse([]byte(text))
		theirs, theirNext, theirErr := library([]byte(text))
		switch {
		case theirErr != nil && err == nil:
			t.Errorf("parse(%q) is right, want %v", text, theirErr)
		case theirErr != nil:
		case err != nil:
			if !refused[text] && !strings.Contains(text, "? [a]") {
				t.Errorf("parse(%q) = %v", text, err)
			}
		default:
			if err := same(root, theirs, "it"); err != nil || next != theirNext && (next == 0 || theirNext != -1) {
				t.Errorf("parse(%q): %v; the next begins in line %d, want %d", text, err, next, theirNext)
			}
		}
	}
}

func TestParseDeep(t *testing.T) {
	for _, text := range []string{strings.Repeat("[", 1e5), strings.Repeat("- ", 1e5), strings.Repeat("{a: ", 1e5), strings.Repeat("[[], ", 1e5)} {
		if root, _, err := parse([]byte(text)); err == nil {
			t.Errorf("parse(%.20q...) = %+v", text, root)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range samples(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, _, err := parse([]byte(text))
		if err != nil {
			return
		}
		theirs, _, err := library([]byte(text))
		if err != nil { // Docker refuses it
			return
		}
		if err := same(root, theirs, "it"); err != nil {
			t.Errorf("parse(%q): %v", text, err)
		}
	})
}
