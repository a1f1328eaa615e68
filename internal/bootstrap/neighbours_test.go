package bootstrap

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNeighbours(t *testing.T) {
	n := &notices{}
	var told []string
	start := time.Unix(0, 0)
	at := func(second int, heard int) {
		if text := n.nearby(heard); n.near.News(text, start.Add(time.Duration(second)*time.Second), patient.NeighboursCalm) {
			told = append(told, text)
		}
	}
	for second := range 20 {
		at(second, 0)
	}
	for second := range 64 { // a flood
		at(100+second, second)
	}
	for second := 200; second < 400; second++ {
		heard := 2
		if second >= 230 {
			heard = 1
		}
		if second >= 260 && second < 265 || second >= 300 {
			heard = 0
		}
		at(second, heard)
	}
	want := []string{
		"2 other clusters nearby, of other names or keys: they are left alone.",
		"1 other cluster nearby, of another name or key: it is left alone.",
		"No other cluster is nearby any more.",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
