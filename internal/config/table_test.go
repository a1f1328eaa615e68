package config

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSettingsTable compares the table of settings in docs/operations.md with the one of the program, in its order.
func TestSettingsTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want [][2]string // key and default
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `(.*?)` \\| .+ \\|$").FindAllStringSubmatch(string(text), -1) {
		got = append(got, [2]string{row[1], row[2]})
	}
	for _, s := range settings {
		want = append(want, [2]string{s.key, s.byDefault})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/operations.md has other settings (-want +got):\n%s", diff)
	}
}
