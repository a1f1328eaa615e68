package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// said is what go test -json says of four tests, of which one waited, one failed and one was skipped.
const said = `{"Action":"start","Package":"x/e2e"}
{"Action":"run","Package":"x/e2e","Test":"TestWaits"}
{"Action":"output","Package":"x/e2e","Test":"TestWaits","Output":"    testing.go:72: the lab waited for its turn 20.5 s\n"}
{"Action":"pass","Package":"x/e2e","Test":"TestWaits","Elapsed":30}
{"Action":"output","Package":"x/e2e","Test":"TestFails/one","Output":"    x_test.go:1: it is broken\n"}
{"Action":"fail","Package":"x/e2e","Test":"TestFails/one","Elapsed":1}
{"Action":"fail","Package":"x/e2e","Test":"TestFails","Elapsed":1}
{"Action":"output","Package":"x/e2e","Test":"TestSkips","Output":"    x_test.go:2: a lab needs root\n"}
{"Action":"skip","Package":"x/e2e","Test":"TestSkips","Elapsed":0}
{"Action":"output","Package":"x/e2e","Test":"TestPanics","Output":"panic: oh\n"}
{"Action":"output","Package":"x/e2e","Output":"FAIL\tx/e2e\t31s\n"}
{"Action":"fail","Package":"x/e2e","Elapsed":31}
`

func TestFollow(t *testing.T) {
	var out strings.Builder
	all, err := follow(strings.NewReader(said), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := `ok     9.5 s  e2e TestWaits
    x_test.go:1: it is broken
FAIL   1.0 s  e2e TestFails
skip         e2e TestSkips
    x_test.go:2: a lab needs root
panic: oh
FAIL         e2e TestPanics did not end
FAIL	x/e2e	31s
FAIL         e2e
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	err = missing([]string{"TestWaits", "TestSkips", "TestNone"}, all)
	if err == nil || err.Error() != "TestSkips is listed, and was not run\nTestNone is listed, and was not run" {
		t.Errorf("missing: %v", err)
	}
	out.Reset()
	tell(&out, all, 13*time.Minute, 12*time.Minute)
	for _, line := range []string{"     10 s  e2e TestWaits", "1 passed, 2 failed, 1 skipped", "13m0s in all",
		"WARNING: this ring should take 12m0s at most."} {
		if !strings.Contains(out.String(), line+"\n") && !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"# why\nTestA  proves a\n\nTestB\tproves b": "TestA TestB",
		"TestA":           `"TestA": give the name of a test and what it proves`,
		"BenchmarkA is a": `"BenchmarkA is a": give the name of a test and what it proves`,
		"# nothing":       "lists no test",
	} {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		names, err := read(path)
		if err != nil {
			names = []string{err.Error()}
		}
		if got := strings.Join(names, " "); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, err := read("first.txt"); err != nil {
		t.Error(err)
	}
}
