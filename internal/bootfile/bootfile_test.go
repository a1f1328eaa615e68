package bootfile_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pi-agent/pi-agent/internal/bootfile"
)

var all = []bootfile.Name{bootfile.Key, bootfile.Settings, bootfile.Stack}

// fits is what a name is taken for, empty for nothing.
func fits(name string) (is string) {
	for _, n := range all {
		if n.Fits(name) {
			is += n.Is
		}
	}
	return is
}

func TestFits(t *testing.T) {
	for want, names := range map[string][]string{
		"pi-agent.key": {
			"pi-agent.key", "pi-agent.key.txt", "PI-AGENT.KEY", "Pi-Agent.Key", "PI-AGENT.KEY.TXT", "pi-agent.key.txt.txt", "pi-agent.key.TXT",
			"pi-agent.key.key", "pi-agent.txt.key", "pi-agent.key.text", "piagent.key", "pi_agent.key", "pi agent.key.txt", "pi–agent.key",
			"pi‑agent.key", "pi−agent.key", "pi\u00adagent.key", "pi-agent.key.", "pi-agent.key .txt",
		},
		"pi-agent.toml": {
			"pi-agent.toml", "pi-agent.toml.txt", "PI-AGENT.TOML", "Pi-agent.toml.TXT", "pi-agent.toml.toml", "pi-agent.txt.toml", "piagent.toml",
		},
		"stack.yml": {
			"stack.yml", "stack.yaml", "stack.yml.txt", "stack.yaml.txt", "Stack.YML", "STACK.YML.TXT", "compose.yaml", "compose.yml",
			"compose.yml.txt", "docker-compose.yml", "docker-compose.yaml", "docker-compose.yml.txt", "Docker-Compose.yml", "docker_compose.yml",
			"docker compose.yml", "docker-stack.yml", "stack.yml.yml", "stack.yaml.yml",
		},
		"": {
			"", ".", ".key", ".txt", "key", "pi-agent", "pi-agent.deb", "pi-agent.txt", "pi-agent.key.taken", "pi-agent.key.txt.taken", "pi-agent.key.bak",
			"._pi-agent.key", ".pi-agent.key", ".pi-agent.key.swp", "pi-agent.key~", "pi-agent.key.rtf", "pi-agent (1).key", "pi-agent-key.txt",
			"pi-agent.key.toml", "pi-agent.toml.key", "pi-agent.toml.bak", "cmdline.txt", "config.txt", "stack.txt", "stacks.yml",
			"compose.override.yaml", "web.yml", "network-config", "user-data", "\xff.key", "pi-agent\x00.key",
		},
	} {
		for _, name := range names {
			if got := fits(name); got != want {
				t.Errorf("%q is taken for %q, want %q", name, got, want)
			}
		}
	}
}

func TestIn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"PI-AGENT.KEY", "a.key", "pi-agent.key", "pi-agent.key.txt", "pi-agent.toml"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := bootfile.Key.In(dir)
	want := []string{filepath.Join(dir, "pi-agent.key"), filepath.Join(dir, "PI-AGENT.KEY"),
		filepath.Join(dir, "pi-agent.key.txt")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("In() = %q, %v, want %q", got, err, want)
	}
	if got, err := bootfile.Key.In(filepath.Join(dir, "none")); err != nil || len(got) > 0 {
		t.Errorf("In() = %q, %v where there is no directory", got, err)
	}
	if _, err := bootfile.Key.In(filepath.Join(dir, "a.key")); err == nil {
		t.Error("a file is taken for a directory")
	}
}

func TestStrays(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"pi-agent.key.rtf", "x", "pi-agent.key"},
		{"pi-agent (1).key", "x", "pi-agent.key"},
		{"pi-agent.key (1)", "x", "pi-agent.key"},
		{"pi-agent.key(2).txt", "x", "pi-agent.key"},
		{"Copy of pi-agent.key", "x", "pi-agent.key"},
		{"pi-agent - Kopie.key", "x", "pi-agent.key"},
		{"Copia de pi-agent.key.txt", "x", "pi-agent.key"},
		{"pi-agent-key", "x", "pi-agent.key"},
		{"pi-agent-key.txt", "x", "pi-agent.key"},
		{"group-1 pi-agent.key", "x", "pi-agent.key"},
		{"pi-agent.txt", "7Q2M", "pi-agent.key"},
		{"pi-agent", "7Q2M", "pi-agent.key"},
		{"PI-AGENT.RTF", "7Q2M", "pi-agent.key"},
		{"pi-agent.txt", "# x\nexpect = 3", "pi-agent.toml"},
		{"pi-agent", "expect = 3", "pi-agent.toml"},
		{"pi-agent.key.toml", "expect = 3", "pi-agent.toml"},
		{"pi-agent.toml.key", "7Q2M", "pi-agent.key"},
		{"pi-agent.toml.rtf", "x", "pi-agent.toml"},
		{"pi-agent.tml", "x", "pi-agent.toml"},
		{"pi-agent.conf", "x", "pi-agent.toml"},
		{"pi-agent.ini", "x", "pi-agent.toml"},
		{"pi-agent (2).toml", "x", "pi-agent.toml"},
		{"pi-agent settings.txt", "x", "pi-agent.toml"},
		{"stack (1).yml", "x", "stack.yml"},
		{"stack.txt", "x", "stack.yml"},
		{"docker-compose.rtf", "x", "stack.yml"},
		{"docker-compose - Copy.yml", "x", "stack.yml"},

		{"pi-agent.deb", "x", ""},
		{"pi-agent_1.0.0_arm64.deb", "x", ""},
		{"pi-agent-archive-keyring.gpg", "x", ""},
		{"pi-agent.key.taken", "x", ""},
		{"pi-agent.key.bak", "x", ""},
		{"pi-agent.toml~", "x", ""},
		{"pi-agent.toml.dpkg-old", "x", ""},
		{"._pi-agent.key", "x", ""},
		{"pi-agent notes.txt", "x", ""},
		{"stack", "x", ""},
		{"server.key", "x", ""},
		{"config.txt", "x", ""},
		{"cmdline.txt", "x", ""},
		{"pi-agent.key", "x", ""},
		{"pi-agent.toml.txt", "x", ""},
		{"compose.yaml", "x", ""},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := bootfile.Strays(dir, all...)
		if err != nil || len(got) > 1 || (len(got) == 1) != (tt.want != "") || len(got) == 1 &&
			(got[0].Path != path || got[0].For.Is != tt.want) {
			t.Errorf("%q with %q: Strays() = %v, %v, want %q", tt.name, tt.text, got, err, tt.want)
		}
		if others, _ := bootfile.Strays(dir); len(others) > 0 {
			t.Errorf("%q is reported to who does not ask for it", tt.name)
		}
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "pi-agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := bootfile.Strays(dir, all...); err != nil || len(got) > 0 {
		t.Errorf("Strays() = %v, %v with a directory", got, err)
	}
}

func FuzzFits(f *testing.F) {
	f.Add("PI-AGENT.KEY.txt")
	f.Add("docker-compose - Copy.yml")
	f.Add("...")
	f.Fuzz(func(t *testing.T, name string) {
		is := fits(name)
		if is != "" && fits(name+".txt") != is {
			t.Errorf("%q is taken for %q, and with .txt it is not", name, is)
		}
		if !slices.Contains([]string{"", "pi-agent.key", "pi-agent.toml", "stack.yml"}, is) {
			t.Errorf("%q is taken for %q", name, is)
		}
	})
}
