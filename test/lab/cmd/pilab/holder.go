package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/pi-agent/pi-agent/test/lab"
)

// socket is where the holder of a lab listens for the other commands.
func socket(id string) string { return filepath.Join(lab.Base(), id, "control") }

// up starts the holder in the background and returns when the lab is up.
func up(id string, args []string) error {
	if _, err := parse(id, args); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", append([]string{"hold"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	trouble, err := io.ReadAll(said) // ends when the holder has the lab up, or is dead
	if err != nil {
		return err
	}
	if len(trouble) > 0 {
		return errors.Join(errors.New(strings.TrimSpace(string(trouble))), cmd.Wait())
	}
	return list()
}

type settings struct {
	options       lab.Options
	engine, agent bool
	release       string
}

func parse(id string, args []string) (settings, error) {
	s := settings{options: lab.Options{ID: id}}
	f := flag.NewFlagSet("up", flag.ContinueOnError)
	f.IntVar(&s.options.N, "n", 3, "number of Pis")
	f.BoolVar(&s.engine, "engine", true, "start the engine at power on")
	f.BoolVar(&s.agent, "agent", true, "start the agent at power on")
	f.StringVar(&s.release, "release", "", "Debian `suite` to take the engine from, such as trixie")
	f.StringVar(&s.options.Config, "config", "", "further `lines` of every pi-agent.toml")
	serials := f.String("serials", "", "serials of pi1, pi2, ..., separated by commas")
	if err := f.Parse(args); err != nil || f.NArg() > 0 {
		return s, errUsage
	}
	if *serials != "" {
		s.options.Serials = strings.Split(*serials, ",")
	}
	return s, nil
}

// hold keeps the lab until it is asked to let go. It closes standard output when the lab is up.
func hold(id string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := parse(id, args)
	if err != nil {
		return err
	}
	if s.release != "" {
		if s.options.Engine, err = lab.FetchEngine(ctx, s.release); err != nil {
			return tell(err)
		}
	}
	l, err := lab.Start(s.options)
	if err != nil {
		return tell(err)
	}
	if err := serve(ctx, stop, l, s); err != nil {
		return errors.Join(tell(err), l.Close())
	}
	return l.Close()
}

// tell hands an error to the command that started the holder.
func tell(err error) error {
	fmt.Println(err)
	return err
}

func serve(ctx context.Context, stop func(), l *lab.Lab, s settings) error {
	c := &Control{lab: l, settings: s, stop: stop}
	for _, p := range l.Pis {
		if err := c.start(p); err != nil {
			return err
		}
	}
	for _, p := range l.Pis {
		if !s.engine {
			break
		}
		if err := p.WaitEngine(ctx); err != nil {
			return err
		}
	}
	listener, err := net.Listen("unix", socket(l.ID))
	if err != nil {
		return err
	}
	defer listener.Close()
	server := rpc.NewServer()
	if err := server.Register(c); err != nil {
		return err
	}
	go server.Accept(listener)
	if err := os.Stdout.Close(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Control is what the other commands ask of the holder. Every method takes the name of a Pi.
type Control struct {
	lab      *lab.Lab
	settings settings
	stop     func()
	mu       sync.Mutex
}

// Row is one line of the list.
type Row struct {
	Name, Serial, Addr string
	On                 bool
	Running            []string
}

// start does what the boot of a real Pi does.
func (c *Control) start(p *lab.Pi) error {
	if c.settings.engine {
		if err := p.StartEngine(); err != nil {
			return err
		}
	}
	if c.settings.agent {
		return p.StartAgent()
	}
	return nil
}

func (c *Control) with(name string, do func(*lab.Pi) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.lab.Pi(name)
	if p == nil {
		return fmt.Errorf("there is no %q in lab %s", name, c.lab.ID)
	}
	return do(p)
}

// On turns the power on.
func (c *Control) On(name string, _ *struct{}) error {
	return c.with(name, func(p *lab.Pi) error {
		if err := p.PowerOn(); err != nil {
			return err
		}
		return c.start(p)
	})
}

// Off pulls the plug.
func (c *Control) Off(name string, _ *struct{}) error { return c.with(name, (*lab.Pi).PowerOff) }

// Cut makes packets vanish.
func (c *Control) Cut(name string, _ *struct{}) error { return c.with(name, (*lab.Pi).Cut) }

// Unplug pulls the network cable.
func (c *Control) Unplug(name string, _ *struct{}) error { return c.with(name, (*lab.Pi).Unplug) }

// Mend undoes Cut and Unplug.
func (c *Control) Mend(name string, _ *struct{}) error { return c.with(name, (*lab.Pi).Mend) }

// Reflash pulls the plug and puts a new card in.
func (c *Control) Reflash(name string, _ *struct{}) error { return c.with(name, (*lab.Pi).Reflash) }

// Web loads the demo image on every Pi.
func (c *Control) Web(_ string, _ *struct{}) error { return c.lab.LoadWeb(context.Background()) }

// List tells about every Pi.
func (c *Control) List(_ string, rows *[]Row) error {
	for _, p := range c.lab.Pis {
		*rows = append(*rows, Row{
			Name: p.Name, Serial: p.Serial, Addr: p.Addr.String(), On: p.On(), Running: p.Running(),
		})
	}
	return nil
}

// Down ends the lab.
func (c *Control) Down(_ string, _ *struct{}) error {
	c.stop()
	return nil
}
