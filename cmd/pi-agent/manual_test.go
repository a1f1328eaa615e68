package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/control"
	"github.com/pi-agent/pi-agent/internal/stacks"
)

var update = flag.Bool("update", false, "write the manual pages and the completion in packaging/ anew")

// TestManual compares what is made from the table of commands, their options and the settings with what is in
// packaging/.
func TestManual(t *testing.T) {
	for path, want := range map[string]string{
		"../../packaging/pi-agent.8":      programPage(t),
		"../../packaging/pi-agent.toml.5": settingsPage(t),
		"../../packaging/pi-agent.bash":   completion(t),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s differs from the program; go test ./cmd/pi-agent -update writes it (-want +got):\n%s", path, diff)
		}
	}
}

// option is one of a command, as its -h tells.
type option struct{ name, value, text string }

var optionLine = regexp.MustCompile(`(?m)^  -(\S+)(?: (\S+))?\n    \t(.+)$`)

func optionsOf(t *testing.T, c command) (all []option) {
	t.Helper()
	var help bytes.Buffer
	if status := run(t.Context(), []string{c.name, "-h"}, &help, &help); status != 0 {
		t.Fatalf("%s -h: status %d", c.name, status)
	}
	for _, m := range optionLine.FindAllStringSubmatch(help.String(), -1) {
		all = append(all, option{m[1], m[2], m[3]})
	}
	if want := strings.Count(help.String(), "\n  -"); len(all) != want {
		t.Fatalf("found %d options of %d in\n%s", len(all), want, help.String())
	}
	return all
}

// roff escapes what the formatter would not print as it is.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	return regexp.MustCompile(`(?m)^([.'])`).ReplaceAllString(text, `\&$1`)
}

const generated = ".\\\" Written by go test ./cmd/pi-agent -update.\n"

func programPage(t *testing.T) string {
	var b strings.Builder
	b.WriteString(generated + `.TH PI-AGENT 8 "" pi-agent "System Manager's Manual"
.SH NAME
pi-agent \- makes one Docker Swarm of the Raspberry Pis on a LAN, by itself
.SH SYNOPSIS
.B pi-agent
.I COMMAND
.RI [ OPTION " ...]"
.SH DESCRIPTION
The service announces its board on the local network and finds the others.
Once no new board has appeared for a while, the board with the lowest serial number makes the swarm and the others join it.
A board that comes later joins what is there.
.PP
The agent gives up no swarm that holds a service, a secret, a config or another node unless a person says so.
An empty one yields to another swarm of its cluster, and a worker whose manager is gone for good moves to the swarm that there is.
What the swarm of an only manager held is lost with its card, and a worker that moves stops its containers.
Stopping the agent, or removing its package, stops nothing but the agent.
.PP
.B journalctl \-u pi-agent
tells what it does and what it waits for, and
.B systemctl status pi-agent
where it stands.
.SH COMMANDS
`)
	for _, c := range commands {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(c.name), roff(c.summary))
		for _, o := range optionsOf(t, c) {
			fmt.Fprintf(&b, ".RS\n.TP\n.BI \\-%s \" %s\"\n%s.\n.RE\n", roff(o.name), roff(o.value), roff(o.text))
		}
	}
	b.WriteString(`.SH EXIT STATUS
0 when all is well, 2 after a mistake on the command line, 1 after any other error.
.PP
.B status
ends with 3 when something needs a person, such as a board that is down or not in the swarm, or a service that lacks tasks, and with 4 when the agent does not run, or hangs.
What it only advises, such as more managers, is well.
.B doctor
ends with 3 when a check failed.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
The default of
.BR \-state ,
as systemd sets it.
.SH FILES
.TP
.I ` + config.Path + `
The settings, see
.BR pi-agent.toml (5).
.TP
.I ` + strings.Join(bootfile.Settings.Paths(), "\n.TQ\n.I ") + `
Settings on the boot partition, which any computer can write after flashing a card.
The first file that is there wins over the one in /etc.
Here and below neither case nor an ending .txt that an editor has added matters.
Of two that differ none counts, and the board does nothing until one is taken away.
.TP
.I ` + clusterkey.Path + `
The cluster key, for the agent only (mode 0600).
.TP
.I ` + strings.Join(bootfile.Key.Paths(), "\n.TQ\n.I ") + `
A cluster key on the boot partition, which is moved to the file above at the next boot, in place of the one there.
.TP
.I ` + stacks.Dir + `/*.yml
.TQ
.I ` + strings.Join(bootfile.Stack.Paths(), "\n.TQ\n.I ") + `
Compose files, which the manager deploys and updates: NAME.yml is stack NAME.
Of those on the boot partition the first counts; it may be called compose.yaml or docker\-compose.yml as well.
.TP
.I ` + control.Path + `
Where the agent listens for commands of root and group pi-agent.
.TP
.I ` + filepath.Join(filepath.Dir(control.Path), control.StatusName) + `
Where it shows the picture of the cluster to everybody on the board.
.TP
.I /run/pi-agent/issue
.TQ
.I /run/pi-agent/motd
What a monitor shows above the login, and a login over ssh: where the board stands, and the address of its page.
.TP
.I /var/lib/pi-agent/state.json
What must survive a power cut.
.SH SECURITY
Whoever may use the Docker Engine's socket is root on the board in all but name.
That holds for the agent, and for every member of group docker.
.PP
Whoever has the cluster key may join the swarm, and lead boards that are in none.
Without one, every machine on the network may do so when the boards first meet.
.SH SEE ALSO
.BR pi-agent.toml (5),
.BR docker-swarm (1),
.BR journalctl (1)
`)
	return b.String()
}

