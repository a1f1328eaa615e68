package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pi-agent/pi-agent/internal/control"
)

// resetCommand takes this board out of its swarm.
func resetCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("pi-agent reset", flag.ContinueOnError)
	fs.SetOutput(stderr)
	socket := fs.String("socket", control.Path, "`file` on which the agent listens")
	swarm := fs.String("swarm", "", "`id` of the swarm that may end, when this board is its only manager")
	yes := fs.Bool("yes", false, "do not ask")
	if err := parse(fs, args); err != nil {
		return err
	}
	if !*yes {
		const question = "This board leaves its swarm: its containers end, and it forgets whom it trusts. Go on? [y/N] "
		if err := confirm(os.Stdin, stdout, question); err != nil {
			return err
		}
	}
	text, err := control.Reset(ctx, *socket, *swarm)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}

// confirm asks a question, and returns an error unless the answer is yes.
func confirm(in io.Reader, out io.Writer, question string) error {
	if _, err := fmt.Fprint(out, question); err != nil {
		return err
	}
	answer, err := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil && answer == "" || answer != "y" &&
		answer != "yes" {
		return errors.New("nothing was done; -yes goes on without asking")
	}
	return nil
}
