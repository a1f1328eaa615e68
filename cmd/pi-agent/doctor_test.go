package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
)

// On a machine without agent and engine the doctor finds that, and looks at the rest.
func TestDoctor(t *testing.T) {
	none := filepath.Join(t.TempDir(), "agent.sock")
	config := settingsIn(t, "")
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"doctor", "-socket", none, "-config", config}, &stdout,
		&stderr); got != int(statusTrouble) {
		t.Errorf("exit status %d, want %d; stderr %q", got, statusTrouble, stderr.String())
	}
	for _, want := range []string{
		"FAIL  agent ", "-> sudo systemctl restart pi-agent", "FAIL  engine ", "-> sudo systemctl start docker", "  disk  ", " failed, ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout.String())
		}
	}
	socket := showing(t, func() picture.Picture { return picture.Picture{Doing: say.Words("This board is a worker.")} })
	stdout.Reset()
	_ = run(t.Context(), []string{"doctor", "-json", "-socket", socket, "-config", config}, &stdout, &stderr)
	var got struct {
		Version int
		Results []doctor.Result
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.Version != 1 {
		t.Fatalf("%v, version %d", err, got.Version)
	}
	if r := got.Results[0]; r.Check != "agent" || r.Verdict != doctor.Pass || r.Text != "This board is a worker." {
		t.Errorf("%+v", r)
	}
}

// Each command that helps is told before it is run, once, and one that fails keeps the others from nothing.
func TestMend(t *testing.T) {
	var log strings.Builder
	var ran []string
	all := []doctor.Result{
		{Check: "agent", Verdict: doctor.Fail, Fix: []string{"false", "agent"}},
		{Check: "disk", Verdict: doctor.Fail},
		{Check: "clock", Verdict: doctor.Warn, Fix: []string{"true", "clock"}},
		{Check: "clock", Verdict: doctor.Warn, Fix: []string{"true", "clock"}},
	}
	found := mend(t.Context(), all, &log, func(_ context.Context, argv []string) error {
		if !strings.Contains(log.String(), "running "+strings.Join(argv, " ")) {
			t.Errorf("%v was run and not told", argv)
		}
		ran = append(ran, argv[1])
		if argv[0] == "false" {
			return errors.New("it did not work")
		}
		return nil
	})
	if !found || !slices.Equal(ran, []string{"agent", "clock"}) ||
		!strings.Contains(log.String(), "agent: it did not work") {
		t.Errorf("ran %v: %s", ran, log.String())
	}
	if mend(t.Context(), all[1:2], &log, nil) {
		t.Error("something is said to have been done")
	}
	if err := runFix(t.Context(), []string{"sh", "-c", "echo why; exit 1"}); err == nil ||
		!strings.Contains(err.Error(), "why") {
		t.Errorf("a command that fails: %v", err)
	}
	if err := runFix(t.Context(), []string{"true"}); err != nil {
		t.Error(err)
	}
}
