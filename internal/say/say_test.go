package say

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var gap = regexp.MustCompile(`%[.0-9]*\[(\d)\]([a-z])`)

// TestCatalogue renders every sentence in every language: both have the same gaps, numbered, and nothing is left of a
// gap.
func TestCatalogue(t *testing.T) {
	for code, s := range catalogue {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(code) {
			t.Errorf("code %q", code)
		}
		gaps := func(form string) (all []string) {
			if strings.Count(form, "%") != len(gap.FindAllString(form, -1)) {
				t.Errorf("%s: a gap without a number in %q", code, form)
			}
			for _, m := range gap.FindAllStringSubmatch(form, -1) {
				all = append(all, m[1]+m[2])
			}
			slices.Sort(all)
			return slices.Compact(all)
		}
		en, es := gaps(s.en), gaps(s.es)
		if !slices.Equal(en, es) || s.en == "" || s.es == "" {
			t.Errorf("%s: gaps %v in English, %v in Spanish", code, en, es)
		}
		var args []any
		for i, g := range en {
			if g[0] != byte('1'+i) {
				t.Errorf("%s: gap %d is %s", code, i+1, g)
			}
			args = append(args, map[byte]any{'d': 3, 's': "pi-bbcc05", 'q': "live-restore", 'f': 2.0}[g[1]])
		}
		said := s.With(args...)
		if strings.Contains(said.En+said.Es, "%!") || said.Code != code || !s.Says(said) {
			t.Errorf("%s says %+v", code, said)
		}
	}
}

// TestEverySentenceIsSaid finds those that nobody says any more.
func TestEverySentenceIsSaid(t *testing.T) {
	said := map[string]bool{} // names
	saying := regexp.MustCompile(`\bsay\.([A-Z]\w+)`)
	for _, dir := range []string{"..", "../../cmd"} {
		paths, err := filepath.Glob(dir + "/*/*.go")
		if err != nil || len(paths) == 0 {
			t.Fatalf("%d files in %s, %v", len(paths), dir, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range saying.FindAllStringSubmatch(string(text), -1) {
				said[m[1]] = true
			}
		}
	}
	names := regexp.MustCompile(`(?m)^\s+([A-Z]\w+)\s+= sentence\(`)
	n := 0
	for _, path := range []string{"doing.go", "shown.go"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllStringSubmatch(string(text), -1) {
			n++
			if !said[m[1]] {
				t.Errorf("nobody says %s", m[1])
			}
		}
	}
	if n < len(catalogue)-5 {
		t.Errorf("%d sentences are found in the source, of %d", n, len(catalogue))
	}
}

// TestGapsAreFilled finds sentences that are said with more or less than they have gaps.
func TestGapsAreFilled(t *testing.T) {
	codes, n := map[string]string{}, 0 // by name
	named := func(e ast.Expr) *Sentence {
		if of, is := e.(*ast.SelectorExpr); is {
			if pkg, is := of.X.(*ast.Ident); is && pkg.Name == "say" {
				return catalogue[codes[of.Sel.Name]]
			}
		}
		return nil
	}
	for _, pattern := range []string{"*.go", "../*/*.go", "../../cmd/*/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%d files in %s, %v", len(paths), pattern, err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if v, is := node.(*ast.ValueSpec); is && pattern == "*.go" && len(v.Values) == 1 {
					if c, is := v.Values[0].(*ast.CallExpr); is && len(c.Args) == 3 {
						if code, is := c.Args[0].(*ast.BasicLit); is {
							codes[v.Names[0].Name] = strings.Trim(code.Value, `"`)
						}
					}
				}
				call, is := node.(*ast.CallExpr)
				if !is {
					return true
				}
				fun, is := call.Fun.(*ast.SelectorExpr)
				if !is || fun.Sel.Name != "With" || named(fun.X) == nil || call.Ellipsis.IsValid() {
					return true
				}
				n++
				has := map[string]bool{}
				for _, m := range gap.FindAllStringSubmatch(named(fun.X).en, -1) {
					has[m[1]] = true
				}
				if len(has) != len(call.Args) {
					t.Errorf("%s: %s has %d gaps and is said with %d", path, named(fun.X).code, len(has), len(call.Args))
				}
				return true
			})
		}
	}
	if n < len(catalogue)/2 {
		t.Errorf("%d sentences are said, of %d", n, len(catalogue))
	}
}

