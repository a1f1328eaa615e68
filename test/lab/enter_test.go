package lab

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// However often a process enters a machine, its first thread stays where it is.
func TestEnterLeavesTheFirstThreadAlone(t *testing.T) {
	t.Parallel()
	Need(t)
	l := New(t, Options{N: 1})
	const threads = 50 // at once, so that those that there are have to be used
	var all, inside sync.WaitGroup
	inside.Add(threads)
	for range threads {
		all.Go(func() {
			err := l.Pis[0].Enter(func() error {
				inside.Done()
				inside.Wait()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, namespace := range []string{"net", "mnt"} {
		at := func(thread string) string {
			where, err := os.Readlink("/proc/" + thread + "/ns/" + namespace)
			if err != nil {
				t.Fatal(err)
			}
			return where
		}
		if here, first := at("thread-self"), at(fmt.Sprint(os.Getpid())); first != here {
			t.Errorf("the first thread is in %s, this one in %s", first, here)
		}
	}
}
