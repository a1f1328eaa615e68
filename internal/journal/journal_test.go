package journal

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/secret"
)

// sent is what the journal was given.
type sent struct {
	Message  string
	Priority journal.Priority
	Vars     map[string]string
}

// fakeJournal keeps what it is sent, or refuses it.
type fakeJournal struct {
	refuse error
	mu     sync.Mutex
	got    []sent
}

func (j *fakeJournal) send(message string, p journal.Priority, vars map[string]string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refuse == nil {
		j.got = append(j.got, sent{message, p, vars})
	}
	return j.refuse
}

// verboseError has a stack to show, as the errors of some modules have.
type verboseError struct{}

func (verboseError) Error() string                { return "no route" }
func (e verboseError) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "no route\nmain.go:1") }

func TestJournal(t *testing.T) {
	var j fakeJournal
	log := newLogger(zapcore.InfoLevel, toJournal(j.send, nil)).With(zap.String("serial", "10000000aabbcc01"))
	log.Debug("Not shown.")
	log.Info("Found pi-aabbcc01.", zap.String("model", `Raspberry Pi 4 "B"`), zap.Int("boards", 3),
		zap.Duration("at-most", 15*time.Second))
	log.Named("docker").Warn("The engine is slow.", zap.Error(verboseError{}), zap.Bool("_x.y", true),
		zap.String("empty", ""))
	log.Error("Line one.\nLine two.", zap.Error(errors.Join(errors.New("first"), errors.New("second"))), zap.Error(nil))
	log.Info("Joined \x1b[31mred\xff.", zap.Time("clock", time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)),
		zap.String("name", "\x1b[2J"), zap.String(strings.Repeat("k", 100), "v"))
	vars := func(more ...string) map[string]string {
		m := map[string]string{"SYSLOG_IDENTIFIER": "pi-agent", "PI_AGENT_SERIAL": "10000000aabbcc01"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	want := []sent{
		{`Found pi-aabbcc01. serial=10000000aabbcc01 model="Raspberry Pi 4 \"B\"" boards=3 at-most=15s`, journal.PriInfo,
			vars("PI_AGENT_MODEL", `Raspberry Pi 4 "B"`, "PI_AGENT_BOARDS", "3", "PI_AGENT_AT_MOST", "15s")},
		{`docker: The engine is slow. serial=10000000aabbcc01 error="no route" _x.y=true empty=""`, journal.PriWarning,
			vars("PI_AGENT_ERROR", "no route", "PI_AGENT__X_Y", "true", "PI_AGENT_EMPTY", "")},
		{"Line one.\nLine two. serial=10000000aabbcc01 error=\"first\\nsecond\"", journal.PriErr,
			vars("PI_AGENT_ERROR", "first\nsecond")},
		{"Joined \ufffd[31mred\ufffd. serial=10000000aabbcc01 clock=2026-11-23T07:00:00Z name=\"\\x1b[2J\" " +
			strings.Repeat("k", 100) + "=v",
			journal.PriInfo, vars("PI_AGENT_CLOCK", "2026-11-23T07:00:00Z", "PI_AGENT_NAME", "\x1b[2J",
				"PI_AGENT_"+strings.Repeat("K", 55), "v")},
	}
	if diff := cmp.Diff(want, j.got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJournalTellsWhere(t *testing.T) {
	var j fakeJournal
	newLogger(zapcore.InfoLevel, toJournal(j.send, nil), zap.AddCaller()).Info("Here.")
	got := j.got[0].Vars
	if !strings.HasSuffix(got["CODE_FILE"], "journal/journal_test.go") || got["CODE_LINE"] == "" ||
		!strings.HasSuffix(got["CODE_FUNC"], "TestJournalTellsWhere") {
		t.Errorf("the place in the code is %v", got)
	}
}

func TestPriority(t *testing.T) {
	for level, want := range map[zapcore.Level]journal.Priority{
		-5: journal.PriDebug, zapcore.DebugLevel: journal.PriDebug, zapcore.InfoLevel: journal.PriInfo, zapcore.WarnLevel: journal.PriWarning,
		zapcore.ErrorLevel: journal.PriErr, zapcore.DPanicLevel: journal.PriCrit, zapcore.FatalLevel: journal.PriCrit, 99: journal.PriCrit,
	} {
		if got := priority(level); got != want {
			t.Errorf("%v: %d, want %d", level, got, want)
		}
	}
}

func TestJournalGone(t *testing.T) {
	var stderr bytes.Buffer
	j := fakeJournal{refuse: errors.New("no such file")}
	log := newLogger(zapcore.DebugLevel, toJournal(j.send, &stderr))
	log.Warn("Line one.\nLine two.", zap.Int("n", 1))
	log.Debug("More.")
	if got, want := stderr.String(), "<4>Line one. Line two. n=1\n<7>More.\n"; got != want {
		t.Errorf("stderr has %q, want %q", got, want)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	const value = "SWMTKN-1-abc"
	token := secret.New(value)
	type request struct{ Token secret.Secret }
	var j fakeJournal
	var stderr bytes.Buffer
	for _, w := range []writer{toJournal(j.send, &stderr), toConsole(&stderr)} {
		log := newLogger(zapcore.InfoLevel, w)
		log.With(zap.Any("token", token)).Info("Joins.", zap.Stringer("stringer", token), zap.Any("request", request{token}),
			zap.Any("pointer", &request{token}), zap.Reflect("reflect", token), zap.Any("list", []secret.Secret{token}),
			zap.Error(fmt.Errorf("token %v", token)))
	}
	all := fmt.Sprint(j.got, stderr.String())
	if strings.Contains(all, value) || !strings.Contains(j.got[0].Message, "token=***") {
		t.Errorf("the log has %s", all)
	}
}

func TestConsole(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	var stderr bytes.Buffer
	log := New(zapcore.InfoLevel, &stderr)
	log.Debug("Not shown.")
	log.Info("Found pi-aabbcc01.", zap.String("model", "Raspberry  Pi 4"))
	log.Named("mdns").Warn("Line one.\nLine two.", zap.Error(errors.New("a\nb")))
	want := regexp.MustCompile(`^\d\d:\d\d:\d\d Found pi-aabbcc01\. model="Raspberry  Pi 4"
\d\d:\d\d:\d\d WARN mdns: Line one\. Line two\. error="a\\nb"
$`)
	if !want.MatchString(stderr.String()) {
		t.Errorf("stderr has %q", stderr.String())
	}
}

func TestConsoleKeepsLinesWhole(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	var stderr bytes.Buffer
	log := New(zapcore.InfoLevel, &stderr).With(zap.String("shared", "x"))
	var all sync.WaitGroup
	const each = 100
	for i := range 8 {
		all.Go(func() {
			own := log.With(zap.Int("from", i))
			for n := range each {
				own.Info("Line.", zap.Int("n", n))
			}
		})
	}
	all.Wait()
	whole := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d Line\. shared=x from=\d n=\d+$`).FindAllString(stderr.String(), -1)
	if len(whole) != 8*each {
		t.Errorf("%d lines are whole, want %d", len(whole), 8*each)
	}
}
