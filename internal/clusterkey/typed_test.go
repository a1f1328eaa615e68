package clusterkey_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

const generated = "7Q2M-9V4K-ABCD-EF01-2GHJ-5NPQ-3MBR"

// What text programs and people put around a key and between its groups makes no other one of it.
func TestParseTypedKeys(t *testing.T) {
	want := mustParse(t, generated)
	between := func(s string) string { return strings.ReplaceAll(generated, "-", s) }
	for name, typed := range map[string]string{
		"en dash":                 between("–"),
		"em dash":                 between("—"),
		"U+2010":                  between("\u2010"),
		"U+2011":                  between("\u2011"),
		"U+2212":                  between("\u2212"),
		"soft hyphen":             between("\u00ad"),
		"NBSP":                    between("\u00a0"),
		"narrow NBSP":             between("\u202f"),
		"zero-width space":        between("\u200b"),
		"zero-width and dash":     between("\u200b-\u2060"),
		"dots":                    between("."),
		"underscores":             between("_"),
		"spaces and dashes":       between(" - "),
		"tabs":                    between("\t"),
		"wrapped":                 generated[:20] + "\r\n" + generated[20:],
		"NBSP around it":          "\u00a0" + generated + "\u00a0",
		"zero-width around it":    "\u200b\ufeff" + generated + "\u200e",
		"quotes":                  `"` + generated + `"`,
		"single quotes":           "'" + generated + "'",
		"quotes of Word":          "“" + generated + "”",
		"quotes of German":        "„" + generated + "“",
		"backticks":               "`" + generated + "`",
		"key: ...":                "key: " + generated,
		`key = "..."`:             `key = "` + generated + `"`,
		"KEY=...":                 "KEY=" + generated,
		"a label":                 "Schlüssel für Gruppe 1: " + generated,
		"in lower case, a label":  "key: " + strings.ToLower(generated),
		"a label, without dashes": "key: " + between(""),
		"a comma after it":        generated + ",",
	} {
		p, err := clusterkey.Parse(typed)
		if err != nil || !p.Equal(want) {
			t.Errorf("%s: Parse(%q) is another key, error %v", name, typed, err)
		}
	}
}

// A key that was mistyped is none, and is no passphrase either.
func TestParseMistypedKeys(t *testing.T) {
	cut := func(i, j int) string { return generated[:i] + generated[j:] }
	at := func(i int, s string) string { return generated[:i] + s + generated[i+1:] }
	solid := strings.ReplaceAll(generated, "-", "")
	for _, tt := range []struct{ name, typed, why string }{
		{"last character missing", cut(33, 34), "group 7 has 3 characters instead of 4"},
		{"first character missing", cut(0, 1), "group 1 has 3 characters instead of 4"},
		{"one too many", generated + "X", "group 7 has 5 characters instead of 4"},
		{"one too many in the middle", generated[:7] + "7" + generated[7:], "group 2 has 5 characters instead of 4"},
		{"a group missing", cut(10, 15), "it has 6 groups of 4 characters instead of 7"},
		{"two groups missing", cut(10, 20), "it has 5 groups of 4 characters instead of 7"},
		{"a group too many", generated + "-ABC7", "it has 8 groups of 4 characters instead of 7"},
		{"U", at(11, "U"), "group 3 has a U, which no key has"},
		{"u", strings.ToLower(at(11, "U")), "group 3 has a U, which no key has"},
		{"U for a dash", at(9, "U"), "group 2 has 9 characters instead of 4"},
		{"a letter of another language", at(11, "Ö"), "group 3 has a character that no key has"},
		{"an exclamation mark for 1", at(18, "!"), "group 4 has a character that no key has"},
		{"a missing dash and a missing character", cut(9, 11), "group 2 has 7 characters instead of 4, it"},
		{"a wrong character", at(11, "X"), "a character is wrong, and it cannot be told which"},
		{"two that changed places", generated[:5] + "V9" + generated[7:], "a character is wrong"},
		{"without dashes, last missing", solid[:27], "it has 27 characters instead of 28"},
		{"without dashes, one too many", solid + "X", "it has 29 characters instead of 28"},
		{"without dashes, four missing", solid[:24], "it has 24 characters instead of 28"},
		{"without dashes, U", solid[:8] + "U" + solid[9:], "its character 9 is a U, which no key has"},
		{"without dashes, in lower case", strings.ToLower(solid[:27]), "it has 27 characters instead of 28"},
		{"en dashes, last missing", strings.ReplaceAll(cut(33, 34), "-", "–"), "group 7 has 3 characters instead of 4"},
		{"dots, last missing", strings.ReplaceAll(cut(33, 34), "-", "."), "group 7 has 3 characters instead of 4"},
		{"quotes, last missing", `"` + cut(33, 34) + `"`, "group 7 has 3 characters instead of 4"},
		{"a label, last missing", "key: " + cut(33, 34), "group 7 has 3 characters instead of 4"},
		{"a setting, a wrong character", `key = "` + at(11, "X") + `"`, "a character is wrong"},
		{"words beside it", "group 1 has " + generated, "other text beside a key"},
		{"a comment below it", generated + "\n# of group 1", "other text beside a key"},
		{"two keys", generated + "\n" + generated, "other text beside a key"},
		{"three groups of seven", "7Q2M-9V4K-ABC7", "it has 3 groups of 4 characters instead of 7"},
		{"four groups of seven", "7Q2M-9V4K-ABCD-EF01", "it has 4 groups of 4 characters instead of 7"},
		{"three and a half", "7Q2M-9V4K-5NPQ-3M", "group 4 has 2 characters instead of 4"},
		{"three groups with spaces, in lower case", "7q2m 9v4k 5npq", "it has 3 groups of 4 characters instead of 7"},
		{"a label, half of a key", "key: 7Q2M-9V4K-5NPQ", "it has 3 groups of 4 characters instead of 7"},
		{"without dashes, in two cases", "7Q2M9V4KABCDef012ghj5npq3mb", "it has 27 characters instead of 28"},
		{"without dashes, in two cases, changed twice", "7q2m9V4KABCDEF012ghj5npq3mbrx",
			"it has 29 characters instead of 28"},
	} {
		_, err := clusterkey.Parse(tt.typed)
		why := strings.TrimSuffix(tt.why, ", it")
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("%s: Parse(%q): error %v, want %q", tt.name, tt.typed, err, why)
		}
	}
}

