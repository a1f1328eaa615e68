//go:build image

package image

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// stack is on the card of the first board before it is ever switched on.
const stack = `version: "3.8"
services:
  web:
    image: ` + lab.WebImage + `
    ports: ["8080:80"]
    volumes: ["/etc/hostname:/etc/hostname:ro"]
    deploy: {replicas: 2}
`

// class is a swarm of boards.
type class struct {
	*testing.T
	lab    *lab.Lab
	boards []*lab.Board
	// manager is the board on which the commands of Docker are typed.
	manager *lab.Board
}

// practise does with the boards what a class does. What a person would see is in the log of the test.
func (c class) practise() {
	began := time.Now()
	took := await(c.T, deployMax, func(ctx context.Context) error {
		out, err := c.manager.Exec(ctx, "journalctl -u pi-agent -o cat --no-pager")
		if err == nil && !strings.Contains(string(out), "Deployed stack stack") {
			err = errors.New("stack.yml is not deployed")
		}
		return err
	})
	c.Logf("stack.yml of the card is deployed %v later", took.Round(time.Second))
	for _, b := range c.boards { // in place of a registry
		lab.Must(c, b.LoadWeb(c.Context()))
	}
	c.answered(8080, 2)
	c.Logf("the stack answers %v after three were Ready", time.Since(began).Round(time.Second))

	c.named()
	c.show("docker node ls")
	c.show("docker service create --detach --no-resolve-image --name web --replicas 2 --publish 80:80 " +
		"--mount type=bind,src=/etc/hostname,dst=/etc/hostname,readonly " + lab.WebImage)
	c.tasks(2)
	c.answered(80, 2)
	for _, n := range []int{4, 2} {
		c.show(fmt.Sprintf("docker service scale --detach web=%d", n))
		c.tasks(n)
		c.answered(80, 2)
	}

	victim := c.workerWithTask()
	c.Logf("== the plug of %s is pulled", name(victim.Serial))
	pulled := time.Now()
	lab.Must(c, victim.PowerOff())
	c.state(victim, "Down")
	c.tasks(2)
	c.answered(80, 1)
	c.Logf("Down was noticed, and two tasks answer again, %v after the plug was pulled",
		time.Since(pulled).Round(time.Second))
	c.show("docker node ls")
	c.show("docker service ps web")
	lab.Must(c, victim.PowerOn())
	c.state(victim, "Ready")

	c.Log("== the power of all fails, and comes back; meanwhile managers = 3 is written to their cards")
	before := c.identity()
	for _, b := range c.boards {
		lab.Must(c, b.PowerOff())
		lab.Must(c, b.PutOnCard("pi-agent.toml", "managers = 3\n"))
	}
	back := time.Now()
	for _, b := range c.boards {
		lab.Must(c, b.PowerOn())
	}
	for _, b := range c.boards {
		c.state(b, "Ready")
	}
	c.answered(80, 1)
	c.answered(8080, 1)
	c.Logf("all are back, and both pages are answered, %v after the power came back", time.Since(back).Round(time.Second))
	if after := c.identity(); after != before {
		c.Errorf("the swarm and its nodes are\n%s\nbefore the power failed they were\n%s", after, before)
	}
	c.managers(back)
}

// managers does with three managers what a class does last: it pulls the plug of the first.
func (c class) managers(back time.Time) {
	first := c.boards[0]
	await(c.T, bootMax, func(ctx context.Context) error {
		return c.managed(ctx, "Leader", "Reachable", "Reachable")
	})
	c.Logf("three boards manage the swarm %v after the power came back", time.Since(back).Round(time.Second))
	c.show("docker node ls")

	c.Logf("== the plug of %s is pulled", name(first.Serial))
	pulled := time.Now()
	lab.Must(c, first.PowerOff())
	c.manager = c.boards[1]
	await(c.T, taskMax, func(ctx context.Context) error {
		return c.managed(ctx, "Leader", "Reachable", "Unreachable")
	})
	c.Logf("another board leads %v later", time.Since(pulled).Round(time.Second))
	c.state(first, "Down")
	c.show("docker service scale --detach web=3")
	c.tasks(3)
	c.answered(80, 2)
	c.answered(8080, 1)
	c.Logf("three tasks run on the other boards, and both pages are answered, %v after the plug was pulled",
		time.Since(pulled).Round(time.Second))
	c.show("docker node ls")
	back = time.Now()
	lab.Must(c, first.PowerOn())
	c.state(first, "Ready")
	await(c.T, taskMax, func(ctx context.Context) error {
		return c.managed(ctx, "Leader", "Reachable", "Reachable")
	})
	c.Logf("the first is a manager again %v after it was switched on", time.Since(back).Round(time.Second))
	c.show("docker node ls")
	c.show("pi-agent status || true")
}