func TestWith(t *testing.T) {
	shut := Error(EngineSilent.With())
	for _, tt := range []struct{ got, want Text }{
		{Joining.With("pi-1"), Text{"joining", "Joining the swarm of pi-1", "Entrando en el enjambre de pi-1"}},
		{EngineWait.With(fmt.Errorf("%w: no such file", shut)), Text{
			"engine-wait", "Waiting for the Docker Engine: docker engine does not answer: no such file",
			"A la espera de Docker: no responde: no such file",
		}},
		{EngineWait.With(errors.New("no")),
			Text{"engine-wait", "Waiting for the Docker Engine: no", "A la espera de Docker: no"}},
		{ClocksApart.With("pi-1", 72*time.Hour), Text{
			"clocks-apart", "Waiting for a time server: the clocks of this board and of pi-1 are 3 days apart",
			"A la espera de un servidor de hora: los relojes de esta placa y de pi-1 difieren en 3 días",
		}},
		{ClockOff.With("pi-1", Offset(-600)),
			Text{"know-clock-off", "The clock of pi-1 is 10 min behind.", "El reloj de pi-1 va 10 min atrasado."}},
		{Orphaned.With(15.0, "pi-2"), Text{
			"orphaned", "No manager of this board has answered for 15 minutes: moving to the swarm of pi-2",
			"Ninguna gestora de esta placa responde desde hace 15 minutos: esta placa se pasa al enjambre de pi-2",
		}},
		{Join(" ", Text{}, Words("a").Dot(), Text{}, Rootless.With().Capital().Dot()), Text{
			"", "a. Docker runs rootless, which has no overlay networks.", "a. Docker se ejecuta en modo rootless, que no tiene redes overlay.",
		}},
		{And(nil), Text{}}, {And([]string{"a"}), Words("a")}, {And([]string{"a", "b", "c"}),
			Text{"and", "a, b and c", "a, b y c"}},
		{RivalYields.With(Contents(3, 2, 0, 1)), Text{
			"rival-yields", "There are two swarms, and that of 3 nodes, 2 services, 0 secrets and 1 config is empty: it is to yield",
			"Hay dos enjambres, y el de 3 nodos, 2 servicios, 0 secretos y 1 config está vacío: debe ceder",
		}},
		{Words("is it?").Dot(), Words("is it?")}, {Text{}.Dot(), Text{}}, {Text{}.Capital(), Text{}},
	} {
		if tt.got != tt.want {
			t.Errorf("%+v\nwant %+v", tt.got, tt.want)
		}
	}
	if RemoveSetting.With().Capital().Es != "Quítalo de /etc/docker/daemon.json, o de la línea de comandos de docker.service, y reinicia docker" {
		t.Errorf("%+v", RemoveSetting.With().Capital())
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(Joining.With("pi-1"))
	if string(text) != `"Joining the swarm of pi-1"` || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	var read Text
	if err := json.Unmarshal(text, &read); err != nil || read != Words("Joining the swarm of pi-1") {
		t.Errorf("%+v, %v", read, err)
	}
	if err := json.Unmarshal([]byte(`{"en": 3}`), &read); err == nil {
		t.Error("an object is read as a text")
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 90 * time.Second: "90 s", 10 * time.Minute: "10 min", 3 * time.Hour: "3 h", 90 * 24 * time.Hour: "90 days",
	} {
		if got := Ago(d); got.En != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got.En, want)
		}
	}
}

func TestList(t *testing.T) {
	if a, b := List([]string{"a", "b"}), List([]string{"a", "b", "c", "d", "e", "f"}); a != "a, b" ||
		b != "a, b, c, d, +2" {
		t.Errorf("%q, %q", a, b)
	}
}
