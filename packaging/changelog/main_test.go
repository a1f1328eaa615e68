package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDebian(t *testing.T) {
	const text = `# Changelog

## 0.2.0 / 2027-01-02

* [BUGFIX] One thing
  that needs two lines here and, because there it is indented and lines are shorter, more there.

* [FEATURE] Another.

## 0.1.0 / 2026-11-23
* [FEATURE] The first.
`
	const want = `pi-agent (0.2.0) stable; urgency=medium

  * [BUGFIX] One thing that needs two lines here and, because there it is
    indented and lines are shorter, more there.
  * [FEATURE] Another.

 -- The pi-agent authors <pi-agent@users.noreply.github.com>  Sat, 02 Jan 2027 00:00:00 +0000

pi-agent (0.1.0) stable; urgency=medium

  * [FEATURE] The first.

 -- The pi-agent authors <pi-agent@users.noreply.github.com>  Mon, 23 Nov 2026 00:00:00 +0000
`
	got, err := debian(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDebianRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"# Changelog\n":                     "no release",
		"## 0.1.0 / unreleased\n\n* One.\n": `heading "0.1.0 / unreleased"`,
		"## 0.1.0 / 2026-13-01\n\n* One.\n": "version 0.1.0: parsing time",
		"## v0.1.0 / 2026-11-23\n":          `heading "v0.1.0`,
	} {
		if _, err := debian(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
}

// TestChangelog reads the real one, so that a heading without a date is found before a package is made of it.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := debian(string(text)); err != nil {
		t.Error(err)
	}
}
