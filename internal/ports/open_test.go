package ports

import (
	"os"
	"strings"
	"testing"
)

// The commands in the documentation open the ports that there are.
func TestOpenIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range Open("eth0") {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("docs/troubleshooting.md lacks %q", line)
		}
	}
	if all := strings.Join(Open(""), "\n"); strings.Contains(all, "eth0") || strings.Contains(all, " in on ") || strings.Contains(all, "iifname") {
		t.Errorf("without an interface: %s", all)
	}
}
