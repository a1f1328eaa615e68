package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	settings := filepath.Join(t.TempDir(), "pi-agent.toml")
	if err := os.WriteFile(settings, []byte("expect = 3\nsettel = \"15s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, key := filepath.Join(t.TempDir(), "good.toml"), filepath.Join(t.TempDir(), "key")
	for path, text := range map[string]string{good: "serial = \"10000000aabbcc01\"\n", key: "Himbeere\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.toml")
	versions := "pi-agent devel " + runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version() + "\n"

	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string // how they begin; empty for nothing at all
	}{
		{"no command", nil, 2, "", usage()},
		{"unknown command", []string{"start"}, 2, "", "pi-agent: there is no command \"start\"\n\n" + usage()},
		{"help", []string{"help"}, 0, usage(), ""},
		{"-h", []string{"-h"}, 0, usage(), ""},
		{"--help", []string{"--help"}, 0, usage(), ""},
		{"version", []string{"version"}, 0, versions, ""},
		{"--version", []string{"--version"}, 0, versions, ""},
		{"version of what", []string{"version", "docker"}, 2, "", "pi-agent version: unexpected argument \"docker\"\n"},
		{"options of version", []string{"version", "-h"}, 0, "", "Usage of pi-agent version:\n"},
		{"options of run", []string{"run", "-h"}, 0, "", "Usage of pi-agent run:\n  -config file\n"},
		{"unknown option", []string{"run", "--conf"}, 2, "",
			"flag provided but not defined: -conf\nUsage of pi-agent run:\n"},
		{"option without value", []string{"run", "--config"}, 2, "", "flag needs an argument: -config\n"},
		{"run what", []string{"run", "now"}, 2, "", "pi-agent run: unexpected argument \"now\"\n"},
		{"wrong settings", []string{"run", "--state", state, "--config", settings}, 1, "",
			"pi-agent: " + settings + ":2: there is no setting \"settel\"; there are expect, settle"},
		{"options of pair", []string{"pair", "-h"}, 0, "", "Usage of pi-agent pair:\n  -socket file\n"},
		{"pair what", []string{"pair", "x"}, 2, "", "pi-agent pair: unexpected argument \"x\"\n"},
		{"pair without an agent", []string{"pair", "--socket", missing}, 1, "",
			"pi-agent: the agent does not answer, is it running? \"sudo systemctl restart pi-agent\" starts it anew: "},
		{"options of reset", []string{"reset", "-h"}, 0, "", "Usage of pi-agent reset:\n  -socket file\n"},
		{"reset what", []string{"reset", "now"}, 2, "", "pi-agent reset: unexpected argument \"now\"\n"},
		{"reset without an agent", []string{"reset", "-yes", "-socket", missing}, 1, "",
			"pi-agent: the agent does not answer, is it running? \"sudo systemctl restart pi-agent\" starts it anew: "},
		{"options of yield", []string{"yield", "-h"}, 0, "", "Usage of pi-agent yield:\n  -socket file\n"},
		{"yield what", []string{"yield", "a", "b"}, 2, "", "pi-agent yield: unexpected argument \"b\"\n"},
		{"yield without an agent", []string{"yield", "--socket", missing}, 1, "",
			"pi-agent: the agent does not answer, is it running? \"sudo systemctl restart pi-agent\" starts it anew: "},
		{"options of status", []string{"status", "-h"}, 0, "", "Usage of pi-agent status:\n  -config file\n"},
		{"status of what", []string{"status", "x"}, 2, "", "pi-agent status: unexpected argument \"x\"\n"},
		{"key", []string{"key"}, 2, "", "Usage of pi-agent key:\n  pi-agent key new\n"},
		{"options of key", []string{"key", "-h"}, 0, "", "Usage of pi-agent key:\n"},
		{"key old", []string{"key", "old"}, 2, "", "pi-agent key: unexpected argument \"old\"\n"},
		{"key new what", []string{"key", "new", "x"}, 2, "", "pi-agent key: unexpected argument \"x\"\n"},
		{"wrong key", []string{"run", "--state", state, "--config", good, "--key", key}, 1, "",
			"pi-agent: the cluster key in " + key +
				" is not usable: it has 8 characters: give a key as \"pi-agent key new\" prints it"},
		{"no key where it should be", []string{"run", "--state", state, "--config", good, "--key", missing}, 1, "",
			"pi-agent: read the cluster key: open " + missing + ": no such file"},
		{"no settings where they should be", []string{"run", "--state", state, "--config", missing}, 1, "",
			"pi-agent: read settings: open " + missing + ": no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // so that an agent that starts by mistake ends at once
			var stdout, stderr bytes.Buffer
			if got := run(ctx, tt.args, &stdout, &stderr); got != tt.status {
				t.Errorf("exit status is %d, want %d", got, tt.status)
			}
			begins(t, "stdout", stdout.String(), tt.stdout)
			begins(t, "stderr", stderr.String(), tt.stderr)
		})
	}
	if _, err := os.Stat(state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was kept in %s by an agent that should not have started: %v", state, err)
	}
}

func begins(t *testing.T, stream, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) || want == "" && got != "" {
		t.Errorf("%s is %q, want %q", stream, got, want)
	}
}

func TestUsageNamesEveryCommand(t *testing.T) {
	for _, c := range commands {
		if !strings.Contains(usage(), "\n  "+c.name+" ") || !strings.Contains(usage(), c.summary) {
			t.Errorf("usage lacks %s:\n%s", c.name, usage())
		}
	}
}