// managed returns nil when the boards manage the swarm like that: what Docker calls each of them, sorted.
func (c class) managed(ctx context.Context, want ...string) error {
	out, err := c.manager.Exec(ctx, `docker node ls --format "{{.ManagerStatus}}"`)
	got := strings.Fields(string(out))
	slices.Sort(got)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("the managers are %q, want %q", got, want)
	}
	return err
}

// identity are the ids of the swarm and of its nodes, which the swarm keeps for as long as it lives.
func (c class) identity() string {
	c.Helper()
	out, err := c.manager.Exec(c.Context(),
		`docker info --format "{{.Swarm.Cluster.ID}}"; docker node ls --format "{{.ID}} {{.Hostname}}" | sort`)
	lab.Must(c, err)
	return string(out)
}

// named waits until every board finds the others by their names.
func (c class) named() {
	c.Helper()
	for _, b := range c.boards {
		for _, other := range c.boards {
			if other == b {
				continue
			}
			await(c.T, showMax, func(ctx context.Context) error {
				addr, err := other.Addr()
				if err != nil {
					return err
				}
				out, err := b.Exec(ctx, "getent hosts "+name(other.Serial)+".local")
				if err == nil && !slices.Contains(strings.Fields(string(out)), addr.String()) {
					err = fmt.Errorf("%s finds %s.local at %q, want %s", b.Name, name(other.Serial), out, addr)
				}
				return err
			})
		}
	}
}

// show runs a command on the board that manages the swarm, and has it and what it says in the log.
func (c class) show(command string) {
	c.Helper()
	out, err := c.manager.Exec(c.Context(), command)
	c.Logf("%s$ %s\n%s", name(c.manager.Serial), command, out)
	lab.Must(c, err)
}

// tasks waits until n tasks of service web run, all of them on boards that have power.
func (c class) tasks(n int) {
	c.Helper()
	await(c.T, taskMax, func(ctx context.Context) error {
		got, err := c.running(ctx)
		if err != nil {
			return err
		}
		for _, b := range c.boards {
			if !b.On() && slices.Contains(got, name(b.Serial)) {
				return fmt.Errorf("tasks run on %q, and %s has no power", got, name(b.Serial))
			}
		}
		if len(got) != n {
			return fmt.Errorf("tasks run on %q, want %d", got, n)
		}
		return nil
	})
}

// running are the names of the boards that run tasks of service web, one for each.
func (c class) running(ctx context.Context) (on []string, err error) {
	out, err := c.manager.Exec(ctx,
		`docker service ps web --filter desired-state=running --format "{{.Node}} {{.CurrentState}}"`)
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "Running" {
			on = append(on, f[0])
		}
	}
	return on, err
}

// workerWithTask is a board that runs a task of service web and is a worker. With two tasks there is one,
// for the swarm spreads them.
func (c class) workerWithTask() *lab.Board {
	c.Helper()
	on, err := c.running(c.Context())
	lab.Must(c, err)
	for _, b := range c.boards[1:] {
		if slices.Contains(on, name(b.Serial)) {
			return b
		}
	}
	c.Fatalf("no worker runs a task; they run on %q", on)
	return nil
}

// answered waits until the page is answered at every board that is on, whether it runs a task or not, by tasks on at
// least this many boards.
func (c class) answered(port uint16, boards int) {
	c.Helper()
	var all []string
	await(c.T, taskMax, func(context.Context) error {
		all = nil
		from := map[string]bool{}
		for _, b := range c.boards {
			if !b.On() {
				continue
			}
			addr, err := b.Addr()
			if err != nil {
				return err
			}
			for range 4 { // the routing mesh takes tasks in turn
				page, err := c.lab.Get(netip.AddrPortFrom(addr, port))
				if err != nil {
					return fmt.Errorf("%s: %w", b.Name, err)
				}
				board, _, ok := strings.Cut(strings.TrimPrefix(page, "hello from "), ",")
				if !ok || !slices.ContainsFunc(c.boards, func(b *lab.Board) bool { return name(b.Serial) == board }) {
					return fmt.Errorf("%s answers %q", b.Name, page)
				}
				from[board] = true
				all = append(all, fmt.Sprintf("http://%s:%d  %s", addr, port, page))
			}
		}
		if len(from) < boards {
			return fmt.Errorf("answers come from %d boards, want %d", len(from), boards)
		}
		return nil
	})
	c.Log(strings.Join(all, "\n"))
}

// state waits until the manager says that of a board's node.
func (c class) state(b *lab.Board, want string) {
	c.Helper()
	await(c.T, bootMax, func(ctx context.Context) error {
		out, err := c.manager.Exec(ctx, `docker node ls --filter name=`+name(b.Serial)+` --format "{{.Status}}"`)
		if got := strings.TrimSpace(string(out)); err == nil && got != want {
			err = fmt.Errorf("%s is %s, want %s", name(b.Serial), got, want)
		}
		return err
	})
}
