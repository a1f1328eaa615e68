package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
)

// A board whose key was meant to be in settings that are wrong does not trust everybody.
func TestWithCard(t *testing.T) {
	dir, key := t.TempDir(), parseKey(t, clusterkey.Generate())
	for _, lost := range []bool{false, true} {
		cfg := config.Config{BootErr: errors.New("line 3"), KeyLost: lost}
		if got := withCard(&cfg, []string{dir}, clusterkey.Phrase{}, zap.NewNop()); got.None() == lost || got.Weak() {
			t.Errorf("lost %v: without a key %v", lost, got.None())
		}
		if got := withCard(&cfg, []string{dir}, key, zap.NewNop()); !got.Equal(key) || cfg.BootErr.Error() != "line 3" {
			t.Errorf("lost %v: another key than the one in the file, %v", lost, cfg.BootErr)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pi-agent.key.txt"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{BootErr: errors.New("line 3")}
	for range 2 {
		_ = withCard(&cfg, []string{dir}, clusterkey.Phrase{}, zap.NewNop())
	}
	if all := cfg.BootErr.Error(); !strings.HasPrefix(all, "line 3\n") || strings.Count(all, "it has 5 characters") != 1 {
		t.Errorf("it says %q", all)
	}
}

func TestKeyOnCard(t *testing.T) {
	one, other := clusterkey.Generate(), clusterkey.Generate()
	for _, tt := range []struct {
		name, card, file string
		at               string // the name of the file on the card
		want             string // empty for a key that nobody has
		says, wrong      string
	}{
		{"taken already", "", one, "pi-agent.key", one, "", ""},
		{"not to be taken", other, one, "pi-agent.key", other, "is still in", ""},
		{"not to be taken, and no file", other, "", "pi-agent.key", other, "is still in", ""},
		{"not usable", "short", one, "pi-agent.key", one, "", " is not usable: it has 5 characters"},
		{"not usable, and no file", "short", "", "pi-agent.key", "", "", " is not usable: it has 5 characters"},
		{"an ending that was added", other, one, "pi-agent.key.txt", other, "is still in", ""},
		{"an ending that was added, and no file", other, "", "PI-AGENT.KEY.TXT", other, "is still in", ""},
		{"mistyped, and no file", one[:33], "", "pi-agent.key.txt", "", "", " is not usable: it looks like a key"},
		{"rich text, and no file", other, "", "pi-agent.key.rtf", "", "", ": it is not read under this name"},
		{"no ending, and no file", other, "", "pi-agent.txt", "", "", ": it is not read under this name"},
		{"another name, and no file", other, "", "key.txt", "", "", ": it is not read under this name"},
		{"another name", other, one, "key.txt", one, "", ": it is not read under this name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.at)
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
			got, err := keyOnCard([]string{filepath.Join(filepath.Dir(path), "none"), filepath.Dir(path)}, inFile, zap.New(core))
			switch {
			case tt.want != "" && !got.Equal(parseKey(t, tt.want)):
				t.Error("another key than the one expected")
			case got.None() || got.Weak():
				t.Error("the board trusts everybody, or who can guess")
			}
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), path+tt.wrong) {
				t.Errorf("error %v, want one with %q", err, tt.wrong)
			}
			if (logs.Len() == 0) != (tt.says == "") || logs.Len() > 0 && !strings.Contains(logs.All()[0].Message, tt.says) {
				t.Errorf("it says %v, want %q", logs.All(), tt.says)
			}
		})
	}
}
