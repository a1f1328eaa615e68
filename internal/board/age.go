package board

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Files that tell how long the board has been on, and what they count in.
const (
	uptimeFile = "proc/uptime"
	initStat   = "proc/1/stat" // proc_pid_stat(5)
	startField = 22            // since boot, when the process started
	clockTicks = 100           // a second, on every architecture that Linux has today
)

// Age is how long ago the board was switched on, or where it is a container, that was started. An agent or an engine that
// starts anew does not change it.
func Age(root fs.FS) (time.Duration, error) {
	b, err := fs.ReadFile(root, uptimeFile)
	if err != nil {
		return 0, fmt.Errorf("how long this board has been on: %w", err)
	}
	first, _, _ := strings.Cut(string(b), " ")
	uptime, err := time.ParseDuration(first + "s")
	if err != nil {
		return 0, fmt.Errorf("how long this board has been on: %s has %.40q", uptimeFile, b)
	}
	return uptime - initStarted(root), nil
}

// initStarted is when, counted from boot, the first process started: 0 unless this is a container.
func initStarted(root fs.FS) time.Duration {
	b, err := fs.ReadFile(root, initStat)
	if err != nil { // hidden from us by systemd, which runs on whole machines
		return 0
	}
	_, after, _ := strings.Cut(string(b), ") ") // the name before it may have spaces
	fields := strings.Fields(after)
	if len(fields) < startField-2 {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[startField-3], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * (time.Second / clockTicks)
}