// A mistake is found in nearly every key, wherever it is made.
func TestParseFindsMistakesInManyKeys(t *testing.T) {
	mistakes := map[string]func(key string) string{
		"last character missing": func(key string) string { return key[:33] },
		"one too many":           func(key string) string { return key + "7" },
		"a group missing":        func(key string) string { return key[5:] },
		"two groups missing":     func(key string) string { return key[10:] },
		"no dashes, two cases":   func(key string) string { return strings.ToLower(key[:14]) + key[14:33] },
		"U":                      func(key string) string { return key[:6] + "U" + key[7:] },
		"no dashes":              func(key string) string { return strings.ReplaceAll(key, "-", "")[1:] },
		"no dashes, lower case":  func(key string) string { return strings.ToLower(strings.ReplaceAll(key, "-", "")) + "x" },
		"no dashes, U":           func(key string) string { return strings.ReplaceAll(key[:6]+"U"+key[7:], "-", "") },
	}
	for name, mistake := range mistakes {
		found := 0
		const tries = 5000
		for range tries {
			key := clusterkey.Generate()
			_, err := clusterkey.Parse(mistake(key))
			if err != nil {
				found++
				if strings.Contains(err.Error(), key[:4]) {
					t.Fatalf("the key is in the error: %v", err)
				}
			}
		}
		t.Logf("%s: %.2f %%", name, 100*float64(found)/tries)
		if found < tries*97/100 {
			t.Errorf("%s: %d of %d were found", name, found, tries)
		}
	}
}

// What is no key is the passphrase that it was, and what looks like one becomes one as the error says.
func TestParsePassphrases(t *testing.T) {
	for _, text := range []string{
		"four red raspberries", passphrase, "correct horse battery staple", "correct-horse-battery-staple-four", "Sommer2024!Sommer",
		"blue frog jump over tree 2024", "blue frog jump over tree rain moon", "h4x0r p4ss w0rd!", "aaaaaaaaaaaa", "123456789012",
		"raspberrypicluster2024room12", "raspberry2024-class3-room101", "550e8400-e29b-41d4-a716-446655440000", "5f4dcc3b5aa765d61d8327deb882cf99",
		"9f86d081884c7d659a2feaa0", "VK7JG-NPHTM-C97JM-9MPGT-3V66T", "kT9x2LmQ7vR4sW8zB3nY5cJ1pD6", "key: four red raspberries",
		`"four red raspberries"`, "Zu den vier: roten Himbeeren", "2024-11-28 07:04:56 room 12 = ours", "12 34 56 78 90 12 34 56 78 90",
		"drei.Himbeeren.und.zwei", "größe 4 über 5 äpfel", "blue fish 42nd", "1234-5678-9012", "1234 5678 9012 3456", "9f86-d081-884c",
		"b827-eb00-1234", "2001-0db8-85a3-0042", "rain moon tree frog", "7Q2M-raspberry-9V4K", "wolf-7a7b-zebra-8c8d", "kT9x-2LmQ-7vR4-sW8z",
	} {
		p, err := clusterkey.Parse(text)
		if err != nil || !p.Weak() {
			t.Errorf("Parse(%q): weak %v, error %v", text, p.Weak(), err)
		}
	}
	for _, sep := range []string{"-", " ", "_", ".", "", " - "} {
		text := strings.ReplaceAll("correct-horse-battery-staple-one", "-", sep)
		const why = `it has 28 letters, as many as a key of "pi-agent key new" has characters, and would be taken for one that is mistyped: ` +
			"to use it as a passphrase, add a word"
		if _, err := clusterkey.Parse(text); err == nil || err.Error() != why {
			t.Errorf("Parse(%q): error %v", text, err)
		}
		for _, word := range []string{"more", "raspberry", "2024", "I"} {
			if p, err := clusterkey.Parse(text + sep + word); err != nil || !p.Weak() {
				t.Errorf("Parse(%q): weak %v, error %v", text+sep+word, p.Weak(), err)
			}
		}
	}
	// These are what Saved files have; a key in any form is written as it is printed.
	path := filepath.Join(t.TempDir(), "key")
	for text, want := range map[string]string{
		"key = \"" + strings.ToLower(generated) + "\"\r\n": generated,
		generated[:20] + "\n" + generated[20:]:             generated,
		" four red raspberries \n":                         "four red raspberries",
	} {
		err := clusterkey.Save(text, path)
		if got, _ := os.ReadFile(path); err != nil || string(got) != want+"\n" {
			t.Errorf("Save(%q) writes %q, %v", text, got, err)
		}
	}
}

