package stacks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tried is an entry of testdata/refused.txt: a Compose file, what versions of Docker really said of it, and what people
// are told.
type tried struct {
	name, text string
	answers    []answer
}

type answer struct{ versions, said, want string }

func triedFiles(t testing.TB) (all []tried) {
	t.Helper()
	text, err := os.ReadFile("testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(text), "\n=== ")
	for _, part := range strings.Split(rest, "\n=== ") {
		parts := strings.Split(part, "\n<<< ")
		var c tried
		c.name, c.text, _ = strings.Cut(parts[0]+"\n", "\n")
		for _, p := range parts[1:] {
			var a answer
			p, a.want, _ = strings.Cut(p, "\n>>> ")
			a.versions, a.said, _ = strings.Cut(p, "\n")
			a.want = strings.TrimSpace(a.want)
			c.answers = append(c.answers, a)
		}
		if len(c.answers) == 0 {
			t.Fatalf("%s has no answer", c.name)
		}
		all = append(all, c)
	}
	return all
}

// What Docker 20.10, 26.1 and 28.2 really said of each file leads to its line and to a remedy.
func TestRefused(t *testing.T) {
	for _, c := range triedFiles(t) {
		for _, a := range c.answers {
			t.Run(c.name+" "+a.versions, func(t *testing.T) {
				got := located("t", "/class/stack.yml", []byte(c.text), errors.New(complaint(a.said)))
				if got.Error() != a.want {
					t.Errorf("located() =\n%s\nwant\n%s", got, a.want)
				}
			})
		}
	}
}

// Files that are no text as it is here.
func TestRefusedBytes(t *testing.T) {
	limit := "Compose file contains unsupported options:\n\nmem_limit: Set resource limits using deploy.resources\n"
	for _, c := range []struct{ name, text, said, want string }{
		{"a byte order mark", "\xef\xbb\xbfversion: \"3.8\"\nservices: {web: {image: nginx, mem_limit: 5m}}\n", limit,
			"stack.yml:2: mem_limit of service web is not for a swarm: write deploy: {resources: {limits: {memory: 5m}}}"},
		{"lines of Windows", "version: \"3.8\"\r\nservices:\r\n  web:\r\n    image: nginx\r\n    mem_limit: 5m\r\n", limit,
			"stack.yml:5: mem_limit of service web is not for a swarm: write deploy: {resources: {limits: {memory: 5m}}}"},
		{"Latin-1", "version: \"3.8\"\nservices:\n  web:\n    image: nginx\n    labels: {a: \"k\xfcche\"}\n",
			"yaml: invalid leading UTF-8 octet",
			"stack.yml:5: yaml: invalid leading UTF-8 octet: save the file as UTF-8"},
		{"UTF-16", "\xff\xfes\x00e\x00r\x00v\x00i\x00c\x00e\x00s\x00:\x00 \x00{\x00}\x00\n\x00",
			"unsupported Compose file version: 1.0",
			`stack.yml: unsupported Compose file version: 1.0: write version: "3.8" as its first line`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := located("t", "stack.yml", []byte(c.text), errors.New(complaint(c.said))); got.Error() != c.want {
				t.Errorf("located() = %q, want %q", got, c.want)
			}
		})
	}
}

// What is wrong in a file of variables is said by its line, and never with what stands there: that may be a password.
func TestRefusedVariables(t *testing.T) {
	for _, c := range []struct{ name, env, said string }{
		{"a space, 20.10", "GOOD=1\nMY SECRET=5\n",
			"poorly formatted environment: variable 'MY SECRET' contains whitespaces"},
		{"a space, 28.2", "# of the class\r\nMY SECRET", "invalid env file (%s): variable 'MY SECRET' contains whitespaces"},
		{"no name, 20.10", "\n=SECRET\n", "poorly formatted environment: no variable name on line '=SECRET'"},
		{"no name, 28.2", "\n  =SECRET\n", "invalid env file (%s): no variable name on line '=SECRET'"},
		{"Latin-1, 20.10", "# a b\nA=k\xfcche\n",
			"env file %s contains invalid utf8 bytes at line 2: [65 61 107 252 99 104 101]"},
		{"Latin-1, 28.2", "A=1\nA=k\xfcche\n",
			"invalid env file (%s): invalid utf8 bytes at line 2: [65 61 107 252 99 104 101]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			env := filepath.Join(dir, "web.env")
			text := []byte("services:\n  web:\n    env_file:\n      - none.env\n      - ./web.env\n")
			said := errors.New(strings.ReplaceAll(c.said, "%s", env))
			for _, there := range []bool{true, false} {
				want := filepath.Join(dir, "stack.yml:5: line 2 of ") + env + " is no variable: " +
					"write NAME=value there, in UTF-8 and without a space before the ="
				if there {
					if err := os.WriteFile(env, []byte(c.env), 0o600); err != nil {
						t.Fatal(err)
					}
				} else if err := os.Remove(env); err != nil {
					t.Fatal(err)
				}
				got := located("t", filepath.Join(dir, "stack.yml"), text, said).Error()
				if there && got != want || strings.Contains(got, "SECRET") || strings.Contains(got, "107 252") {
					t.Errorf("located() = %q, want %q", got, want)
				}
			}
		})
	}
}

// Docker says which names it cannot change, with or without that of the stack before them.
func TestChangedConfig(t *testing.T) {
	text := "services:\n  web: {image: nginx, configs: [conf], secrets: [pw]}\nconfigs:\n  conf: {file: ./web.conf}\n" +
		"secrets:\n  pw:\n    file: pw.txt\n    name: pw_9\n"
	for said, want := range map[string]string{
		"failed to update config web_conf: Error response from daemon: rpc error: code = InvalidArgument desc = only " +
			"updates to Labels are allowed": "stack.yml:4: config web_conf has changed, and Docker changes none that is there: " +
			"write name: web_conf_2 there, which makes a new one",
		"failed to update secret pw_9: Error response from daemon: rpc error: code = InvalidArgument desc = only updates " +
			"to Labels are allowed": "stack.yml:8: secret pw_9 has changed, and Docker changes none that is there: " +
			"write name: pw_10 there, which makes a new one",
	} {
		if got := located("web", "stack.yml", []byte(text), errors.New(said)); got.Error() != want {
			t.Errorf("located() = %q, want %q", got, want)
		}
	}
}
