package clusterkey_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

const passphrase = "drei Himbeeren für Ünal"

func mustParse(t testing.TB, text string) clusterkey.Phrase {
	t.Helper()
	p, err := clusterkey.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return p
}

// tag is what tells keys apart.
func tag(t testing.TB, p clusterkey.Phrase, cluster string) string {
	t.Helper()
	k, err := p.Key(cluster)
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Tag()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGenerate(t *testing.T) {
	form := regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$`)
	seen := map[string]bool{}
	for range 100 {
		text := clusterkey.Generate()
		if !form.MatchString(text) || seen[text] {
			t.Fatalf("Generate() = %q", text)
		}
		seen[text] = true
		if mustParse(t, text).Weak() {
			t.Errorf("%q is called weak", text)
		}
	}
}

func TestParseIsTolerantOfAGeneratedKey(t *testing.T) {
	text := clusterkey.Generate()
	want := tag(t, mustParse(t, text), "pi")
	for name, typed := range map[string]string{
		"lower case": strings.ToLower(text),
		"no dashes":  strings.ReplaceAll(text, "-", ""),
		"spaces":     "\r\n  " + strings.ReplaceAll(text, "-", " ") + " \t\r\n",
		"O for 0":    strings.ReplaceAll(text, "0", "O"),
		"o for 0":    strings.ReplaceAll(text, "0", "o"),
		"I for 1":    strings.ReplaceAll(text, "1", "I"),
		"l for 1":    strings.ReplaceAll(text, "1", "l"),
	} {
		p := mustParse(t, typed)
		if got := tag(t, p, "pi"); got != want || p.Weak() || !p.Equal(mustParse(t, text)) || p.None() {
			t.Errorf("%s: %q is another key than %q", name, typed, text)
		}
	}
}

func TestParseFindsTypingMistakes(t *testing.T) {
	found := 0
	const tries = 2000
	for range tries {
		typed := []byte(clusterkey.Generate())
		if typed[6] == 'Z' {
			typed[6] = 'Y'
		} else {
			typed[6] = 'Z'
		}
		if _, err := clusterkey.Parse(string(typed)); err != nil {
			found++
			if strings.Contains(err.Error(), string(typed[:4])) {
				t.Fatalf("the key is in the error: %v", err)
			}
		}
	}
	if found < tries*99/100 {
		t.Errorf("%d of %d wrong characters were found", found, tries)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, word := range map[string]string{
		"":                          "empty",
		" \r\n":                     "empty",
		"raspberry":                 "it has 9 characters",
		"äöüäöüäöüäö":               "it has 11 characters",
		strings.Repeat("x y ", 40):  "it has 159 characters",
		"first line\nsecond line":   "line break",
		"drei Himbeeren\x00\x00":    "cannot be printed",
		"drei Himbeeren\xff und so": "UTF-8",
	} {
		_, err := clusterkey.Parse(text)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("Parse(%q): error %v, want one with %q and a remedy", text, err, word)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	text := clusterkey.Generate()
	seen := map[string]string{}
	for _, c := range []struct{ text, cluster string }{
		{text, "pi"}, {text, "class-b"}, {clusterkey.Generate(), "pi"},
		{passphrase, "pi"}, {passphrase, "class-b"}, {strings.ToLower(passphrase), "pi"},
	} {
		name, got := c.text+" of "+c.cluster, tag(t, mustParse(t, c.text), c.cluster)
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s have one tag", name, other)
		}
		seen[got] = name
	}
	if p := mustParse(t, passphrase); !p.Weak() {
		t.Error("a passphrase is not called weak")
	}
	k, err := mustParse(t, text).Key("pi")
	if err != nil {
		t.Fatal(err)
	}
	a, errA := k.Derive("a")
	b, errB := k.Derive("b")
	if bytes.Equal(a, b) || len(a) != 32 || errA != nil || errB != nil {
		t.Errorf("keys for two uses: %x %v, %x %v", a, errA, b, errB)
	}
	signA, errA := k.Signer("a")
	signB, errB := k.Signer("b")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if s := signA("x"); len(s) != 22 || s != signA("x") || s == signA("y") || s == signB("x") {
		t.Errorf("signatures %s, %s, %s", s, signA("y"), signB("x"))
	}
	if k.None() || !(clusterkey.Key{}).None() {
		t.Error("None is wrong")
	}
}

// The keys on cards that were flashed years ago must go on to mean the same. The tags were calculated with another
// program.
func TestKeysStayTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP": "b95870fe8d71",
		passphrase:                           "c3c90e61e05e",
	} {
		if got := tag(t, mustParse(t, text), "pi"); got != want {
			t.Errorf("tag of %q is %s, want %s", text, got, want)
		}
	}
}

func TestNothingPrintsTheKey(t *testing.T) {
	p := mustParse(t, passphrase)
	k, err := p.Key("pi")
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", p, p, p), fmt.Sprintf("%v %+v %#v", k, k, k)} {
		if strings.Contains(printed, "Himbeeren") {
			t.Errorf("printed as %s", printed)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	put := func(text string, mode os.FileMode) string {
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := clusterkey.Generate()
	p, err := clusterkey.ReadFile(put("\ufeff"+text+"\r\n", 0o600))
	if err != nil || tag(t, p, "pi") != tag(t, mustParse(t, text), "pi") {
		t.Errorf("a file from Windows: %v", err)
	}
	p, err = clusterkey.ReadFile(put(text, 0o640))
	if !errors.Is(err, clusterkey.ErrExposed) || tag(t, p, "pi") != tag(t, mustParse(t, text), "pi") {
		t.Errorf("a file that others can read: %v", err)
	}
	if _, err := clusterkey.ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, word := range map[string]string{
		"":                         "empty",
		"Himbeere":                 "it has 8 characters",
		strings.Repeat("x", 1<<20): "longer than 1024 bytes",
		"Himbeeren = rot\nneu":     "line break",
	} {
		path := put(text, 0o600)
		_, err := clusterkey.ReadFile(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), word) ||
			!strings.Contains(err.Error(), "pi-agent key new") || strings.Contains(err.Error(), "Himbeere") {
			t.Errorf("%.20q: error %v, want the file, %q and a remedy", text, err, word)
		}
	}
	if os.Geteuid() != 0 { // who may read everything
		if _, err := clusterkey.ReadFile(put(text, 0)); err == nil || !strings.Contains(err.Error(), "chown") {
			t.Errorf("a file that may not be read: %v", err)
		}
	}
	if _, err := clusterkey.ReadFile(dir); err == nil {
		t.Error("a directory is read")
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(clusterkey.Generate()))
	f.Add([]byte(passphrase))
	f.Add([]byte("\ufeff\xff\n"))
	path := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := clusterkey.ReadFile(path)
		if err != nil {
			// Four bytes may be words of the error by chance.
			if kept := strings.TrimSpace(string(text)); len(kept) > 8 && strings.Contains(err.Error(), kept) {
				t.Errorf("the key is in the error: %v", err)
			}
			return
		}
		if again := mustParse(t, strings.TrimPrefix(string(text), "\ufeff")); again.Weak() != p.Weak() {
			t.Error("the file is read as another key than its text")
		}
	})
}
