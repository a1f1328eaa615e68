package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// TestMachinesWithoutDHCP boots flashed cards on a dumb switch: nobody gives addresses, and nobody ever has.
func TestMachinesWithoutDHCP(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{Machines: []string{"trixie", "bookworm", "trixie"}, Off: true})
	must(t, l.StopDHCP())
	each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.Bake(ctx, deb) })
	began := time.Now()
	each(t, l.Machines, func(ctx context.Context, m *lab.Machine) error { return m.Boot(ctx) })
	awaitMachines(t, atLast, l.Machines)
	t.Logf("one swarm %v after the power came", time.Since(began).Round(time.Second))
	linkLocals(t, hostsOf(l))
	for _, m := range l.Machines {
		if addr, err := m.Addr(t.Context()); err == nil {
			t.Errorf("%s has %v: somebody gives addresses", m.Name, addr)
		}
	}
	readable(t, l.Machines)
}
