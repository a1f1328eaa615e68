package address

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan error)
		told, ended := 0, false
		go func() {
			relay(t.Context(), func() error { return <-received }, func() { told++ })
			ended = true
		}()
		settle := func(want int, when string) {
			t.Helper()
			time.Sleep(2 * watchPace) // of the bubble's clock
			synctest.Wait()
			if told != want {
				t.Errorf("%s: told %d times, want %d", when, told, want)
			}
		}
		settle(1, "at first")
		for range 1000 {
			received <- nil
		}
		settle(3, "after a burst, at its start and its end")
		received <- unix.ENOBUFS
		settle(4, "after lost changes")
		received <- os.ErrClosed
		settle(4, "after the end")
		if !ended {
			t.Error("relay goes on without a source")
		}
	})
}

func TestRelayIsSilentAfterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		received := make(chan error)
		relayed := make(chan int)
		go func() {
			told := 0
			relay(ctx, func() error { return <-received }, func() { told++ })
			relayed <- told
		}()
		synctest.Wait()
		cancel()
		received <- nil
		received <- os.ErrClosed
		if told := <-relayed; told != 1 {
			t.Errorf("told %d times, want once, before the end", told)
		}
	})
}
