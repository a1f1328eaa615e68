// Package sdnotify tells systemd how the service goes (sd_notify(3)). Outside systemd it does nothing.
package sdnotify

import (
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/pi-agent/pi-agent/internal/tame"
)

// pingPace is the least time between two pings of the watchdog. It is short because a caller of Watchdog may need
// nearly all of systemd's patience for its next piece of work.
const pingPace = time.Second

// Notifier speaks to the service manager. It is safe for concurrent use.
type Notifier struct {
	log   *zap.Logger
	limit time.Duration // after which systemd loses patience, 0 without a watchdog
	ping  rate.Sometimes

	mu    sync.Mutex
	shown string // the status
}

// New returns a Notifier for this process.
func New(log *zap.Logger) *Notifier {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("The watchdog settings of systemd are not understood.", zap.Error(err))
	}
	return &Notifier{log: log, limit: limit, ping: rate.Sometimes{Interval: min(pingPace, limit/4)}}
}

// Ready says that the service does its work.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping says that the service is about to end.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

// Status shows one line in systemctl status. It is sent when it has changed.
func (n *Notifier) Status(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text = tame.Line(text) // a second line would be an order of its own
	if text != n.shown && n.send("STATUS="+text) {
		n.shown = text
	}
}

// Watchdog says that the service is alive. It must be called at least twice in the WatchdogSec of the unit, and may be
// called as often as one likes.
func (n *Notifier) Watchdog() {
	if n.limit > 0 {
		n.ping.Do(func() { n.send(daemon.SdNotifyWatchdog) })
	}
}

// send reports whether systemd was told, or is not there to be told.
func (n *Notifier) send(state string) bool {
	_, err := daemon.SdNotify(false, state)
	if err != nil {
		n.log.Debug("systemd was not told.", zap.String("state", state), zap.Error(err))
	}
	return err == nil
}
