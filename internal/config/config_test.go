package config

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
)

var update = flag.Bool("update", false, "write reference.toml anew from the table of settings")

// reference is what reference.toml must be.
func reference() string {
	var b strings.Builder
	b.WriteString("# Settings of pi-agent. All are optional: the lines below show the defaults. Remove the # in front of a " +
		"setting and\n# change its value; then restart the service: systemctl restart pi-agent\n")
	for _, s := range settings {
		b.WriteString("\n")
		line := "#"
		for _, word := range strings.Fields(s.doc + " Give " + s.bounds + ".") {
			if len(line)+1+len(word) > 118 {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		b.WriteString(line + "\n#" + s.key + " = " + s.byDefault + "\n")
	}
	return b.String()
}

func TestReference(t *testing.T) {
	if *update {
		Reference = reference()
		if err := os.WriteFile("reference.toml", []byte(Reference), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(reference(), Reference); diff != "" {
		t.Errorf("reference.toml differs from the table of settings; go test ./internal/config -update writes it "+
			"(-want +got):\n%s", diff)
	}
	uncommented := regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(Reference, "$1")
	for name, text := range map[string]string{"as it is": Reference, "with every key": uncommented} {
		c, err := parse(Default(), "f", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(), c); diff != "" {
			t.Errorf("%s it is not the default (-want +got):\n%s", name, diff)
		}
	}
	for _, s := range settings {
		if !strings.Contains(uncommented, "\n"+s.key+" = ") {
			t.Errorf("%s is missing", s.key)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pi-agent.toml")
	text := "\ufeff# edited on Windows\r\nexpect = 3\r\nsettle = \"30s\"\r\nmanagers = \"auto\"\r\ncluster = " +
		"\"class-b\"\r\nkey = \"four red raspberries\"\r\ninterface = \"eth0\"\r\n" +
		"address = \"interface\"\r\n" +
		"serial = \"AABBCC01\"\r\nhostname = \"keep\"\r\ndocker_without_sudo = false\r\ndocker = " +
		"\"unix:///tmp/d.sock\"\r\nweb = \"off\"\r\nlight = \"off\"\r\nlog = \"debug\"\r\n" +
		"deny = [\"10000000AABBCC05\", \"aabbcc07\"]\r\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := clusterkey.Parse("four red raspberries")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Expect: 3, Settle: 30 * time.Second, Managers: AutoManagers, Cluster: "class-b", Key: key, Interface: "eth0",
		Serial: "00000000aabbcc01", Docker: "unix:///tmp/d.sock", Log: zapcore.DebugLevel,
		Deny: []peer.Serial{"10000000aabbcc05", "00000000aabbcc07"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a file that was named and is not there gives no error")
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // after the path
	}{
		{"unknown key", "expect = 3\nsettel = \"30s\"\n",
			[]string{`:2: there is no setting "settel"; there are expect, settle`}},
		{"unknown table", "\n[swarm]\nx = 1\n", []string{`:2: there is no setting "swarm"`}},
		{"wrong type", "expect = \"three\"",
			[]string{`:1: expect = "three" is not possible: give a whole number from 0 to 64`}},
		{"too many", "# a class\nexpect = 65", []string{`:2: expect = 65 is not possible: give a whole number from 0 to 64`}},
		{"negative", "expect = -1", []string{`expect = -1 `}},
		{"an even number of managers", "managers = 2",
			[]string{`:1: managers = 2 is not possible: give 0, 1, 3, 5, 7 or "auto"`}},
		{"too many managers", "managers = 9", []string{`managers = 9 `}},
		{"not whole", "expect = 2.5", []string{`expect = 2.5 `}},
		{"too short", `settle = "1s"`, []string{`settle = "1s" is not possible: give a duration from "5s" to "5m"`}},
		{"no unit", `settle = 15`, []string{`settle = 15 is`}},
		{"cluster", `cluster = "Class B"`, []string{`:1: cluster = "Class B"`, "a-z"}},
		{"key", "key = \"7Q2M-9V4K-ABCD-EFU1-2GHJ-5NPQ-3MBR\"",
			[]string{`:1: key = *** is not possible: it looks like a key`, "group 4 has a U"}},
		{"key that is a passphrase", `key = "correct-horse-battery-staple-one"`, []string{`it has 28 letters`, "add a word"}},
		{"key that is no text", `key = 3`, []string{`key = *** is not possible: give a key as`}},
		{"deny", `deny = ["pi-bbcc05"]`,
			[]string{`:1: deny = [pi-bbcc05] is not possible: give a list of at most 64 serials`}},
		{"deny without quotes", `deny = [10]`, []string{`deny = [10]`}},
		{"deny without a list", `deny = "10000000aabbcc05"`, []string{`deny = "10000000aabbcc05"`}},
		{"deny too many", "deny = [" + strings.Repeat(`"1",`, 65) + "]", []string{`deny = [1 1`}},
		{"interface", `interface = "a/b"`, []string{`interface = "a/b"`}},
		{"interface too long", `interface = "wlxb827eb0123456"`, []string{`interface = "wlxb827eb0123456"`, "give the name"}},
		{"interface too long in bytes", `interface = "ääääääää"`, []string{`interface = "ääääääää"`}},
		{"interface is a directory", `interface = ".."`, []string{`interface = ".."`}},
		{"peers", `peers = ["pi4.local"]`, []string{`:1: peers = [pi4.local]`, `a list of at most 16 IPv4 addresses`}},
		{"peers is no list", `peers = "192.168.1.20"`, []string{`:1: peers = "192.168.1.20"`}},
		{"peers to all", `peers = ["224.0.0.251"]`, []string{`:1: peers = [224.0.0.251]`}},
		{"too many peers", `peers = [` + strings.Repeat(`"10.0.0.1",`, 17) + `]`, []string{`:1: peers = [10.0.0.1`}},
		{"address", `address = "10.0.0.1"`, []string{`address = "10.0.0.1"`, `"link-local" or "interface"`}},
		{"serial", `serial = "0000000000000000"`, []string{`serial = "0000000000000000"`, "hexadecimal"}},
		{"docker", `docker = "tcp://0.0.0.0:2375"`, []string{`docker = "tcp://0.0.0.0:2375"`, "unix://"}},
		{"hostname", `hostname = "pi1"`, []string{`hostname = "pi1"`, `"auto" or "keep"`}},
		{"web without a port", `web = "here"`, []string{`web = "here"`, `":7380"`}},
		{"web below 1024", `web = ":80"`, []string{`web = ":80"`, "1024"}},
		{"web at a name", `web = "pi:7380"`, []string{`web = "pi:7380"`, "address"}},
		{"web", "web = true", []string{"web = true", `"off"`}},
		{"light", "light = false", []string{"light = false", `"off"`}},
		{"docker_without_sudo", `docker_without_sudo = "no"`, []string{`docker_without_sudo = "no"`, `true or false`}},
		{"log", `log = "warn"`, []string{`log = "warn"`, `"info" or "debug"`}},
		{"several", "log = 1\nexpect = 99\n", []string{":1: log", ":2: expect"}},
		{"several of one name", "cluster = \"\"\"\nexpect = 3\"\"\"\n\nexpect = 99\n[x]\nexpect = 98",
			[]string{":1: cluster", ":4: expect = 99", `:5: there is no setting "x"`}},
		{"escaped key", "\n\"\\u0065xpect\" = 99", []string{":2: expect = 99"}},
		{"dotted key", "\nexpect.boards = 3", []string{":2: expect = map"}},
		{"no quotes", "expect = 3\nsettle = 15s",
			[]string{`:2: strings must be quoted; settle takes a duration from "5s" to "5m", as in settle = "15s"`}},
		{"no quotes, a word", "cluster = class-b", []string{`cluster takes 1 to 32`, `as in cluster = "pi"`}},
		{"not UTF-8", "expect = 3\n# gr\xfc\xdfe\n", []string{":2: the file is not UTF-8 text: save it"}},
		{"UTF-16", "\xff\xfee\x00", []string{":1: the file is not UTF-8 text"}},
		{"syntax", "expect = 3\nsettle = \"30s\n", []string{":2: "}},
		{"twice", "expect = 3\nexpect = 4\n", []string{":2: "}},
		{"too long", strings.Repeat("# x\n", fileMax/4+1), []string{" is longer than 65536 bytes"}},
		{"not text", "\xff\xfe=\x00", []string{":1: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pi-agent.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not have the file and %q", err, w)
				}
			}
		})
	}
}

func TestNoErrorHasTheKey(t *testing.T) {
	for _, line := range []string{
		"key = \"Himbeere\"", "key = Himbeeren-rot", "key = \"Himbeeren rot", "key = \"Himbeeren \\rot\"", "key = \"x\" Himbeeren",
		"key = [\"Himbeeren rot\"]", "key.Himbeeren = 3", "key = 4Himbeeren",
	} {
		_, err := parse(Default(), "f", []byte("expect = 3\n"+line))
		if err == nil || strings.Contains(err.Error(), "Himb") || !strings.Contains(err.Error(), "f:2: ") ||
			!strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("%s: error %v, want one with line and remedy, and without the key", line, err)
		}
	}
}

func TestLoadBoot(t *testing.T) {
	dir := t.TempDir()
	in := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	dirs := []string{in("boot", "firmware"), in("boot")}
	etc, firmware, boot := in("etc.toml"), in("boot", "firmware", "pi-agent.toml"), in("boot", "pi-agent.toml")
	txt, shouts, stray := firmware+".txt", in("boot", "firmware", "PI-AGENT.TOML"), in("boot", "firmware", "pi-agent.conf")
	with := func(change func(*Config)) Config {
		c := Default()
		c.Expect = 3 // as in /etc
		change(&c)
		return c
	}
	tests := []struct {
		name  string
		files map[string]string
		want  Config
		wrong string // a part of BootErr
	}{
		{"none", nil, with(func(*Config) {}), ""},
		{"older place", map[string]string{boot: "expect = 4"}, with(func(c *Config) { c.Boot, c.Expect = boot, 4 }), ""},
		{"both places", map[string]string{boot: "expect = 4", firmware: "cluster = \"b\""},
			with(func(c *Config) { c.Boot, c.Cluster = firmware, "b" }), ""},
		{"a mistake leaves the rest in force", map[string]string{firmware: "cluster = \"b\"\nexpect = 99"},
			with(func(c *Config) { c.Boot, c.Cluster = firmware, "b" }), firmware + ":2: expect = 99"},
		{"a mistake that nothing can be read beyond", map[string]string{firmware: "cluster = b\nexpect = 4"},
			with(func(c *Config) { c.Boot = firmware }), firmware + ":1: "},
		{"too long", map[string]string{firmware: strings.Repeat("# x\n", fileMax/4+1)},
			with(func(c *Config) { c.Boot, c.KeyLost = firmware, true }), "is longer than"},
		{"an ending that was added", map[string]string{txt: "cluster = \"b\""},
			with(func(c *Config) { c.Boot, c.Cluster = txt, "b" }), ""},
		{"in capitals", map[string]string{shouts: "cluster = \"b\"\nexpect = 99"},
			with(func(c *Config) { c.Boot, c.Cluster = shouts, "b" }), shouts + ":2: expect = 99"},
		{"beside the one of the image", map[string]string{firmware: "\ufeff" + Reference, txt: "cluster = \"b\""},
			with(func(c *Config) { c.Boot, c.Cluster = txt, "b" }), ""},
		{"two that are the same", map[string]string{firmware: "expect = 4", txt: "expect = 4"},
			with(func(c *Config) { c.Boot, c.Expect = firmware, 4 }), ""},
		{"two that differ", map[string]string{firmware: "expect = 4", txt: "expect = 5"},
			with(func(*Config) {}), firmware + " and " + txt + " have different settings: keep the one that is meant"},
		{"two that differ, one with a key", map[string]string{firmware: "expect = 4", txt: "key = \"four red raspberries\""},
			with(func(c *Config) { c.KeyLost = true }), "have different settings"},
		{"another name", map[string]string{stray: "expect = 4"}, with(func(*Config) {}),
			stray + ": it is not read under this name: save it as plain text and call it pi-agent.toml, or take it away"},
		{"another name beside the right one", map[string]string{stray: "Key = 'x'", firmware: "expect = 4"},
			with(func(c *Config) { c.Boot, c.Expect, c.KeyLost = firmware, 4, true }), stray +
				": it is not read under this name"},
		{"a key that is wrong", map[string]string{firmware: "key = \"7Q2M-9V4K-ABCD-EF01-2GHJ-5NPQ-3MB\"\nexpect = 4"},
			with(func(c *Config) { c.Boot, c.Expect, c.KeyLost = firmware, 4, true }),
			firmware +
				":1: key = *** is not possible: it looks like a key of \"pi-agent key new\" and is none: group 7 has 3 characters"},
		{"a key in the quotes of a text program", map[string]string{firmware: "expect = 4\nkey = “four red raspberries”"},
			with(func(c *Config) { c.Boot, c.KeyLost = firmware, true }), firmware + ":2: "},
		{"a key in UTF-16", map[string]string{firmware: "\xff\xfek\x00e\x00y\x00 \x00=\x00"},
			with(func(c *Config) { c.Boot, c.KeyLost = firmware, true }), "not UTF-8 text"},
	}
	if err := os.MkdirAll(dirs[0], 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{etc, firmware, boot, txt, shouts, stray} {
				_ = os.Remove(path) // it may be there from the test before
			}
			files := map[string]string{etc: "expect = 3"}
			maps.Copy(files, tt.files)
			for path, text := range files {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := load(etc, dirs)
			if err != nil {
				t.Fatal(err)
			}
			if wrong := fmt.Sprint(got.BootErr); !strings.Contains(wrong, tt.wrong) || (got.BootErr != nil) != (tt.wrong != "") {
				t.Errorf("BootErr is %q, want %q", wrong, tt.wrong)
			}
			got.BootErr = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if err := os.WriteFile(etc, []byte("expect = x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(etc, dirs); err == nil || !strings.Contains(err.Error(), etc+":1: ") {
		t.Errorf("a mistake in the first file gives %v", err)
	}
	if _, err := load(filepath.Join(dir, "none"), dirs); err != nil {
		t.Errorf("without the first file: %v", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	for _, path := range append([]string{Path}, bootfile.Settings.Paths()...) {
		if _, err := os.Stat(path); err == nil {
			t.Skipf("this machine has %s", path)
		}
	}
	got, err := Load(Path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Reference))
	f.Add([]byte("expect = 3\n[x]\ny = 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(Default(), "f", text)
		if err != nil {
			for p := range strings.Lines(err.Error()) {
				if !regexp.MustCompile(`^f:[1-9][0-9]*: .`).MatchString(p) {
					t.Errorf("%q does not name the line and what is wrong", p)
				}
			}
			return
		}
		var values map[string]any
		if err := toml.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &values); err != nil {
			t.Errorf("what is no TOML was read: %v", err)
		}
		for key := range values {
			if !slices.Contains(keys(), key) {
				t.Errorf("%q is not told", key)
			}
		}
		if c.Expect < 0 || c.Expect > expectMax || c.Settle < settleMin || c.Settle > settleMax ||
			peer.CheckCluster(c.Cluster) != nil || len(c.Interface) > interfaceMax || !strings.HasPrefix(c.Docker, "unix:///") {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}
