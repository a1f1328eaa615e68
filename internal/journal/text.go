package journal

// This file puts entries of the log into words.

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/tame"
)

// field is a zap field in words.
type field struct{ key, value string }

// render puts fields into words. A secret.Secret becomes *** by its own doing.
func render(fields []zapcore.Field) []field {
	var all []field
	for _, f := range fields {
		m := zapcore.NewMapObjectEncoder()
		f.AddTo(m)
		if f.Type == zapcore.ErrorType { // an error is its sentence, without its stack and its parts
			delete(m.Fields, f.Key+"Verbose")
			delete(m.Fields, f.Key+"Causes")
		}
		for _, k := range slices.Sorted(maps.Keys(m.Fields)) {
			all = append(all, field{k, show(m.Fields[k])})
		}
	}
	return all
}

func show(value any) string {
	if t, ok := value.(time.Time); ok {
		return t.Format(time.RFC3339)
	}
	return fmt.Sprint(value)
}

// sentence is a message with its fields behind it, as in
//
//	Found pi-bbcc01 at 10.0.0.7. state=blank model="Raspberry Pi 5"
func sentence(e zapcore.Entry, fields []field) string {
	var b strings.Builder
	if e.LoggerName != "" {
		b.WriteString(e.LoggerName + ": ")
	}
	b.WriteString(printable(e.Message))
	for _, f := range fields {
		b.WriteString(" " + f.key + "=" + quoted(f.value))
	}
	return strings.TrimSpace(b.String())
}

// quoted puts a value in quotes when it would not be seen where it ends.
func quoted(s string) string {
	if s != "" && !strings.ContainsAny(s, ` "=`) && tame.Line(s) == s {
		return s
	}
	return strconv.Quote(s)
}

// printable marks what a terminal would obey; of a message with such characters journalctl shows nothing but its size.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
