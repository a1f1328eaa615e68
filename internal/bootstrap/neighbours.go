package bootstrap

import (
	"fmt"
	"time"
)

// neighboursCalm is how long the number of other clusters must stay the same before it is told: their boards are heard one
// after the other, and whoever wants to fill the journal can invent clusters.
const neighboursCalm = 10 * time.Second

// neighbours is how many other clusters are heard.
type neighbours struct {
	heard, told int
	since       time.Time // when heard was this number first
}

// news takes in the number heard at now, and returns what there is to tell of it, if anything.
func (n *neighbours) news(heard int, now time.Time) string {
	if heard != n.heard {
		n.heard, n.since = heard, now
	}
	if n.heard == n.told || now.Sub(n.since) < neighboursCalm {
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
