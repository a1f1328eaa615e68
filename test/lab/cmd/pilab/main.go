// Command pilab keeps a lab of virtual Pis running for people, who pull its plugs from the shell.
//
//	pilab up -n 3                  three Pis with engine and agent
//	pilab list                     every Pi of every lab
//	pilab log -f pi1               what its agent says
//	pilab exec pi1 -- docker node ls
//	pilab off pi1; pilab on pi1    power
//	pilab cut pi2; pilab mend pi2  network
//	pilab web                      load the demo image on every Pi
//	pilab down
//
// PI_LAB names the lab to use; the default is "demo".
package main

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pi-agent/pi-agent/test/lab"
)

const usage = `usage: pilab up [-n N] [-agent=false] [-engine=false] [-release SUITE] [-config LINES] [-serials A,B,...]
       pilab list | web | down
       pilab off|on|cut|mend|unplug|reflash NAME
       pilab log [-f] NAME [PROGRAM]
       pilab exec NAME -- COMMAND...
PI_LAB=ID selects a lab other than "demo", PI_AGENT=PATH an agent other than the one built from this module.
`

var errUsage = errors.New("wrong arguments")

func main() {
	err := run(os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "pilab:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	id := os.Getenv("PI_LAB")
	if id == "" {
		id = "demo"
	}
	if len(args) == 0 {
		return errUsage
	}
	verb, args := args[0], args[1:]
	switch {
	case verb == "up":
		return up(id, args)
	case verb == "hold":
		return hold(id, args)
	case verb == "list" && len(args) == 0:
		return list()
	case verb == "down" && len(args) == 0:
		return down(id)
	case verb == "web" && len(args) == 0:
		return call(id, "Web", "", nil)
	case slices.Contains([]string{"off", "on", "cut", "mend", "unplug", "reflash"}, verb) && len(args) == 1:
		return call(id, strings.ToUpper(verb[:1])+verb[1:], args[0], nil)
	case verb == "log" && len(args) > 0:
		return showLog(id, args)
	case verb == "exec" && len(args) > 2 && args[1] == "--":
		return execute(id, args[0], args[2:])
	}
	return errUsage
}

// call asks the holder of the lab to do something.
func call(id, method, pi string, reply any) error {
	client, err := rpc.Dial("unix", socket(id))
	if err != nil {
		return fmt.Errorf("lab %s is not up: %w", id, err)
	}
	defer client.Close()
	if reply == nil {
		reply = new(struct{})
	}
	return client.Call("Control."+method, pi, reply)
}

func down(id string) error {
	if err := call(id, "Down", "", nil); err != nil {
		return err
	}
	return lab.AwaitEnd(id)
}

func list() error {
	sockets, err := filepath.Glob(socket("*"))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAB\tNAME\tPOWER\tSERIAL\tADDRESS\tRUNNING")
	for _, path := range sockets {
		id := filepath.Base(filepath.Dir(path))
		var rows []Row
		if err := call(id, "List", "", &rows); err != nil {
			fmt.Fprintf(w, "%s\t(%v)\n", id, err)
			continue
		}
		for _, r := range rows {
			power := "off"
			if r.On {
				power = "on"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", id, r.Name, power, r.Serial, r.Addr, strings.Join(r.Running, " "))
		}
	}
	return w.Flush()
}

func showLog(id string, args []string) error {
	argv := []string{"tail", "-n", "+1"}
	if args[0] == "-f" {
		argv, args = append(argv, "-F"), args[1:]
	}
	program := "pi-agent"
	switch len(args) {
	case 1:
	case 2:
		program = args[1]
	default:
		return errUsage
	}
	return attachTerminal(exec.Command(argv[0], append(argv[1:], lab.LogPath(id, args[0], program))...)).Run()
}

func execute(id, pi string, argv []string) error {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // the program gets it from the keyboard as well, and decides
	cmd, err := lab.Attach(context.Background(), id, pi, argv...)
	if err != nil {
		return err
	}
	attachTerminal(cmd.Cmd)
	return cmd.Run()
}

func attachTerminal(cmd *exec.Cmd) *exec.Cmd {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}
