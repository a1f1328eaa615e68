// Package sentences reads from Go source what it says to people, for tests that hold other texts to it.
package sentences

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Form is a sentence with the verbs of package fmt in the places of what changes.
type Form string

// lettersMin is from how many letters on a text is taken for a sentence, and not for a name or a part of one.
const lettersMin = 8

// In lists the sentences in a Go file, in their order. A sentence that is put together from pieces with + is one.
func In(path string) (all []Form, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if _, is := n.(*ast.ImportSpec); is {
			return false
		}
		e, is := n.(ast.Expr)
		if !is {
			return true
		}
		text, whole := literal(e)
		if whole && letters(text) >= lettersMin && strings.Contains(text, " ") {
			all = append(all, Form(strings.TrimSpace(text)))
		}
		return !whole
	})
	return all, nil
}

// literal is the text of an expression that consists of string literals only.
func literal(e ast.Expr) (text string, whole bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		a, whole := literal(e.X)
		b, too := literal(e.Y)
		return a + b, whole && too && e.Op == token.ADD
	}
	return "", false
}

func letters(text string) (n int) {
	for _, r := range text {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

var verb = regexp.MustCompile(`%[.0-9]*[a-z]`)

// Regexp matches texts in which the sentence is said.
func (f Form) Regexp() *regexp.Regexp {
	parts := verb.Split(string(f), -1)
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

// Example is the sentence as it may be said.
func (f Form) Example() string {
	return verb.ReplaceAllStringFunc(string(f), func(v string) string {
		switch v[len(v)-1] {
		case 'd', 'f':
			return "3"
		case 'q':
			return fmt.Sprintf("%q", "class-b")
		}
		return "pi-bbcc05"
	})
}
