package roster

import (
	"errors"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
)

// A manager asks boards that only announce themselves, to tell why they are not in. As many as can be invented cost it
// a few hellos a second.
func TestMuteBoardsCostLittle(t *testing.T) {
	known := New(peer.Fingerprint{}, patient)
	begun, asks := time.Now(), 0
	now := begun
	for ; now.Sub(begun) < 10*time.Minute; now = now.Add(time.Second) {
		known.Heard(crowd(Max, peer.Blank, now), now)
		addrs, _ := known.Due(func(c *Contact) time.Duration {
			return Pace(c, policy.View{Timing: patient, Now: now}, peer.Manager)
		}, time.Time{}, now)
		if len(addrs) > 0 && now.Sub(begun) < patient.Hello {
			t.Fatalf("%d boards are asked before they have said hello", len(addrs))
		}
		asks += len(addrs)
		for _, a := range addrs {
			known.Answered(a, now, now, errors.New("no answer in time"))
		}
	}
	if perSecond := float64(asks) / now.Sub(begun).Seconds(); perSecond > 10 || asks == 0 {
		t.Errorf("%.1f hellos a second, want at most 10", perSecond)
	}
}
