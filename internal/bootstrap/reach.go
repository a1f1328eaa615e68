package bootstrap

import (
	"fmt"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/roster"
)

// tellReach says when boards are met that multicast does not tell of, and what leads to them instead.
func (l *Loop) tellReach(now time.Time) {
	text := ""
	if _, boards, unheard := l.roster.ByAddress(now); unheard != [roster.Ways]int{} && !l.Claim().State.InSwarm() {
		n := 0
		var ways []string
		for r, k := range unheard {
			if n += k; k > 0 {
				ways = append(ways, fmt.Sprintf("%d %s", k, roster.Way(r)))
			}
		}
		text = fmt.Sprintf("Multicast does not pass this network: %d of %d boards are met by address only, %s. Turn off client isolation "+
			"and IGMP snooping, or name one board in peers on all others.", n, boards, strings.Join(ways, ", "))
	}
	if l.reach.News(text, now, l.Timing.ReachCalm) {
		l.Log.Warn(text)
	}
}
