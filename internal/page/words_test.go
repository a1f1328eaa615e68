package page

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/sentences"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// form is a sentence of the agent that the page translates.
type form struct {
	says *regexp.Regexp
	to   string
}

// spanish are the forms in words.js. What it uses of regular expressions means the same in Go.
func spanish(t *testing.T) (all []form) {
	t.Helper()
	text, err := os.ReadFile("web/words.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    \[/(.+)/, "(.+)"\],$`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, form{regexp.MustCompile(m[1]), regexp.MustCompile(`\$(\d)`).ReplaceAllString(m[2], "$${$1}")})
	}
	if len(all) == 0 || len(all) != strings.Count(string(text), "    [/") {
		t.Fatalf("%d forms are understood in words.js", len(all))
	}
	return all
}

// first replaces the first match, as JavaScript does.
func (f form) first(text string) string {
	m := f.says.FindStringSubmatchIndex(text)
	if m == nil {
		return text
	}
	return text[:m[0]] + string(f.says.ExpandString(nil, f.to, text, m)) + text[m[1]:]
}

// TestSpanish holds the Spanish of the page to the sentences of the agent: a reason or a warning that is changed in one place
// only would be shown in English.
func TestSpanish(t *testing.T) {
	forms := spanish(t)
	used := make([]bool, len(forms))
	english := regexp.MustCompile(`(?i)\b(the|is|it|its|of|and|not|has|that|with|are)\b`)
	translated := func(text string) {
		t.Helper()
		out := text
		for i, f := range forms {
			next := f.first(out)
			used[i] = used[i] || next != out
			out = next
		}
		if rest := english.FindString(out); out == text || rest != "" {
			t.Errorf("%q is %q in Spanish, with %q", text, out, rest)
		}
	}
	for _, path := range []string{
		"../policy/decide.go", "../policy/engine.go", "../policy/outside.go", "../policy/member.go", "../policy/lost.go", "../policy/rivals.go", "../policy/copies.go", "../policy/certificate.go",
		"../policy/clock.go", "../policy/found.go", "../status/why.go", "../bootstrap/publish.go", "../bootstrap/lost.go", "../picture/warnings.go", "../picture/stacks.go",
		"../stacks/stacks.go", "../stacks/advice.go", "../ports/told.go", "../swarm/settings.go",
	} {
		all, err := sentences.In(path)
		if err != nil || len(all) == 0 {
			t.Fatalf("%s: %d sentences, %v", path, len(all), err)
		}
		for _, s := range all {
			said := s.Example()
			switch {
			case slices.Contains(policy.Rules(), said):
				continue
			case said == "no rule matches", strings.HasPrefix(said, "After a power cut"):
				continue
			case strings.HasPrefix(said, "This board has left swarm"), strings.HasPrefix(said, "Still in a swarm"):
				continue // lines of the journal
			case strings.HasPrefix(said, "It manages another swarm"), strings.HasPrefix(said, "It is in another swarm"):
				said = strings.Replace(said, "swarm", "swarm ", 1) // with its id
			case strings.HasSuffix(path, "stacks/stacks.go") && !strings.HasPrefix(said, "Stack "):
				continue // a line of the journal
			case strings.HasPrefix(said, "The clock of "), strings.HasPrefix(said, "Its clock is "):
				for _, off := range []float64{7200, -86400 * 30} {
					translated(strings.Replace(said, " is pi-bbcc05", " is "+picture.Offset(off), 1))
				}
				continue
			case strings.HasPrefix(said, "Waiting for the Docker Engine"):
				said = "Waiting for the Docker Engine: " + swarm.ErrUnreachable.Error()
			case said == "Port 3/pi-bbcc05 is": // by which one is known
				continue
			case strings.HasPrefix(said, "2 managers"):
				said = strings.Replace(said, "pi-bbcc05", "pi-bbcc02 or pi-bbcc05", 1)
			case strings.HasPrefix(said, "Its last attempt failed"):
				said += " no answer in time" // whose words are anybody's
			}
			translated(said)
		}
	}
	for i, f := range forms {
		if !used[i] {
			t.Errorf("nobody says %v", f.says)
		}
	}
}
