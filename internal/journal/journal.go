// Package journal makes the logger: plain sentences for people, with fields for machines where the log goes to systemd's
// journal.
package journal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// fieldPrefix begins the journal's names of our fields: journalctl PI_AGENT_SERIAL=10000000aabbcc01.
const fieldPrefix = "PI_AGENT_"

// New returns a logger that writes to the journal with fields when stderr is connected to it, and lines to stderr
// otherwise.
func New(level zapcore.Level, stderr io.Writer) *zap.Logger {
	onJournal, err := journal.StderrIsJournalStream()
	if err == nil && onJournal {
		return zap.New(&core{LevelEnabler: level, write: toJournal})
	}
	var mu sync.Mutex
	return zap.New(&core{LevelEnabler: level, write: func(e zapcore.Entry, fields map[string]string, line string) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(stderr, "%-5s %s\n", e.Level.CapitalString(), strings.ReplaceAll(line, "\n", " "))
		return err
	}})
}

// core is a zapcore.Core that renders an entry to one line and hands it on.
type core struct {
	zapcore.LevelEnabler
	fields []zapcore.Field
	write  func(e zapcore.Entry, fields map[string]string, line string) error
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	clone := *c
	clone.fields = append(c.fields[:len(c.fields):len(c.fields)], fields...)
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
	values := map[string]string{}
	line := e.Message
	if e.LoggerName != "" {
		line = e.LoggerName + ": " + line
	}
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		m := zapcore.NewMapObjectEncoder()
		f.AddTo(m)
		for k, v := range m.Fields {
			values[k] = fmt.Sprint(v)
			line += " " + k + "=" + quoted(values[k])
		}
	}
	return c.write(e, values, line)
}

// Sync implements zapcore.Core. Every entry is written at once.
func (*core) Sync() error { return nil }

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=\n\t") {
		return strconv.Quote(s)
	}
	return s
}

// toJournal sends an entry with its fields. Plain journalctl shows the message only, so the fields are in it, too.
func toJournal(e zapcore.Entry, fields map[string]string, line string) error {
	vars := map[string]string{"SYSLOG_IDENTIFIER": "pi-agent"}
	for k, v := range fields {
		vars[fieldName(k)] = v
	}
	return journal.Send(line, priority(e.Level), vars)
}

// fieldName makes a name that the journal takes: it drops fields with other characters than A-Z, 0-9 and "_".
func fieldName(k string) string {
	return fieldPrefix + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, k)
}

func priority(l zapcore.Level) journal.Priority {
	switch {
	case l >= zapcore.DPanicLevel:
		return journal.PriCrit
	case l >= zapcore.ErrorLevel:
		return journal.PriErr
	case l >= zapcore.WarnLevel:
		return journal.PriWarning
	case l >= zapcore.InfoLevel:
		return journal.PriInfo
	}
	return journal.PriDebug
}
