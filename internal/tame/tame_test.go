package tame_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"github.com/pi-agent/pi-agent/internal/tame"
)

func TestRead(t *testing.T) {
	for _, text := range []string{"", "abc", "abcd"} {
		if got, err := tame.Read(strings.NewReader(text), 4, "the file", "shorten it"); err != nil || string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	got, err := tame.Read(strings.NewReader("abcde"), 4, "the file", "shorten it")
	if got != nil || err == nil || err.Error() != "the file is longer than 4 bytes: shorten it" {
		t.Errorf("too long: %q, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := tame.Read(iotest.ErrReader(broken), 4, "the file", "shorten it"); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"Küche 3 – 日本":       "Küche 3 – 日本",
		"a\nb\r\tc":          "a b  c",
		"\x1b[2Jgone":        " [2Jgone",
		"left\u202eright":    "left right",
		"no\xffUTF-8":        "no\ufffdUTF-8",
		"C1 \u009b31m\u00a0": "C1  31m ",
	} {
		if got := tame.Line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"abcd", 0, ""},
		{"aä", 3, "aä"},
		{"aaä", 3, "aa"},
		{"日本", 5, "日"},
		{"日本", 2, ""},
		{"a😀b", 4, "a"},
		{"a😀b", 5, "a😀"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\x80\x80"},
	} {
		if got := tame.Cut(tt.text, tt.limit); got != tt.want {
			t.Errorf("%q to %d bytes: %q, want %q", tt.text, tt.limit, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("Küche\n日本\xff", uint8(7))
	f.Fuzz(func(t *testing.T, text string, limit uint8) {
		if cut := tame.Cut(text, int(limit)); len(cut) > int(limit) || !strings.HasPrefix(text, cut) ||
			utf8.ValidString(text) && !utf8.ValidString(cut) || len(text) > int(limit) && len(cut) < int(limit)-utf8.UTFMax+1 {
			t.Errorf("%q to %d bytes: %q", text, limit, cut)
		}
		if line := tame.Line(text); !utf8.ValidString(line) ||
			strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: %q", text, line)
		}
	})
}
