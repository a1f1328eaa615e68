package main

import (
	"log"
	"sync/atomic"
	"time"
)

// often calls f so many times a second, in small bursts, and never returns. f must not block for long.
func often(rate int, f func()) {
	began, done := time.Now(), 0
	for range time.Tick(10 * time.Millisecond) {
		for due := int(float64(rate) * time.Since(began).Seconds()); done < due; done++ {
			f()
		}
	}
}

// tally counts what was really done.
type tally struct{ n atomic.Int64 }

// report writes a line "did <n> <what> in <seconds> s" every second.
func (t *tally) report(what string) {
	began := time.Now()
	for range time.Tick(time.Second) {
		log.Printf("did %d %s in %.1f s", t.n.Load(), what, time.Since(began).Seconds())
	}
}

// slots let so many things be done at a time as they have room for.
type slots chan struct{}

// try does something in a goroutine of its own, unless as much is being done as there may be.
func (s slots) try(do func()) {
	select {
	case s <- struct{}{}:
		go func() {
			defer func() { <-s }()
			do()
		}()
	default: // they let us wait
	}
}
