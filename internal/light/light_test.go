package light_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/pi-agent/pi-agent/internal/light"
)

// leds is a directory as the kernel has it, in which a test plays the kernel.
type leds struct {
	t   *testing.T
	dir string
}

func newLEDs(t *testing.T, name, trigger string) leds {
	l := leds{t, filepath.Join(t.TempDir(), name)}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.set("trigger", "none rc-feedback timer heartbeat default-on mmc0 ["+trigger+"]\n")
	l.set("brightness", "255\n")
	return l
}

func (l leds) set(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l leds) get(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// wrote is the trigger that was written over the list, which the kernel then shows in brackets.
func (l leds) wrote(want string) {
	l.t.Helper()
	got := l.get("trigger")
	if !strings.HasPrefix(got, want) {
		l.t.Errorf("trigger %q, want %q", got, want)
	}
	l.set("trigger", "none timer ["+want+"]\n")
}

func run(t *testing.T, l leds, state func() light.State) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	one := &light.Light{Dir: filepath.Dir(l.dir), Keep: filepath.Join(filepath.Dir(l.dir), "kept"), State: state,
		Log: zaptest.NewLogger(t)}
	go func() { ended <- one.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestLight(t *testing.T) {
	for _, name := range []string{"ACT", "led0"} {
		t.Run(name, func(t *testing.T) {
			l := newLEDs(t, name, "mmc0")
			synctest.Test(t, func(t *testing.T) {
				var state atomic.Int32
				stop := run(t, l, func() light.State { return light.State(state.Load()) })
				synctest.Wait()
				l.wrote("timer") // its delays appear a moment later
				l.set("delay_on", "\n\n\n")
				l.set("delay_off", "\n\n\n")
				time.Sleep(3 * time.Second)
				if on, off := l.get("delay_on"), l.get("delay_off"); on != "500" || off != "500" {
					t.Errorf("searching blinks %q %q", on, off)
				}
				for _, next := range []struct {
					state   light.State
					trigger string
				}{{light.NeedsYou, "timer"}, {light.In, "default-on"}, {light.Manager, "heartbeat"}} {
					state.Store(int32(next.state))
					time.Sleep(3 * time.Second)
					if next.state == light.NeedsYou {
						if on, off := l.get("delay_on"), l.get("delay_off"); on != "100" || off != "100" {
							t.Errorf("a call for help blinks %q %q", on, off)
						}
						continue
					}
					l.wrote(next.trigger)
				}
				stop()
				l.wrote("mmc0")
				if got := l.get("brightness"); got != "255\n" {
					t.Errorf("brightness %q was written, which the trigger decides", got)
				}
			})
		})
	}
}

// An agent that comes after a crash gives back what the first one found, and a light that no trigger has its
// brightness.
func TestAfterCrash(t *testing.T) {
	l := newLEDs(t, "ACT", "timer")
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.dir), "kept"), []byte("none\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		stop := run(t, l, func() light.State { return light.In })
		synctest.Wait()
		l.wrote("default-on")
		stop()
		l.wrote("none")
		if got := l.get("brightness"); !strings.HasPrefix(got, "1") {
			t.Errorf("brightness %q, want 1", got)
		}
	})
}

func TestNoLight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &light.Light{Dir: t.TempDir(), Log: zaptest.NewLogger(t)}
		if err := one.Run(t.Context()); err != nil { // at once: there is nothing to wait for
			t.Error(err)
		}
	})
}
