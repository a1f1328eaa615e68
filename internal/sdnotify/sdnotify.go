// Package sdnotify tells systemd how the service goes (sd_notify(3)). Outside systemd it does nothing.
package sdnotify

import (
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// Notifier speaks to the service manager. It is safe for concurrent use.
type Notifier struct {
	log *zap.Logger

	mu      sync.Mutex
	status  string
	pace    time.Duration // between watchdog pings, 0 without a watchdog
	watched time.Time
}

// New returns a Notifier for this process.
func New(log *zap.Logger) *Notifier {
	n := &Notifier{log: log}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("The watchdog settings of systemd are not understood.", zap.Error(err))
	}
	n.pace = limit / 4
	return n
}

// Ready says that the service does its work.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping says that the service is about to end.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

// Status shows one line in systemctl status. It is sent when it has changed.
func (n *Notifier) Status(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if text == n.status {
		return
	}
	n.status = text
	n.send("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Watchdog says that the service is alive. It may be called as often as one likes: a ping is sent four times in the time
// after which systemd would lose patience.
func (n *Notifier) Watchdog() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.pace > 0 && now.Sub(n.watched) >= n.pace {
		n.watched = now
		n.send(daemon.SdNotifyWatchdog)
	}
}

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("systemd was not told.", zap.String("state", state), zap.Error(err))
	}
}
