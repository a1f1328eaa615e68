package prepare

// This file puts the clock forward.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/board"
)

// behindPath is where the agent leaves what the clock should say, as the time at which the board was switched on: that
// stays true however long it takes until it is read. The path unit pi-agent-prepare.path waits for the file.
const behindPath = "/run/pi-agent/clock-behind"

// witnesses are files that are written when a board enters a swarm, of an engine with its data in root. A clock that
// says less than they has stood still since, and the certificates of the swarm would not be valid yet.
func witnesses(root string) []string {
	return []string{"/var/lib/pi-agent/state.json", filepath.Join(root, certName)}
}

// AskForClock asks root to put the clock forward to a time. It returns before that is done.
func AskForClock(to time.Time) error {
	up, err := board.SinceBoot()
	if err != nil {
		return err
	}
	return renameio.WriteFile(behindPath, fmt.Appendln(nil, to.Add(-up).UnixNano()), 0o644)
}

// Clock puts the clock forward to the latest time that is known to have passed: when this program was made, when a
// witness was written, and what the agent has asked for. One that a time server sets is left alone. The engine has its
// data in root.
func Clock(built time.Time, root string, log *zap.Logger) error {
	up, err := board.SinceBoot()
	if err != nil {
		return err
	}
	to, err := passed(built, witnesses(root), behindPath, up)
	now := time.Now()
	if !to.After(now) {
		return err
	}
	switch synced, syncErr := board.ClockSynced(); {
	case syncErr != nil:
		return errors.Join(err, syncErr)
	case synced:
		return err
	}
	ts, tsErr := unix.TimeToTimespec(to)
	if tsErr != nil {
		return errors.Join(err, fmt.Errorf("put the clock forward to %s: %w", to, tsErr))
	}
	if setErr := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); setErr != nil {
		return errors.Join(err, fmt.Errorf("put the clock forward to %s: %w", to.UTC().Format(time.RFC3339), setErr))
	}
	log.Info(fmt.Sprintf("The clock was put forward to %s; it said %s, and no time server sets it.",
		to.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	return err
}

// passed is the latest time that is known to have passed on a board that has been on for so long. The error says what
// could not be read.
func passed(built time.Time, witnesses []string, asked string, up time.Duration) (time.Time, error) {
	latest := built
	for _, path := range witnesses {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	text, err := readLine(asked)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return latest, nil
	case err != nil:
		return latest, fmt.Errorf("read what the clock should say: %w", err)
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return latest, fmt.Errorf("read what the clock should say: %s has %.40q", asked, text)
	}
	if at := time.Unix(0, ns).Add(up); at.After(latest) {
		latest = at
	}
	return latest, nil
}
