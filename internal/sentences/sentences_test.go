package sentences_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pi-agent/pi-agent/internal/sentences"
)

func TestIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.go")
	source := "package x\n\nimport _ \"this/is no sentence/at all\"\n\nvar a, b = f(\"%s has been silent for %d min, \" +\n\t\"and %q is not.\", \"no\"), `Say nothing more.`\n"
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := sentences.In(path)
	if want := []sentences.Form{"%s has been silent for %d min, and %q is not.", "Say nothing more."}; err != nil || !slices.Equal(all, want) {
		t.Fatalf("%q, %v, want %q", all, err, want)
	}
	said := all[0].Example()
	if want := `pi-bbcc05 has been silent for 3 min, and "class-b" is not.`; said != want {
		t.Errorf("%q, want %q", said, want)
	}
	if r := all[0].Regexp(); !r.MatchString("Now pi-1 has been silent for 9 min, and \"x\" is not. Yes.") || r.MatchString(string(all[1])) {
		t.Errorf("%v", r)
	}
	if _, err := sentences.In(path + "x"); err == nil {
		t.Error("a file that is not there is read")
	}
}
