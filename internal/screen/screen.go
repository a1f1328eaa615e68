// Package screen keeps the lines that a monitor shows above the login, and an ssh login below: where this board stands,
// in the words of systemctl status, where its page is, and what is wrong with its stacks. The package links them into
// /etc/issue.d and /etc/motd.d.
package screen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Names of the files.
const (
	IssueName = "issue" // for agetty
	MotdName  = "motd"  // for pam_motd
)

// Notifier is whom the loop tells how it goes. sdnotify.Notifier is the one of the service manager.
type Notifier interface {
	Ready()
	Status(text string)
	Watchdog()
}

// Screen passes on what it is told, and writes the status to files when it has changed.
type Screen struct {
	Notifier
	Dir  string        // of the files; it must be there
	Name func() string // of this board
	Page func() string // address of its page; empty without one
	// Problems are more lines, of what is wrong; nil without any.
	Problems func() []say.Text
	Log      *zap.Logger

	mu    sync.Mutex
	told  string // the status
	shown string // the lines in the files
}

// Status implements Notifier.
func (s *Screen) Status(text string) {
	s.Notifier.Status(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = text
	s.show()
}

// Watchdog implements Notifier. It comes every few seconds, and is when the address of the page is looked at anew.
func (s *Screen) Watchdog() {
	s.Notifier.Watchdog()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told != "" {
		s.show()
	}
}

// show writes the files where there is something new. The caller must hold s.mu.
func (s *Screen) show() {
	lines := fmt.Sprintf("%s: %s\n", tame.Line(s.Name()), tame.Line(s.told))
	if page := s.Page(); page != "" {
		lines += page + "\n"
	}
	if s.Problems != nil {
		for _, p := range say.English(s.Problems()) {
			lines += tame.Line(p) + "\n"
		}
	}
	if lines == s.shown {
		return
	}
	s.shown = lines // one that cannot be written is not tried again and again
	for name, text := range map[string]string{
		IssueName: strings.ReplaceAll(lines, `\`, `\\`) + "\n", // agetty takes \u and its like as orders
		MotdName:  lines,
	} {
		// The service's umask is for secrets; there is none in here.
		const mode = 0o644
		path := filepath.Join(s.Dir, name)
		if err := renameio.WriteFile(path, []byte(text), mode, renameio.WithStaticPermissions(mode)); err != nil {
			s.Log.Debug("The screen of this board does not show the status: " + err.Error())
		}
	}
}

// Close removes the files: what they say is true only while the agent runs.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{IssueName, MotdName} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !os.IsNotExist(err) {
			s.Log.Debug("The screen of this board shows an old status: " + err.Error())
		}
	}
}
