package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

// TestMixedBoards runs the packaged program for the oldest Pis beside the one for 64-bit ones, each on its own CPU,
// emulated: they meet, and prove to each other to have the same key. They meet by address, for the emulator has no
// multicast, and neither has an engine.
func TestMixedBoards(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{N: 2})
	key := clusterkey.Generate()
	for i, emulated := range [][]string{
		{"armhf", "qemu-arm", "-cpu", "arm1176"},
		{"arm64", "qemu-aarch64", "-cpu", "cortex-a53"},
	} {
		dir := t.TempDir()
		here(t, "dpkg-deb", "--extract", strings.TrimSuffix(deb, "amd64.deb")+emulated[0]+".deb", dir)
		program := filepath.Join(dir, "usr/bin/pi-agent")
		p := l.Pis[i]
		must(t, p.SetKey(key), p.SetConfig(naming(l.Pis[1-i])))
		_, err := p.Start("pi-agent", append(emulated[1:], program, "run")...)
		must(t, err)
	}
	for i, p := range l.Pis {
		saysWithin(t, later, p, "Found "+serialName(l.Pis[1-i])+" at ")
	}
}
