package bootfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pi-agent/pi-agent/internal/bootfile"
)

// Stacks by the names that downloads get are taken or named.
func TestStackByNamesOfDownloads(t *testing.T) {
	for _, name := range []string{
		"stack.yml.bin", "docker-compose.yml.bin", "stack.yml.1", "stack.yml.pdf", "stack.yml.download", "stack.yml.html.txt", "docker.compose.yml",
		"compose.yml.json", "stack.yml.htm", "stack.yaml.rtf.txt", "Stack.yml.docx.txt",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("services: {web: {image: nginx}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		strays, err := bootfile.Strays(dir, bootfile.Stack)
		in, _ := bootfile.Stack.In(dir)
		if err != nil || len(strays)+len(in) == 0 {
			t.Errorf("%q is ignored, %v", name, err)
		}
	}
}
