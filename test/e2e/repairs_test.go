package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// repairsPath is the table of faults. Its rows are written by the tests when PI_AGENT_REPAIRS is set, see make repairs.
const repairsPath = "../../docs/repairs.md"

var repairsMutex sync.Mutex // some tests run beside each other

// What differs from one cluster to another in a sentence of the journal.
var particulars = []struct {
	form    *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\bpi(-[0-9a-f]{6}|\d+)\b`), "pi-XXXXXX"},
	{regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b`), "192.168.1.20"},
	{regexp.MustCompile(`\b[a-z0-9]{25}\b`), "ID"},
}

// repaired ends the story of a fault: the journal of pi has the sentence, and the table has a row for it. took is the
// time until all was well again, zero where a person must act.
func repaired(t *testing.T, pi *lab.Pi, fault, does, sentence string, took time.Duration) {
	t.Helper()
	says(t, pi, sentence)
	recorded(t, fault, does, sentence, took)
}

// paceOf is how many times faster than the product's the patience of agents ends in a test, see lab.Options: n times,
// but not where the table of faults is measured.
func paceOf(n int) int {
	if os.Getenv("PI_AGENT_REPAIRS") != "" {
		return 1
	}
	return n
}

// recorded is repaired for a test that has looked into the journal itself.
func recorded(t *testing.T, fault, does, sentence string, took time.Duration) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	sentence = strings.Trim(sentence, ": ")
	for _, p := range particulars {
		sentence = p.form.ReplaceAllString(sentence, p.instead)
	}
	measured := "a person acts"
	if took > 0 {
		measured = fmt.Sprintf("%.0f s", max(1, took.Seconds()))
	}
	row := fmt.Sprintf("| %s | %s | `%s` | %s | `%s` |", fault, does, sentence, measured, test)
	t.Log(row)

	repairsMutex.Lock()
	defer repairsMutex.Unlock()
	table, err := os.ReadFile(repairsPath)
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(string(table), "\n"), "\n")
	i := slices.IndexFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "| "+fault+" |") && strings.HasSuffix(line, "| `"+test+"` |")
	})
	switch {
	case os.Getenv("PI_AGENT_REPAIRS") != "" && i >= 0:
		lines[i] = row
	case os.Getenv("PI_AGENT_REPAIRS") != "":
		last := len(lines) - 1
		for ; last > 0 && !strings.HasPrefix(lines[last], "|"); last-- {
		}
		lines = slices.Insert(lines, last+1, row)
	case i < 0:
		t.Errorf("%s has no row of this test for %q: make repairs", repairsPath, fault)
		return
	default:
		return
	}
	must(t, os.WriteFile(repairsPath, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// Each row of the table names an existing test, and what it has measured.
func TestRepairsTable(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile(repairsPath)
	must(t, err)
	var sources strings.Builder
	entries, err := os.ReadDir(".")
	must(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(e.Name())
		must(t, err)
		sources.Write(b)
	}
	row := regexp.MustCompile("^\\| [^|]+ \\| [^|]+ \\| `[^|]+` \\| (\\d+ s|a person acts) \\| `(Test\\w+)` \\|$")
	rows := 0
	for line := range strings.Lines(string(table)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| fault ") {
			continue
		}
		rows++
		if parts := row.FindStringSubmatch(line); parts == nil {
			t.Errorf("not a row: %s", line)
		} else if !strings.Contains(sources.String(), "func "+parts[2]+"(") {
			t.Errorf("there is no %s: %s", parts[2], line)
		}
	}
	if rows == 0 {
		t.Error("the table is empty")
	}
}
