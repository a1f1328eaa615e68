package bootstrap

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/status"
)

func TestAlone(t *testing.T) {
	formedWorld(t, 3, func(t *testing.T, w *world) {
		leader := w.leader()
		said := map[string]bool{}
		late := w.add("f000000000000001")
		late.engine.PowerOn()
		p := status.Alone(t.Context(), picture.Board{Serial: late.serial, Name: late.hostname}, "pi",
			say.Words("The agent does not run."), late.engine)
		if e := entryOf(t, p, late); e.State != picture.Out || e.Engine == "" || p.Swarm != nil || !p.Trouble() {
			t.Errorf("in no swarm it shows %+v", p)
		}
		said[p.Doing.En] = true
		w.boards = w.boards[:3]
		for _, b := range w.boards {
			b.kill()
			self := picture.Board{Serial: b.serial, Name: b.hostname, Model: "Simulated Pi"}
			p := status.Alone(t.Context(), self, "pi", say.Words("The agent does not run."), b.engine)
			boards, role := 1, picture.Worker
			if b == leader {
				boards, role = 3, picture.Leader
			}
			e := entryOf(t, p, b)
			said[p.Doing.En] = true
			if len(p.Boards) != boards || e.Role != role || e.Node != b.node || e.Engine == "" || !p.Trouble() ||
				p.Swarm == nil {
				t.Errorf("%s shows %+v", b.hostname, p)
			}
			b.engine.StopEngine()
			synctest.Wait()
			p = status.Alone(t.Context(), self, "pi", say.Words("The agent does not run."), b.engine)
			if e := entryOf(t, p, b); e.State != picture.Out ||
				!strings.Contains(p.Doing.En, "Nor can the Docker Engine be asked") {
				t.Errorf("%s without engine shows %+v", b.hostname, p)
			}
			said[p.Doing.En] = true
		}
		for _, part := range []string{"Nor can the Docker Engine be asked: ", " is up, in no swarm.",
			" is up, and its swarm is active."} {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(said)), func(s string) bool { return strings.Contains(s, part) }) {
				t.Errorf("no case says %q", part)
			}
		}
	})
}
