package ports

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What to open is said where a board is heard and not reached: each port that there is, and the commands that open them
// all.
func TestOpenIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## A Pi is heard and not reached\n")
	section, _, ends := strings.Cut(section, "\n## ")
	if !found || !ends {
		t.Fatal("docs/troubleshooting.md has no section for a Pi that is heard and not reached")
	}
	for _, line := range Open("eth0") {
		if !strings.Contains(section, "\n"+line+"\n") {
			t.Errorf("docs/troubleshooting.md lacks %q there", line)
		}
	}
	for _, p := range Own {
		if want := fmt.Sprintf("| %d/%s | %s |", p.Number, p.Network, p.Use); !strings.Contains(section, want) {
			t.Errorf("docs/troubleshooting.md lacks %q there", want)
		}
	}
	if all := strings.Join(Open(""), "\n"); strings.Contains(all, "eth0") || strings.Contains(all, " in on ") || strings.Contains(all, "iifname") {
		t.Errorf("without an interface: %s", all)
	}
}
