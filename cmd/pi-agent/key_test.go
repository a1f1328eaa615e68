package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
)

func TestKeyNew(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"key", "new"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("status %d, %s", status, &stderr)
	}
	if p, err := clusterkey.Parse(stdout.String()); err != nil || p.Weak() {
		t.Errorf("%q is no strong key: %v", &stdout, err)
	}
}

func TestSetKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pi-agent", "key")
	key := clusterkey.Generate()
	if err := setKey(strings.NewReader(key+"\n"), path); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "raspberry", key[:33] + "\x00", strings.Repeat("x", 2000)} {
		if err := setKey(strings.NewReader(text), path); err == nil || !strings.Contains(err.Error(), "pi-agent key new") {
			t.Errorf("%.20q: error %v, want a remedy", text, err)
		}
	}
	if got, err := clusterkey.ReadFile(path); err != nil || !got.Equal(parseKey(t, key)) {
		t.Errorf("another key than the one that was set, error %v", err)
	}
}

func TestClusterKey(t *testing.T) {
	one, other := clusterkey.Generate(), "four red raspberries"
	path := filepath.Join(t.TempDir(), "key")
	for _, tt := range []struct {
		name, setting, file string
		mode                os.FileMode
		want, warns         string
	}{
		{"setting", one, "", 0, one, ""},
		{"file", "", one, 0o600, one, ""},
		{"both the same", one, strings.ToLower(one), 0o600, one, ""},
		{"both", one, other, 0o600, one, "the one in the settings is in force"},
		{"file that others can read", "", one, 0o644, one, "chmod 600 " + path},
		{"setting and a bad file", one, "short", 0o600, one, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(path) // it may be there from the test before
			if tt.file != "" {
				if err := os.WriteFile(path, []byte(tt.file), tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			var cfg config.Config
			if tt.setting != "" {
				cfg.Key = parseKey(t, tt.setting)
			}
			core, logs := observer.New(zap.InfoLevel)
			got, err := clusterKey(cfg, path, zap.New(core))
			if err != nil || !got.Equal(parseKey(t, tt.want)) {
				t.Errorf("another key than the one expected, error %v", err)
			}
			var said string
			for _, e := range logs.All() {
				said += e.Message
			}
			if !strings.Contains(said, tt.warns) || (said == "") != (tt.warns == "") || strings.Contains(said, one) ||
				strings.Contains(said, other) {
				t.Errorf("it says %q, want %q", said, tt.warns)
			}
		})
	}
}

func parseKey(t *testing.T, text string) clusterkey.Phrase {
	t.Helper()
	p, err := clusterkey.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A key in /etc that is called as on the boot partition, or as an editor calls it, is not passed over.
func TestKeyUnderAnotherName(t *testing.T) {
	for name, wrong := range map[string]bool{
		"key.txt": true, "key.key": true, "pi-agent.key": true, "pi-agent.key.txt": true, "PI-AGENT.KEY": true, "pi-agent.toml": false, "key.bak": false,
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(clusterkey.Generate()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := elsewhere(path); (err != nil) != wrong || wrong &&
			!strings.Contains(err.Error(), name+" is not read under this name: call it "+path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
