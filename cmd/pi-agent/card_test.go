package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

func TestKeyOnCard(t *testing.T) {
	one, other := clusterkey.Generate(), clusterkey.Generate()
	for _, tt := range []struct {
		name, card, file string
		want             string // empty for a key that nobody has
		says, wrong      string
	}{
		{"taken already", "", one, one, "", ""},
		{"not to be taken", other, one, other, "is still in", ""},
		{"not to be taken, and no file", other, "", other, "is still in", ""},
		{"not usable", "short", one, one, "", "it has 5 characters"},
		{"not usable, and no file", "short", "", "", "", "it has 5 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pi-agent.key")
			if tt.card != "" {
				if err := os.WriteFile(path, []byte(tt.card), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var inFile clusterkey.Phrase
			if tt.file != "" {
				inFile = parseKey(t, tt.file)
			}
			core, logs := observer.New(zap.InfoLevel)
			got, err := keyOnCard([]string{path + ".none", path}, inFile, zap.New(core))
			switch {
			case tt.want != "" && !got.Equal(parseKey(t, tt.want)):
				t.Error("another key than the one expected")
			case got.None() || got.Weak():
				t.Error("the board trusts everybody, or who can guess")
			}
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), path+" is not usable: "+tt.wrong) {
				t.Errorf("error %v, want one with %q", err, tt.wrong)
			}
			if (logs.Len() == 0) != (tt.says == "") || logs.Len() > 0 && !strings.Contains(logs.All()[0].Message, tt.says) {
				t.Errorf("it says %v, want %q", logs.All(), tt.says)
			}
		})
	}
}
