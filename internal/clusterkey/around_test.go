package clusterkey_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

// A file that is clearly meant as the key, by the names that phones and browsers give to a download, is taken or named,
// whatever key is in it: never silently no key.
func TestKeyByNamesOfDownloads(t *testing.T) {
	for _, name := range []string{
		"pi-agent.key.bin", "pi-agent.key.dat", "pi-agent.key.1", "pi-agent.key-1", "pi-agent.key.pdf", "pi-agent.key.log", "pi-agent.key.htm",
		"pi-agent.key.download", "pi-agent.key.docm", "pi-agent.key.wps", "pi-agent.key%20", "pi-agent.key\u200b", "pi.agent.key", "pi-agent.keys",
		"#pi-agent.key#", "pi+agent.key", "ｐｉ-agent.key", "PI-AGE~1.KEY",
	} {
		for what, text := range map[string]string{"passphrase": "four red raspberries\n",
			"mistyped key": generated[:33] + "\n"} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if paths, p, err := clusterkey.OnCard([]string{dir}); err == nil && p.None() {
				t.Errorf("%q with a %s: paths %q, no key, no error", name, what, paths)
			}
		}
	}
}

// A whole key with its check characters, and something around it or between its groups, is that key or is refused: no
// passphrase.
func TestWholeKeyIsNoPassphrase(t *testing.T) {
	between := func(s string) string { return strings.ReplaceAll(generated, "-", s) }
	fullwidth := strings.Map(func(r rune) rune { return r - '!' + '！' }, generated)
	for name, typed := range map[string]string{
		"the line of pi-agent.toml with its comment": `key = "` + generated + `" # group 1`,
		"bold":               "**" + generated + "**",
		"HTML":               "<p>" + generated + "</p>",
		"RTF":                `{\rtf1\ansi ` + generated + `}`,
		"full width":         fullwidth,
		"middle dot":         between("·"),
		"bullet":             between("•"),
		"tilde":              between("~"),
		"plus":               between("+"),
		"hyphen bullet":      between("\u2043"),
		"katakana dash":      between("ー"),
		"variation selector": between("-\ufe0e"),
		"CGJ":                between("\u034f-"),
		"hangul filler":      between("\u3164"),
		"&nbsp;":             between("&nbsp;"),
		"%2D":                between("%2D"),
	} {
		if p, err := clusterkey.Parse(typed); err == nil && p.Weak() {
			t.Errorf("%s: %q is a weak passphrase, without a word", name, typed)
		}
	}
}

// A mistyped key in another grouping is refused as one in groups of four is.
func TestMistypedKeyIsNoPassphrase(t *testing.T) {
	solid := strings.ReplaceAll(generated[:33], "-", "") // the last character is missing
	group := func(n int) string {
		var all []string
		for s := solid; s != ""; s = s[min(n, len(s)):] {
			all = append(all, s[:min(n, len(s))])
		}
		return strings.Join(all, " ")
	}
	for name, typed := range map[string]string{
		"groups of 5":        group(5),
		"groups of 8":        group(8),
		"wrapped once":       solid[:13] + "\n" + solid[13:],
		"one character each": group(1),
		"a comment after it": generated[:33] + " # room 12",
		"bold":               "**" + generated[:33] + "**",
		"middle dots":        strings.ReplaceAll(generated[:33], "-", "·"),
	} {
		if p, err := clusterkey.Parse(typed); err == nil && p.Weak() {
			t.Errorf("%s: %q is a weak passphrase, without a word", name, typed)
		}
	}
}
