package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What a computer of a lab costs a machine, in engines. A Pi is one: some 150 MB of memory, and a second of CPU time
// whenever its engine starts. A whole machine has a systemd and its services besides, and a board emulates its CPU.
const (
	piCost      = 1
	machineCost = 2
	boardCost   = 4

	// enginesPerCore is how many engines may be up for each CPU. They wait for each other most of the time: one that is in
	// a swarm needs 2 % of a CPU.
	enginesPerCore = 16
	// machineWatches is how many inotify instances the services of a whole machine have. The kernel gives all of a user,
	// 128 unless told otherwise, and systemd does not start without.
	machineWatches = 18
	// engineMemory is what there must be for each, in bytes, with room for images and page cache.
	engineMemory = 400 << 20
)

// cost is what a lab costs while it is up, where so many engines may be up that share so many inotify instances.
func (o Options) cost(engines, watches int) int {
	n := o.N
	if n == 0 && len(o.Machines) == 0 && !o.Boards {
		n = 3
	}
	each := max(machineCost, (engines*machineWatches+watches-1)/watches)
	cost := n*piCost + len(o.Machines)*each
	if o.Boards {
		cost += 3 * boardCost
	}
	return cost
}

// capacity is how many engines this machine bears at once.
func capacity() (int, error) {
	if text := os.Getenv("PI_LAB_ENGINES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("PI_LAB_ENGINES is %q: give a number of engines", text)
		}
		return n, nil
	}
	var memory unix.Sysinfo_t
	if err := unix.Sysinfo(&memory); err != nil {
		return 0, fmt.Errorf("size of memory: %w", err)
	}
	byMemory := int(uint64(memory.Totalram) * uint64(memory.Unit) / engineMemory)
	return max(1, min(runtime.NumCPU()*enginesPerCore, byMemory)), nil
}

// watchesMax is how many inotify instances a user may have.
func watchesMax() int {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		return 128 // the kernel's own default
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 1 {
		return 128
	}
	return n
}

// pass is leave to have so many engines up, for as long as its files are open. It ends with the process, too.
type pass []*os.File

// enter waits until the machine bears a lab with these options beside those that other tests have up, in this process
// and in others. They are let in in the order in which they come, so that a big lab is not kept out by small ones. One
// that wants more than there is, or is to be alone, waits until it is alone.
func enter(ctx context.Context, o Options) (p pass, err error) {
	all, err := capacity()
	if err != nil {
		return nil, err
	}
	cost := o.cost(all, watchesMax())
	if o.Alone || cost > all {
		cost = all
	}
	dir := filepath.Join(Base(), ".engines")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	queue, err := lock(filepath.Join(dir, "queue"), os.O_CREATE, 0)
	if err != nil {
		return nil, err
	}
	defer queue.Close()
	held := map[int]bool{}
	err = Wait(ctx, 50*time.Millisecond, func(context.Context) error {
		for i := range all {
			if held[i] {
				continue
			}
			f, err := lock(filepath.Join(dir, strconv.Itoa(i)), os.O_CREATE, unix.LOCK_NB)
			if err != nil {
				continue // somebody else's
			}
			held[i], p = true, append(p, f)
			if len(p) == cost {
				return nil
			}
		}
		return fmt.Errorf("%d of %d engines are others', and %d are needed", all-len(p), all, cost)
	})
	if err != nil {
		p.leave()
		return nil, err
	}
	return p, nil
}

// leave lets others have the engines.
func (p pass) leave() {
	for _, f := range p {
		f.Close()
	}
}
