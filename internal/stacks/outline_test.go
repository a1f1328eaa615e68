package stacks

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name, text, path string
		want             int
	}{
		{"a byte order mark", "\ufeffa:\n  b: c\n", "a.b", 2},
		{"lines of Windows", "a:\r\n  b: |\r\n    x\r\n    y\r\n  c: d\r\n", "a.c", 5},
		{"UTF-16", "\xff\xfea\x00:\x00\n\x00 \x00b\x00:\x00 \x00c\x00", "a.b", 2},
		{"a tab", "a:\n\tb: c\n", "a", 0},
		{"a tab behind a colon", "a:\n  b:\tc\n", "a.b", 2},
		{"a text of several lines", "a:\n  b: >-\n    c\n\n    d\n  e: \"f\n  g\"\n  h: i\n", "a.h", 8},
		{"quotes that go on at the margin", "a: \"b\nc\"\nd: e\n", "d", 3},
		{"a key behind a question mark", "? a\n: b: c\n", "a.b", 2},
		{"an element", "a:\n- b\n- c: d\n  e: f\n", "a.1.e", 4},
		{"more than there is", "a:\n  b: c\n", "a.b.c.d", 2},
		{"a key that is there again", "a: b\na: c\n", "a", 1},
		{"names with dots", "a: b\na.b:\n  c: d\n", "a.b.c", 3},
		{"an alias in a list", "x: &x 80\nports:\n  - *x\n", "ports.0", 3},
		{"below an alias", "x: &x\n  a: b\ny: *x\n", "y.a", 2},
		{"an alias as a key", "x: &x a\n*x : b\n", "a", 2},
		{"what << takes over", "x: &x\n  a: b\ny:\n  <<: *x\n  c: d\n", "y.a", 2},
		{"its own before it", "x: &x\n  a: b\ny:\n  <<: *x\n  a: c\n", "y.a", 5},
		{"the first of several", "x: &x\n  a: b\ny: &y\n  a: c\nz:\n  <<: [*y, *x]\n", "z.a", 4},
		{"<< in quotes", "x:\n  \"<<\": {a: b}\n", "x.a", 1},
		{"an anchor that is there again", "x: &x {a: 1}\ny: &x\n  b: 2\nz: *x\n", "z.b", 3},
		{"none", "a: *x\n", "a", 0},
		{"a circle", "a: &a\n  b: *a\n", "a", 0},
		{"a circle of <<", "a: &a\n  <<: *a\n", "a", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := outlineOf([]byte(c.text)).find(c.path).line(); got != c.want {
				t.Errorf("%s is in line %d, want %d", c.path, got, c.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a: b\n": 0, "---\na: b\n...\n": 0, "a: b\n...\n# c\n": 0, "%YAML 1.1\n---\na: b\n": 0,
		"a: b\n---\n": 2, "a: b\n---\nc: d\n": 2, "a: b\n--- c\n": 2, "a: b\r\n---\r\nc: d\r\n": 2, "---\n---\na: b\n": 2,
		"a: b\n...\nc: d\n": 3, "  a: b\n\nc: d\n": 3, "[a]\n]\n": 2, "{a: b} {c: d}\n": 1, // behind the end of the first
		"a: b\n---\n{c\n": 2, "---\na: |\n  ---\n---\nb: *c\n": 4, // the second is no YAML
	} {
		if got := outlineOf([]byte(text)).next; got != want {
			t.Errorf("behind %q something begins in line %d, want %d", text, got, want)
		}
	}
}

func TestIsText(t *testing.T) {
	for text, want := range map[string]bool{
		"web": true, "'n'": true, `"5"`: true, "!!str 5": true, "5 s": true, "1:30": true, "|\n  5": true,
		"n": false, "Yes": false, "OFF": false, "true": false, "~": false, "": false, "5": false, "-1_000": false, "0x1F": false, "1e3": false,
		".inf": false, "2026-11-28": false, "[a]": false, "{{ a }}": false,
	} {
		o := outlineOf([]byte("a: " + text))
		if got := isText(value(o.root, "a")); got != want {
			t.Errorf("%s is text: %v, want %v", text, got, want)
		}
	}
}

// bombs are texts that cost much more than others of their length, when they are read or walked through without care.
func bombs() map[string]string {
	laughs := "a0: &a0 [x, x]\n"
	for i := range 60 {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	merges := "x0: &x0 {pid: host}\n"
	for i := range 60 {
		merges += fmt.Sprintf("x%d: &x%d {<<: [*x%d, *x%d]}\n", i+1, i+1, i, i)
	}
	var chain strings.Builder
	chain.WriteString("- &a0 x\n")
	for i := range 40000 {
		_, _ = fmt.Fprintf(&chain, "- &a%d [*a%d]\n", i+1, i) // a builder does not fail
	}
	return map[string]string{
		"a billion laughs": laughs + "services: {web: *a60}\n",
		"of merges":        merges + "services: {web: *x60}\n",
		"one for all":      "x: &x {" + strings.Repeat("pid,", 1e5) + "}\nservices:\n" + strings.Repeat("  a: *x\n", 6e4),
		"a chain":          chain.String(),
		"dots":             "services: &a\n" + strings.Repeat(" a: &a\n  a.a: *a\n", 30),
		"deep brackets":    strings.Repeat("[", fileMax),
		"as deep as goes":  strings.Repeat("- ", 9000) + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"long":             "services:\n" + strings.Repeat("  a: {pid: 5}\n", 3e4),
		"one option":       "services:\n web:\n" + strings.Repeat("  pid: x\n", 3e4),
	}
}

// Whatever a file costs, it is told of within seconds; without the bounds it would be years, or the stack would
// overflow.
func TestBombs(t *testing.T) {
	said := []string{
		"services.web" + strings.Repeat(".a", 200) +
			" must be a string", "json: unsupported type: map", "error decoding 'Ports': xxx",
		"Compose file contains unsupported options:\n\npid: x\n", "open /nonexistent: no such file or directory",
	}
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			for _, s := range said {
				if got := located("stack", "stack.yml", []byte(text), errors.New(s)).Error(); len(got) > 1000 {
					t.Errorf("located() = %.100q..., which is %d bytes", got, len(got))
				}
			}
			advice("stack", "stack.yml", []byte(text), usuallyIgnored)
			sumOf("stack.yml", []byte(text))
		})
	}
}

