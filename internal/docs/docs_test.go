// Package docs holds the pages for people, README.md and docs/*.md, to what they promise each other.
package docs

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/policy"
)

// readmeMax is how long README.md may be, in bytes: it is to be read.
const readmeMax = 9000

const readme = "README.md"

var (
	fence   = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	target  = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	number  = regexp.MustCompile(`(?m)^(\d+)\. \*\*([^*]+)\*\*`)
	named   = regexp.MustCompile(`\brules? "([^"]+)"`)
	mention = regexp.MustCompile(`\b(README\.md|docs/[a-z-]+\.[a-z.]*[a-z])(?:#([\w-]+))?`)
	numeric = regexp.MustCompile(`\b[Rr]ules? \d`)
)

// page is a Markdown file.
type page struct {
	anchors []string
	links   []string // as written
}

// read takes a page apart.
func read(text string) (p page) {
	text = fence.ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), "")
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		p.anchors = append(p.anchors, anchor(m[1], p.anchors))
	}
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, "`"), -1) {
		p.links = append(p.links, m[1])
	}
	return p
}

// anchor is what GitHub makes of a heading on a page that has these anchors already.
func anchor(title string, have []string) string {
	title = target.ReplaceAllString(title, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
			b.WriteRune(r)
		}
	}
	first := b.String()
	for name, n := first, 1; ; name, n = fmt.Sprintf("%s-%d", first, n), n+1 {
		if !slices.Contains(have, name) {
			return name
		}
	}
}

// resolve splits a link on the page at from into a path in the repository and an anchor. It is not ours when it leads
// out.
func resolve(from, to string) (name, anchor string, ours bool) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return "", "", err != nil // what is no link at all is a mistake of ours
	}
	if u.Path == "" {
		return from, u.Fragment, true
	}
	return path.Join(path.Dir(from), u.Path), u.Fragment, true
}

// repository is the tree that these tests are in.
func repository() fs.FS { return os.DirFS(filepath.Join("..", "..")) }

// pages reads all Markdown files of the repository.
func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	err := fs.WalkDir(repository(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && aside(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(repository(), name)
		all[name] = read(string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// aside reports whether a directory holds what is not written by us, or not for people.
func aside(dir string) bool {
	return slices.Contains([]string{"bin", "dist", "node_modules", "testdata"}, dir) || len(dir) > 1 && dir[0] == '.'
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, p := range all {
		for _, l := range p.links {
			to, anchor, ours := resolve(name, l)
			if !ours {
				continue
			}
			if _, err := fs.Stat(repository(), to); err != nil {
				t.Errorf("%s: the link %s leads to no file", name, l)
			} else if anchor != "" && !slices.Contains(all[to].anchors, anchor) {
				t.Errorf("%s: the link %s leads to no heading of %s, which has %q", name, l, to, all[to].anchors)
			}
		}
	}
}

// What the program, its manual, its units and their makers say of a page is as true as a link.
func TestMentionedPagesAreThere(t *testing.T) {
	all := pages(t)
	var mentions int
	err := fs.WalkDir(repository(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && aside(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Dir(name) == "internal/docs" ||
			slices.Contains([]string{".md", ".png", ".sum"}, path.Ext(name)):
			return nil
		}
		text, err := fs.ReadFile(repository(), name)
		for _, m := range mention.FindAllStringSubmatch(string(text), -1) {
			mentions++
			if _, err := fs.Stat(repository(), m[1]); err != nil {
				t.Errorf("%s speaks of %s, which is not there", name, m[1])
			} else if m[2] != "" && !slices.Contains(all[m[1]].anchors, m[2]) {
				t.Errorf("%s speaks of %s#%s, and there is no such heading", name, m[1], m[2])
			}
		}
		return err
	})
	if err != nil || mentions == 0 {
		t.Fatalf("%d mentions, %v", mentions, err)
	}
}

// Whoever begins with the README finds every page and every picture.
func TestEveryPageIsFound(t *testing.T) {
	all := pages(t)
	found := map[string]bool{readme: true}
	for todo := []string{readme}; len(todo) > 0; todo = todo[1:] {
		for _, l := range all[todo[0]].links {
			if to, _, ours := resolve(todo[0], l); ours && !found[to] {
				found[to] = true
				todo = append(todo, to)
			}
		}
	}
	files, err := fs.Glob(repository(), "docs/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if !found[f] {
			t.Errorf("no link leads from README.md to %s", f)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := fs.ReadFile(repository(), readme)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > readmeMax {
		t.Errorf("README.md has %d bytes, and at most %d are read: move something to a page in docs/", len(text), readmeMax)
	}
	linked := map[string]string{}
	for _, l := range read(string(text)).links {
		to, _, ours := resolve(readme, l)
		if first, twice := linked[to]; ours && twice {
			t.Errorf("README.md links %s twice, as %s and %s", to, first, l)
		}
		linked[to] = l
	}
}

// The rules in docs/how-it-works.md are those of package policy, and comments call them by their names: numbers change.
func TestRulesAreNamed(t *testing.T) {
	text, err := fs.ReadFile(repository(), "docs/how-it-works.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for i, m := range number.FindAllStringSubmatch(string(text), -1) {
		if m[1] != fmt.Sprint(i+1) {
			t.Errorf("rule %d has the number %s: %s", i+1, m[1], m[2])
		}
		rules = append(rules, strings.TrimSuffix(m[2], ":"))
	}
	if diff := cmp.Diff(policy.Rules(), rules); diff != "" {
		t.Errorf("docs/how-it-works.md has other rules than package policy (-want +got):\n%s", diff)
	}
	files, err := fs.Glob(repository(), "internal/bootstrap/*.go")
	if err != nil || len(files) == 0 || len(rules) == 0 {
		t.Fatal(files, rules, err)
	}
	var cited int
	for _, f := range files {
		text, err := fs.ReadFile(repository(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			cited++
			if !slices.Contains(rules, m[1]) {
				t.Errorf("%s cites the rule %q; docs/how-it-works.md has %q", f, m[1], rules)
			}
		}
		if m := numeric.FindString(string(text)); m != "" {
			t.Errorf("%s cites %q: give its name in docs/how-it-works.md", f, m)
		}
	}
	if cited == 0 {
		t.Error("no comment cites a rule")
	}
}

func TestRead(t *testing.T) {
	p := read("# A `stack.yml`, and [more](x.md)\n\n```\n# no heading [no](link)\n```\n## Same\n## Same\n" +
		"`[no](code)` but [yes](a/b.md#c-d) ![too](p.png)\n")
	if want := []string{"a-stackyml-and-more", "same", "same-1"}; !slices.Equal(p.anchors, want) {
		t.Errorf("anchors %q, want %q", p.anchors, want)
	}
	if want := []string{"x.md", "a/b.md#c-d", "p.png"}; !slices.Equal(p.links, want) {
		t.Errorf("links %q, want %q", p.links, want)
	}
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		from, to, name, anchor string
		ours                   bool
	}{
		{"README.md", "docs/a.md#b", "docs/a.md", "b", true},
		{"docs/a.md", "../README.md", "README.md", "", true},
		{"docs/a.md", "#here", "docs/a.md", "here", true},
		{"docs/a.md", "https://go.dev/dl/", "", "", false},
		{"docs/a.md", "mailto:a@b", "", "", false},
		{"docs/a.md", "%zz", "", "", true},
	} {
		name, anchor, ours := resolve(tt.from, tt.to)
		if name != tt.name || anchor != tt.anchor || ours != tt.ours {
			t.Errorf("resolve(%q, %q) = %q, %q, %v", tt.from, tt.to, name, anchor, ours)
		}
	}
}
