package discovery

// This file says when to announce and when to ask.

import (
	"math/rand/v2"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Pace of announcements and questions.
const (
	announceGap = time.Second               // least time between two announcements, RFC 6762 sections 6 and 8.3
	announceMin = 30 * time.Second          // between announcements when nothing happens; with recordTTL, two
	announceMax = 60 * time.Second          // in a row may be lost before a board is forgotten
	answerMin   = 20 * time.Millisecond     // before an announcement that others will want to make too,
	answerMax   = 120 * time.Millisecond    // RFC 6762 section 6
	surveyTimes = 3                         // questions that everybody answers; more than one, as packets get lost
	surveyWait  = announceGap + 3*answerMax // for the answers: a board that has just announced itself waits for the next
	askMax      = time.Minute               // between two questions; from surveyWait on it doubles, RFC 6762 section 5.2
)

// schedule says when to announce.
type schedule struct {
	due    time.Time
	last   time.Time // when we announced last
	repeat bool      // once more after announceGap, because the first packet may get lost (RFC 6762 section 8.3)
}

// news makes an announcement due: what we say, or where we say it, changed.
func (s *schedule) news(now time.Time) {
	s.due = timing.Later(now, s.last.Add(announceGap))
	s.repeat = true
}

// answer makes an announcement due soon: somebody wants to know us.
func (s *schedule) answer(now time.Time) {
	at := timing.Later(now.Add(between(answerMin, answerMax)), s.last.Add(announceGap))
	if at.Before(s.due) {
		s.due = at
	}
}

// sent notes that we announced.
func (s *schedule) sent(now time.Time) {
	s.last = now
	if s.repeat {
		s.due = now.Add(announceGap)
	} else {
		s.due = now.Add(between(announceMin, announceMax))
	}
	s.repeat = false
}

// inquiry says when to ask who is there. The first questions are a survey: everybody answers them.
type inquiry struct {
	due     time.Time
	pause   time.Duration // before due
	put     int           // questions that were put
	answers time.Time     // when the answers to the survey will be in; zero before it is put, and after they are
	asked   address.Link  // where the answers were in; zero is nowhere yet
}

// ask notes that a question is put at now. After the survey the pause has a jitter of an eighth to either side, so that
// boards that were switched on together do not go on asking together.
func (i *inquiry) ask(now time.Time) {
	i.put++
	i.pause = min(max(2*i.pause, surveyWait), askMax)
	i.due = now.Add(i.pause)
	if i.put >= surveyTimes {
		i.due = now.Add(between(i.pause*7/8, i.pause*9/8))
	}
	if i.put == surveyTimes {
		i.answers = now.Add(surveyWait)
	}
}

// answered notes that the answers to the survey are in.
func (i *inquiry) answered(on address.Link) { i.asked, i.answers = on, time.Time{} }

// between is a time chosen by chance, low and high included.
func between(low, high time.Duration) time.Duration {
	return low + rand.N(high-low+1)
}
