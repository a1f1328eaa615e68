package main

import (
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

func TestKeyFor(t *testing.T) {
	good := clusterkey.Generate()
	for want, key := range map[string]string{"none": "", good: good + "\n",
		"four red raspberries": "four red raspberries\n"} {
		if got, err := keyFor(want); got != key || err != nil {
			t.Errorf("keyFor(%q) = %q, %v", want, got, err)
		}
	}
	if got, err := keyFor(""); err != nil || len(got) != len(good)+1 || got == good+"\n" {
		t.Errorf("a fresh key is %q, %v", got, err)
	}
	for _, bad := range []string{"short", "two lines of\ntext", strings.Replace(good, good[:1], "U", 1) + "\x00"} {
		if got, err := keyFor(bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("keyFor(%q) = %q, %v", bad, got, err)
		}
	}
}
