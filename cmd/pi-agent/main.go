// Command pi-agent makes one Docker Swarm of the Raspberry Pis on a LAN, by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one word of the command line.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var commands = []command{
	{"run", "find the other boards and keep this one in the swarm (what the service runs)", runCommand},
	{"status", "show the boards, the swarm and its services, and what is wrong with them", statusCommand},
	{"doctor", "look for what is wrong with this board, and say what helps (with sudo it sees more)", doctorCommand},
	{"key", "print a new cluster key, or set the one of this board: pi-agent key new, pi-agent key set", keyCommand},
	{"pair", "without a cluster key: let new boards in for a while, and follow another manager (with sudo)", pairCommand},
	{"reset", "take this board out of its swarm, a manager too (with sudo)", resetCommand},
	{"yield", "of two swarms give up the one that this board manages: pi-agent yield SWARM-ID (with sudo)", yieldCommand},
	{"prepare",
		"give this board its own name, a clock that is not in the past, and its user docker without sudo (as root, at " +
			"boot)", prepareCommand},
	{"version", "print the version", versionCommand},
}

// errUsage is a mistake on the command line that has been explained already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run does what args say and returns the exit status: 2 after a mistake on the command line, an exitStatus as the
// command has it, 1 after any other error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	var verdict exitStatus
	if errors.As(err, &verdict) {
		return int(verdict)
	}
	_, _ = fmt.Fprintln(stderr, "pi-agent:", err)
	return 1
}

// dispatch runs the command that args name.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		_, _ = fmt.Fprint(stderr, usage())
		return errUsage
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		_, err := fmt.Fprint(stdout, usage())
		return err
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	_, _ = fmt.Fprintf(stderr, "pi-agent: there is no command %q\n\n%s", name, usage())
	return errUsage
}

func usage() string {
	var b strings.Builder
	b.WriteString("pi-agent makes one Docker Swarm of the Raspberry Pis on a LAN, by itself.\n\nUsage: pi-agent COMMAND " +
		"[OPTION ...]\n\nCommands:\n")
	for _, c := range commands {
		_, _ = fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary) // a strings.Builder does not fail
	}
	b.WriteString("\n\"pi-agent COMMAND -h\" lists the options of a command.\n")
	return b.String()
}

// parse reads the options of a command, which takes no other arguments. The error is errUsage or flag.ErrHelp.
func parse(fs *flag.FlagSet, args []string) error {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	if fs.NArg() > 0 {
		_, _ = fmt.Fprintf(fs.Output(), "%s: unexpected argument %q\n", fs.Name(), fs.Arg(0))
		return errUsage
	}
	return nil
}
