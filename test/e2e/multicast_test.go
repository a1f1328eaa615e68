package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// Multicast reaches nobody. All boards name one of them, which names itself: it tells the others of one another.
func TestWithoutMulticast(t *testing.T) {
	l := lab.New(t, lab.Options{N: 3})
	engines(t, l)
	for _, pi := range l.Pis {
		if err := pi.DropMulticast(); err != nil {
			t.Fatal(err)
		}
		if err := pi.SetConfig(fmt.Sprintf(`peers = ["%v"]`, l.Pis[0].Addr.Addr())); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	if err := l.StartAgents(); err != nil {
		t.Fatal(err)
	}
	leader := lowest(l.Pis)
	awaitSwarm(t, 2*time.Minute, leader, l.Pis)
	t.Logf("one swarm after %v", time.Since(start).Round(time.Second/10))
	for _, pi := range l.Pis {
		if !strings.Contains(pi.Log(), "Multicast does not pass this network") {
			t.Errorf("%s does not say that multicast is lost", pi.Name)
		}
	}
}
