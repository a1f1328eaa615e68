package stacks

import (
	"errors"
	"strings"
	"testing"
)

const compose = `# of the class
version: "3.8"
services:
  web:
    image: nginx
    ports: "80"
  db:
    image: postgres
    deploy:
      replicas: two
networks: {front: {drivr: overlay}}
`

// What Docker says is in the words of versions 20.10 and 28.
func TestLocated(t *testing.T) {
	for _, c := range []struct {
		name, text, said, want string
	}{
		{"a value", compose, "services.web.ports must be a list",
			`stack.yml:6: services.web.ports must be a list: write ports: ["80"]`},
		{"a deep value", compose, "services.db.deploy.replicas must be a integer",
			"stack.yml:10: services.db.deploy.replicas must be a integer: write it in digits, without quotes"},
		{"an unknown key in one line", compose, "networks.front Additional property drivr is not allowed",
			"stack.yml:11: networks.front Additional property drivr is not allowed: take drivr out"},
		{"an unknown key at the top", compose, "(root) Additional property versoin is not allowed",
			"stack.yml: (root) Additional property versoin is not allowed: take versoin out"},
		{"a key that is not in the file", compose, "services.db.image must be a string, not empty",
			"stack.yml:8: services.db.image must be a string, not empty"},
		{"a key below one that has none", compose, "services.web.ports.0.target must be a number",
			"stack.yml:6: services.web.ports.0.target must be a number"},
		{"a service", compose, `service "db" refers to undefined network back: invalid compose project`,
			`stack.yml:7: service "db" refers to undefined network back: write networks: {back: {}} at the end of the file, not indented`},
		{"syntax", "services:\n  web:\n    image: nginx\n   ports:\n", "yaml: line 1: did not find expected key",
			"stack.yml: yaml: line 1: did not find expected key: look there and a few lines below"},
		{"a name that is used before",
			"services:\n  web:\n    depends_on:\n      db:\n        condition: up\n  db:\n    image: [x]\n",
			"services.db.image must be a string", "stack.yml:7: services.db.image must be a string: write one text there"},
		{"a list that is not indented", "services:\n  web:\n    ports:\n    - target: x\n    image: nginx\n",
			"services.web.ports.0.target must be a number", "stack.yml:4: services.web.ports.0.target must be a number: write it in digits, without quotes"},
		{"quotes and an editor on Windows", "services:\r\n  \"web\":\r\n    image: 1\r\n",
			"services.web.image must be a string",
			`stack.yml:3: services.web.image must be a string: put quotes around it: "1"`},
		{"no version", "services: {}\n", "unsupported Compose file version: 1.0",
			`stack.yml: unsupported Compose file version: 1.0: write version: "3.8" as its first line`},
		{"an engine", compose, "Cannot connect to the Docker daemon", "stack.yml: Cannot connect to the Docker daemon"},
		{"nothing in the file", "", "empty compose file", "stack.yml: empty compose file"},
		{"no mapping", "- web\n", "Top-level object must be a mapping",
			"stack.yml:1: Top-level object must be a mapping: begin with services: and write below it what is to run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := located("stack", "stack.yml", []byte(c.text), errors.New(c.said)); got.Error() != c.want {
				t.Errorf("located() = %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzLocated(f *testing.F) {
	for _, c := range triedFiles(f) {
		f.Add(c.text, complaint(c.answers[0].said))
	}
	f.Add(compose, "services.web.ports must be a list")
	f.Add("a: &a [*a, *a]\n<<: *a\n", `service "a" has neither an image nor a build context`)
	f.Add(bombs()["dots"], "services.a.a.a.a must be a string")
	f.Add(bombs()["of merges"], "Ignoring unsupported options: pid")
	f.Add("? \"a\\nb\"\n: c\n? \"a\\nb\"\n: d\n", "yaml: invalid map key: []interface {}{\"a\"}")
	f.Add("\ufeff? [a]\n: b\n--- !!map {a: b}\n", "yaml: line 3: mapping values are not allowed in this context")
	f.Fuzz(func(t *testing.T, text, said string) {
		got := located("stack", "stack.yml", []byte(text), errors.New(said)).Error()
		if !strings.HasPrefix(got, "stack.yml:") || strings.Contains(got, "\n") {
			t.Errorf("located() = %q is no line that names the file", got)
		}
		for _, a := range advice("stack", "stack.yml", []byte(text), ignored(said)) {
			if !strings.HasPrefix(a.En, "Stack stack: ") || strings.Contains(a.En, "\n") {
				t.Errorf("advice() = %q is no line of the stack", a)
			}
		}
		if all := outlineOf([]byte(text)).sources("/nonexistent"); len(all) > sourcesMax {
			t.Errorf("sources() = %d files", len(all))
		}
	})
}