// settingsPage is made of the reference file: a first paragraph about the file itself, then one for each setting, whose
// last line is the setting with its default.
func settingsPage(t *testing.T) string {
	var b strings.Builder
	b.WriteString(generated + `.TH PI-AGENT.TOML 5 "" pi-agent "File Formats Manual"
.SH NAME
pi-agent.toml \- settings of pi\-agent
.SH SYNOPSIS
.I ` + config.Path + `
.br
.I ` + strings.Join(bootfile.Settings.Paths(), "\n.br\n.I ") + `
.SH DESCRIPTION
The file is TOML, with a line
.IB KEY " = " VALUE
for each setting.
All settings are optional.
Of those on the boot partition, the first file that is there wins over the one in /etc, key by key.
After a change, restart the service:
.BR "systemctl restart pi\-agent" .
.PP
A key that is not known, or a value that is not possible, is told with file, line and remedy.
In /etc it keeps the agent from starting.
On the boot partition it keeps the agent from doing anything but saying so, in its own journal and through the other boards.
.SH SETTINGS
`)
	paragraphs := strings.Split(strings.TrimSpace(config.Reference), "\n\n")[1:]
	for _, p := range paragraphs {
		at := strings.LastIndex(p, "\n#")
		if at < 0 {
			t.Fatalf("the reference file has a paragraph without a setting:\n%s", p)
		}
		doc := strings.ReplaceAll(p[:at], "\n# ", "\n")
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(p[at+len("\n#"):]), roff(strings.TrimPrefix(doc, "# ")))
	}
	b.WriteString(`.SH SEE ALSO
.BR pi-agent (8)
`)
	return b.String()
}

func completion(t *testing.T) string {
	var names []string
	var cases strings.Builder
	for _, c := range commands {
		names = append(names, c.name)
		var options []string
		for _, o := range optionsOf(t, c) {
			options = append(options, "-"+o.name)
		}
		if c.name == "key" {
			fmt.Fprintf(&cases, "\t\"2 %s\") words=%q ;;\n", c.name, "new set")
		}
		if len(options) > 0 {
			fmt.Fprintf(&cases, "\t*\" %s\") words=%q ;;\n", c.name, strings.Join(options, " "))
		}
	}
	return `# Completion of pi-agent for bash. Written by go test ./cmd/pi-agent -update.

_pi_agent() {
	local words=
	case "$COMP_CWORD ${COMP_WORDS[1]}" in
	"1 "*) words="` + strings.Join(names, " ") + `" ;;
` + cases.String() + `	esac
	local typed="${COMP_WORDS[COMP_CWORD]}"
	case "$typed" in
	--*) words="${words//-/--}" ;; # two dashes do as well
	esac
	COMPREPLY=($(compgen -W "$words" -- "$typed"))
}
# After an option, and where there is nothing to propose, a file or a directory.
complete -o bashdefault -o default -F _pi_agent pi-agent
`
}

// TestCompletion asks bash.
func TestCompletion(t *testing.T) {
	for typed, want := range map[string]string{
		"":                   "run status doctor key pair reset yield prepare version",
		"pre":                "prepare",
		"status -":           "-config -json -socket -watch",
		"start":              "",
		"run ":               "-config -key -socket -stacks -state",
		"run -s":             "-socket -stacks -state",
		"run -config f -sta": "-stacks -state",
		"run --s":            "--socket --stacks --state",
		"key ":               "new set",
		"key s":              "set",
		"key set ":           "",
		"version ":           "",
	} {
		words := strings.Split("pi-agent "+typed, " ")
		script := `. ../../packaging/pi-agent.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pi_agent; echo "${COMPREPLY[@]}"`
		out, err := exec.Command("bash", append([]string{"-uc", script, "bash"}, words...)...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %v, bash proposes %q, want %q", typed, err, got, want)
		}
	}
}
