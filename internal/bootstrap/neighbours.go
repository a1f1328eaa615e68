package bootstrap

import (
	"fmt"
	"time"
)

// neighbours is how many other clusters are heard.
type neighbours struct {
	heard, told int
	since       time.Time // when heard was this number first
}

// news takes in the number heard at now, and returns what there is to tell of it when it has been the same for as long as
// calm: boards are heard one after the other, and whoever wants to fill the journal can invent clusters.
func (n *neighbours) news(heard int, now time.Time, calm time.Duration) string {
	if heard != n.heard {
		n.heard, n.since = heard, now
	}
	if n.heard == n.told || now.Sub(n.since) < calm {
		return ""
	}
	n.told = n.heard
	switch n.told {
	case 0:
		return "No other cluster is nearby any more."
	case 1:
		return "1 other cluster nearby, of another name or key: it is left alone."
	}
	return fmt.Sprintf("%d other clusters nearby, of other names or keys: they are left alone.", n.told)
}
