package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors are the rooms that may know others of ours, the highest first. Each may import those below it, and every room
// that is not listed here. What is not listed imports none of these.
var floors = [][]string{{"bootstrap"}, {"status"}, {"manager"}, {"roster"}, {"policy"}, {"enroll", "state"}, {"trust"}}

// clean are rooms of rules and values: they talk to nobody.
var clean = map[string][]string{
	"policy": {"net", "net/http", "os", "os/exec", "go.uber.org/zap", "github.com/docker/docker/client"},
	"timing": {"net", "os", "go.uber.org/zap"},
	"peer":   {"net", "os", "go.uber.org/zap"},
	"trust":  {"net", "net/http", "crypto/tls", "os"},
}

// Imports go down the floors of docs/development.md only, and rules talk to nobody.
func TestFloors(t *testing.T) {
	const ours = "github.com/pi-agent/pi-agent/internal/"
	floor := func(room string) int {
		return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
	}
	files, err := fs.Glob(repository(), "internal/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(repository(), f)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		room := path.Base(path.Dir(f))
		seen[room] = true
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(clean[room], name) {
				t.Errorf("%s imports %s: %s talks to nobody", f, name, room)
			}
			other, is := strings.CutPrefix(name, ours)
			if from, to := floor(room), floor(other); is && to >= 0 && (from < 0 || to <= from) {
				t.Errorf("%s imports %s, which is not below it", f, other)
			}
		}
	}
	for _, rooms := range floors {
		for _, room := range rooms {
			if !seen[room] {
				t.Errorf("there is no room %s", room)
			}
		}
	}
}

// What is made for tests stays out of the program: the engines of swarmtest, and packages such as httptest and testing.
func TestFakesAreForTests(t *testing.T) {
	var seen int
	for _, root := range []string{"cmd", "internal"} {
		err := fs.WalkDir(repository(), root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(repository(), name)
			if err != nil {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				return err
			}
			seen++
			for _, i := range parsed.Imports {
				if forTests(i.Path.Value) {
					t.Errorf("%s imports %s, which is for tests only", name, i.Path.Value)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen == 0 {
		t.Fatal("there are no files")
	}
}

// forTests reports whether an import, in its quotes, is of a package for tests: by custom their names end in "test".
func forTests(quoted string) bool {
	name, err := strconv.Unquote(quoted)
	return err == nil && (name == "testing" || strings.HasSuffix(name, "test"))
}

func TestForTests(t *testing.T) {
	for quoted, want := range map[string]bool{
		`"github.com/pi-agent/pi-agent/internal/swarm/swarmtest"`: true,
		`"net/http/httptest"`: true,
		`"testing"`:           true,
		`"github.com/pi-agent/pi-agent/internal/swarm"`: false,
		"`net/http`": false,
	} {
		if got := forTests(quoted); got != want {
			t.Errorf("forTests(%s) is %v", quoted, got)
		}
	}
}
