package discovery

import (
	"math/rand/v2"
	"time"
)

// Pace of announcements and questions.
const (
	announceGap = time.Second               // least time between two announcements, RFC 6762 sections 6 and 8.3
	announceMin = 30 * time.Second          // between announcements when nothing happens; with recordTTL, two
	announceMax = 60 * time.Second          // in a row may be lost before a board is forgotten
	answerMin   = 20 * time.Millisecond     // before an announcement that others will want to make too,
	answerMax   = 120 * time.Millisecond    // RFC 6762 section 6
	askFirst    = time.Second               // between two questions, RFC 6762 section 5.2; doubles
	askMax      = time.Minute               //
	surveyTimes = 2                         // so often everybody is asked to announce themselves, for a packet may get lost
	surveyWait  = announceGap + 3*answerMax // for their announcements: one who has just made one waits before the next
)

// schedule says when to announce. The zero schedule is due at once.
type schedule struct {
	due    time.Time
	last   time.Time // when we announced last
	repeat bool      // once more after announceGap, because the first packet may get lost (RFC 6762 section 8.3)
}

// news makes an announcement due: what we say, or where we say it, changed.
func (s *schedule) news(now time.Time) {
	s.due = later(now, s.last.Add(announceGap))
	s.repeat = true
}

// answer makes an announcement due soon: somebody wants to know us.
func (s *schedule) answer(now time.Time) {
	at := later(now.Add(between(answerMin, answerMax)), s.last.Add(announceGap))
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

// inquiry says when to ask. The zero inquiry is due at once.
type inquiry struct {
	due   time.Time
	pause time.Duration // after the next question
}

// survey is the question that everybody answers with an announcement. The zero survey is due at once.
type survey struct {
	due   time.Time
	asked int  // times
	link  Link // where it was put, once the answers are in; zero before
}

// put notes that the question was put, which must not fail.
func (v *survey) put(now time.Time) {
	v.asked++
	v.due = now.Add(surveyWait)
}

// done reports whether the answers are in.
func (v *survey) done() bool { return v.link != Link{} }

// done notes that a question has had its answers. The jitter is an eighth to either side: boards that got their power at one
// moment do not go on asking at one moment.
func (i *inquiry) done(now time.Time) {
	i.pause = min(max(2*i.pause, askFirst), askMax)
	i.due = now.Add(between(i.pause*7/8, i.pause*9/8))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func between(low, high time.Duration) time.Duration {
	return low + rand.N(high-low+1)
}
