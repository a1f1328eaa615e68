package timing

// This file has two small clocks: since when something has been so, and whether a text is worth telling yet.

import "time"

// Since is since when something has been so without a break; zero when it is not so.
type Since struct{ time.Time }

// Note takes in whether it is so now. It reports whether it has just begun.
func (s *Since) Note(holds bool, now time.Time) (begun bool) {
	switch {
	case !holds:
		s.Time = time.Time{}
	case s.IsZero():
		s.Time = now
		return true
	}
	return false
}

// For reports whether it has been so for d or longer.
func (s Since) For(d time.Duration, now time.Time) bool { return !s.IsZero() && now.Sub(s.Time) >= d }

// Notice is a text that is told once it has stayed the same for a while, and not again before another one was.
type Notice struct {
	now, told string
	since     time.Time
}

// News takes in what there is to tell at now, empty when there is nothing. It reports whether to tell it: it has been
// the same for as long as calm, and was not what was told last.
func (n *Notice) News(text string, now time.Time, calm time.Duration) bool {
	if text != n.now || n.since.IsZero() {
		n.now, n.since = text, now
	}
	if text == "" || text == n.told || now.Sub(n.since) < calm {
		return false
	}
	n.told = text
	return true
}

// Told reports whether anything was ever told.
func (n *Notice) Told() bool { return n.told != "" }
