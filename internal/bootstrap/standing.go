package bootstrap

import (
	"github.com/pi-agent/pi-agent/internal/peer"
)

// Standing is where this board stands, and whether that needs a person. It may be called from any goroutine, and asks nobody.
func (l *Loop) Standing() (state peer.State, needs bool) {
	if seen := l.snapshot.Load(); seen != nil {
		needs = seen.action.Trouble
	}
	return l.Claim().State, needs
}
