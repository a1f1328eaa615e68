package bootstrap

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
)

// Some cards are copies of one: the boards form one swarm, and the manager names all copies once, with the remedy. A
// copy that is a worker names itself beside those of which it has heard; the others say nothing.
func simSameIDs(t testing.TB, w *world, rnd *rand.Rand) {
	w.addMany(rnd, 3+rnd.IntN(4))
	copies := slices.Clone(w.boards)
	rnd.Shuffle(len(copies), func(i, j int) { copies[i], copies[j] = copies[j], copies[i] })
	copies = copies[:2+rnd.IntN(len(copies)-1)]
	for _, b := range w.boards {
		b.machine = peer.Mark("machine", b.serial.Name())
		if slices.Contains(copies, b) {
			b.machine = peer.Mark("machine", "copy")
			b.engine.CopyID(copies[0].engine)
		}
	}
	w.run(t, w.startAll(t, rnd), 2*time.Minute, w.formed)
	w.run(t, nil, 2*time.Minute, nil)
	var names []string
	for _, b := range copies {
		names = append(names, b.serial.Name())
	}
	leader := w.leader()
	if warns := leader.running().Picture(t.Context()).Warnings; !slices.ContainsFunc(warns, func(w picture.Warning) bool {
		return strings.Contains(w.Text.En, "have the same machine id") &&
			strings.Contains(w.Remedy.En, "systemd-machine-id-setup")
	}) {
		t.Errorf("the picture warns of %v", warns)
	}
	for _, b := range w.boards {
		for _, kind := range []string{"have the same machine id", "have the same Docker Engine id"} {
			lines := slices.DeleteFunc(slices.Clone(b.lines), func(s string) bool { return !strings.Contains(s, kind) })
			said := strings.Join(lines, "")
			missing := func(name string) bool { return !strings.Contains(said, name) }
			switch {
			case b == leader && slices.ContainsFunc(names, missing):
				t.Errorf("%s, which leads, names of %q %q", b.serial.Name(), names, lines)
			case b != leader && said != "" && (!slices.Contains(copies, b) || missing(b.serial.Name())):
				t.Errorf("%s, a worker, says %q", b.serial.Name(), lines)
			}
			if len(lines) > 2 { // its engine started long after the others
				t.Errorf("%s says it %d times: %q", b.serial.Name(), len(lines), lines)
			}
		}
	}
}