// What stands for too much, or for itself, is no outline; Docker takes neither.
func TestUnalias(t *testing.T) {
	for name, want := range map[string]bool{
		"a billion laughs": false, "of merges": false, "one for all": false, "a chain": false,
		"as deep as goes": true, "long": true,
	} {
		if got := outlineOf([]byte(bombs()[name])).root != nil; got != want {
			t.Errorf("%s has an outline: %v, want %v", name, got, want)
		}
	}
}

// What people run at home, as they write it, is all found.
func TestHome(t *testing.T) {
	text, err := os.ReadFile("testdata/home.yml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for path, want := range map[string]string{
		"services.homeassistant.logging.options.max-file": `    options: {max-size: "10m", max-file: "3"}`,
		"services.homeassistant.volumes.1":                "    - /etc/localtime:/etc/localtime:ro",
		"services.mosquitto.configs.0.target":             "        target: /mosquitto/config/mosquitto.conf",
		"services.mosquitto.healthcheck.interval":         "      interval: 1m30s",
		"services.db.environment.2":                       `      - "INIT=SET a='b';`,
		"services.db.secrets.0":                           "    secrets: [ db_root ]",
		"services.db.labels.note":                         "      note: |",
		"networks.default.driver_opts.encrypted":          `      encrypted: ""`,
	} {
		line := outlineOf(text).find(path).line()
		if line == 0 || lines[line-1] != want {
			t.Errorf("%s is in line %d, want %q", path, line, want)
		}
	}
}
