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
	{"version", "print the version", versionCommand},
}

// errUsage is a mistake on the command line that has been explained already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "pi-agent:", err)
		os.Exit(1)
	}
}

// dispatch runs the command that args name.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		_, _ = fmt.Fprint(stderr, usage())
		return errUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		_, err := fmt.Fprint(stdout, usage())
		return err
	case "-version", "--version":
		args[0] = "version"
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	_, _ = fmt.Fprintf(stderr, "pi-agent: there is no command %q\n\n%s", args[0], usage())
	return errUsage
}

func usage() string {
	var b strings.Builder
	b.WriteString("pi-agent makes one Docker Swarm of the Raspberry Pis on a LAN, by itself.\n\nUsage: pi-agent COMMAND [OPTION ...]\n\nCommands:\n")
	for _, c := range commands {
		_, _ = fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary) // a strings.Builder does not fail
	}
	b.WriteString("\n\"pi-agent COMMAND -h\" lists the options of a command.\n")
	return b.String()
}

// parse reads the options of a command, which takes no other arguments.
func parse(fs *flag.FlagSet, args []string) error {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	if fs.NArg() > 0 {
		_, _ = fmt.Fprintf(fs.Output(), "pi-agent %s: unexpected argument %q\n", fs.Name(), fs.Arg(0))
		return errUsage
	}
	return nil
}
