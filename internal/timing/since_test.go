package timing

import (
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var s Since
	if s.For(0, at(9)) || s.Note(false, at(9)) {
		t.Error("it is so before it ever was")
	}
	if !s.Note(true, at(10)) || s.Note(true, at(11)) || !s.Equal(at(10)) {
		t.Errorf("it is so since %v, want 10", s)
	}
	if s.For(3*time.Second, at(12)) || !s.For(3*time.Second, at(13)) {
		t.Error("how long it has been so is miscounted")
	}
	if s.Note(false, at(14)); !s.IsZero() || !s.Note(true, at(15)) {
		t.Error("a break does not count")
	}
}

func TestNotice(t *testing.T) {
	var n Notice
	for _, tt := range []struct {
		at   int
		text string
		want bool
	}{
		{0, "", false}, {1, "a", false}, {3, "b", false}, {5, "b", false}, {6, "b", true}, {20, "b", false},
		{21, "", false}, {30, "b", false}, {40, "b", false}, {41, "a", false}, {44, "a", true}, {45, "b", false}, {48, "b",
			true},
	} {
		if got := n.News(tt.text, time.Unix(int64(tt.at), 0), 3*time.Second); got != tt.want {
			t.Errorf("at %d %q is news: %v", tt.at, tt.text, got)
		}
	}
}
