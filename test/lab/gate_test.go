package lab

import (
	"context"
	"errors"
	"testing"
)

// Labs are let in as long as there are engines, and in the order in which they come.
func TestGate(t *testing.T) {
	t.Setenv("PI_LAB_DIR", t.TempDir())
	t.Setenv("PI_LAB_ENGINES", "4")
	in := func(cost int, alone bool) <-chan pass {
		c := make(chan pass, 1)
		go func() {
			p, err := enter(t.Context(), Options{N: cost, Alone: alone})
			if err != nil {
				t.Error(err)
			}
			c <- p
		}()
		return c
	}
	first := <-in(3, false)
	second := <-in(1, false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := enter(ended, Options{N: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a fifth engine: %v, want to wait until the context ends", err)
	}
	big := in(9, false) // more than there are: it is let in when it is alone
	second.leave()
	select {
	case <-big:
		t.Fatal("a lab that wants all is let in beside another one")
	default:
	}
	first.leave()
	p := <-big
	alone := in(1, true)
	if len(p) != 4 {
		t.Errorf("it holds %d engines, want all 4", len(p))
	}
	select {
	case <-alone:
		t.Fatal("one that is to be alone is let in beside another one")
	default:
	}
	p.leave()
	p = <-alone
	if len(p) != 4 {
		t.Errorf("alone it holds %d engines, want all 4", len(p))
	}
	p.leave()

	t.Setenv("PI_LAB_ENGINES", "many")
	if _, err := enter(t.Context(), Options{N: 1}); err == nil {
		t.Error("a capacity that is no number is taken")
	}
}

func TestCost(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want int
	}{
		{Options{}, 3},
		{Options{N: 10}, 10},
		{Options{Machines: []string{"trixie", "bookworm"}}, 10}, // 6 of them have 108 inotify instances
		{Options{N: 1, Machines: []string{"trixie"}}, 6},
		{Options{Boards: true}, 12},
	} {
		if got := tt.o.cost(32, 128); got != tt.want {
			t.Errorf("%+v costs %d, want %d", tt.o, got, tt.want)
		}
	}
}