// Passphrases that look the same are one, whatever program or keyboard they come from.
func TestParsePassphrasesThatLookTheSame(t *testing.T) {
	const want = "größe über äpfel ❤ ñandú"
	for name, typed := range map[string]string{
		"decomposed, as macOS has it":   "gro\u0308ße u\u0308ber a\u0308pfel ❤ n\u0303andu\u0301",
		"zero-width space":              "größe\u200b über äpfel ❤ ñandú",
		"zero-width joiner":             "gr\u200döße über äpfel ❤ ñandú",
		"mark of direction":             "\u200egröße über äpfel ❤ ñandú",
		"byte order mark in the middle": "größe über \ufeffäpfel ❤ ñandú",
		"soft hyphen":                   "größe über äp\u00adfel ❤ ñandú",
		"emoji style":                   "größe über äpfel ❤\ufe0f ñandú",
		"grapheme joiner":               "gro\u034f\u0308ße über äpfel ❤ ñandú",
		"NBSP":                          "größe\u00a0über äpfel ❤ ñandú",
		"space of Japanese":             "größe über äpfel\u3000❤ ñandú",
		"space of them around it":       "\u00a0\u200b größe über äpfel ❤ ñandú \u3000",
	} {
		p, err := clusterkey.Parse(typed)
		if err != nil || !p.Weak() || !p.Equal(mustParse(t, want)) {
			t.Errorf("%s: Parse(%q) is another key, error %v", name, typed, err)
		}
		path := filepath.Join(t.TempDir(), "key")
		err = clusterkey.Save(typed, path)
		if got, _ := os.ReadFile(path); err != nil || string(got) != want+"\n" {
			t.Errorf("%s: Save(%q) writes %q, %v", name, typed, got, err)
		}
	}
	for _, other := range []string{"grosse über äpfel ❤ ñandú", "Größe über äpfel ❤ ñandú", "größe  über äpfel ❤ ñandú",
		"größe über äpfel ❤ nandú"} {
		if p, err := clusterkey.Parse(other); err != nil || p.Equal(mustParse(t, want)) {
			t.Errorf("Parse(%q) is the same key, error %v", other, err)
		}
	}
	if _, err := clusterkey.Parse("abc" + strings.Repeat("\u200b", 20)); err == nil ||
		!strings.Contains(err.Error(), "it has 3 characters") {
		t.Errorf("three characters that can be seen: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		generated, generated[:33], generated + "X", "key = \"" + generated +
			"\"", strings.ReplaceAll(generated, "-", "\u200b"), passphrase,
		"correct-horse-battery-staple-one", "h4x0r p4ss w0rd th1s g00d 2b2b", "ı=:“\u00ad\xff", generated + "\n" +
			generated, "=", ":\"",
	} {
		f.Add(text)
	}
	words := strings.Repeat(" raspberry", 5)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := clusterkey.Parse(text)
		if (err == nil) == p.None() {
			t.Fatalf("Parse(%q) = none %v, %v", text, p.None(), err)
		}
		if again, errAgain := clusterkey.Parse(" " + text + "\r\n"); (errAgain == nil) != (err == nil) || err == nil &&
			!again.Equal(p) {
			t.Errorf("Parse(%q) is another key with space around it", text)
		}
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("Parse(%q): error %v has no remedy", text, err)
		}
		if kept := strings.TrimSpace(text); len(kept) > 8 && strings.Contains(err.Error(), kept) &&
			!strings.Contains(remedies, kept) {
			t.Errorf("Parse(%q): the key is in the error: %v", text, err)
		}
		if strings.Contains(err.Error(), "to use it as a passphrase") {
			more, err := clusterkey.Parse(text + words)
			switch {
			case err != nil && (errors.Unwrap(err) != nil || strings.Contains(err.Error(), "other text beside a key")):
				// It is too long or no text, or a part of it is a key.
			case err != nil || !more.Weak():
				t.Errorf("Parse(%q): weak %v, error %v", text+words, more.Weak(), err)
			}
		}
	})
}

// remedies are words of the errors, which a text may have by chance.
const remedies = `it looks like a key of "pi-agent key new" and is none: a character is wrong, and it cannot be told which`
