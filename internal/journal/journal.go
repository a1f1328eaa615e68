// Package journal makes the logger: plain sentences for people, with fields for machines where the log goes to
// systemd's journal.
package journal

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/tame"
)

const (
	identifier  = "pi-agent"  // journalctl -t pi-agent
	fieldPrefix = "PI_AGENT_" // begins the journal's names of our fields: journalctl PI_AGENT_SERIAL=10000000aabbcc01
	fieldMax    = 64          // characters of a field's name; the journal drops fields with a longer one
)

// New returns a logger for entries of this level and above. It writes to the journal with fields when the stderr of
// this process is connected to it, and lines to stderr otherwise.
func New(level zapcore.Level, stderr io.Writer) *zap.Logger {
	lines := zapcore.Lock(zapcore.AddSync(stderr))
	if onJournal, err := journal.StderrIsJournalStream(); err == nil && onJournal {
		return newLogger(level, toJournal(journal.Send, lines), zap.AddCaller())
	}
	return newLogger(level, toConsole(lines))
}

func newLogger(level zapcore.Level, write writer, options ...zap.Option) *zap.Logger {
	return zap.New(&core{LevelEnabler: level, out: write}, options...)
}

// writer writes one entry. It is called from many goroutines at once.
type writer func(zapcore.Entry, []field) error

// core is a zapcore.Core that puts an entry into words and hands it to its writer.
type core struct {
	zapcore.LevelEnabler
	fields []field
	out    writer
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	clone := *c
	clone.fields = slices.Concat(c.fields, render(fields))
	return &clone
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.out(e, slices.Concat(c.fields, render(fields)))
}

// Sync implements zapcore.Core. Every entry is written at once.
func (*core) Sync() error { return nil }

// toJournal returns a writer that sends entries with their fields. Plain journalctl shows the message only, so the
// fields are in it, too. What cannot be sent becomes a line in the journal's other form, with its priority in front.
func toJournal(send func(string, journal.Priority, map[string]string) error, lines io.Writer) writer {
	return func(e zapcore.Entry, fields []field) error {
		vars := map[string]string{"SYSLOG_IDENTIFIER": identifier}
		for _, f := range fields {
			vars[fieldName(f.key)] = f.value
		}
		if e.Caller.Defined {
			vars["CODE_FILE"], vars["CODE_FUNC"] = e.Caller.File, e.Caller.Function
			vars["CODE_LINE"] = strconv.Itoa(e.Caller.Line)
		}
		said := sentence(e, fields)
		if send(said, priority(e.Level), vars) == nil {
			return nil
		}
		_, err := fmt.Fprintf(lines, "<%d>%s\n", priority(e.Level), tame.Line(said))
		return err
	}
}

// toConsole returns a writer of lines for a person: the level is there when it is not Info.
func toConsole(lines io.Writer) writer {
	return func(e zapcore.Entry, fields []field) error {
		level := ""
		if e.Level != zapcore.InfoLevel {
			level = e.Level.CapitalString() + " "
		}
		_, err := fmt.Fprintf(lines, "%s %s%s\n", e.Time.Format(time.TimeOnly), level, tame.Line(sentence(e, fields)))
		return err
	}
}

// notInName is what the journal does not take in the name of a field.
var notInName = regexp.MustCompile(`[^A-Z0-9]`)

// fieldName makes a name that the journal takes, and not too long.
func fieldName(key string) string {
	name := fieldPrefix + notInName.ReplaceAllString(strings.ToUpper(key), "_")
	return name[:min(len(name), fieldMax)]
}

func priority(l zapcore.Level) journal.Priority {
	all := []journal.Priority{journal.PriDebug, journal.PriInfo, journal.PriWarning, journal.PriErr, journal.PriCrit}
	return all[min(max(int(l-zapcore.DebugLevel), 0), len(all)-1)]
}
