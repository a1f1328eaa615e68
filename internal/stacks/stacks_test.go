package stacks

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// card is a board with Compose files, and with a docker command that only takes note.
type card struct {
	t     *testing.T
	r     *Runner
	dir   string
	boot  string
	kept  map[string]Mark
	lines *observer.ObservedLogs
	stop  context.CancelFunc

	mu    sync.Mutex
	place Place
	bad   error    // what Docker answers
	ran   []string // what it was told, each time
}

func newCard(t *testing.T) *card {
	c := &card{t: t, dir: t.TempDir(), boot: filepath.Join(t.TempDir(), "stack.yml")}
	c.place = Place{Swarm: "s1", Leads: true, Calm: time.Now().Add(-calmMin)}
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

// start starts the agent, after a restart with what was kept.
func (c *card) start() {
	core, lines := observer.New(zap.InfoLevel)
	c.lines = lines
	ctx, stop := context.WithCancel(c.t.Context())
	r := &Runner{
		Dir: c.dir, Boot: []string{filepath.Join(c.dir, "none"), filepath.Dir(c.boot)},
		Docker: func(_ context.Context, args ...string) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ran = append(c.ran, strings.Join(args, " "))
			return c.bad
		},
		Place: func() Place {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.place
		},
		Marks: maps.Clone(c.kept),
		Remember: func(marks map[string]Mark) error {
			c.kept = maps.Clone(marks)
			return nil
		},
		Log: zap.New(core),
	}
	c.r = r
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			c.t.Error(err)
		}
	}()
	c.stop = func() { stop(); <-ended }
}

func (c *card) write(path, text string) {
	c.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// wait lets time pass, and returns the stacks that were deployed meanwhile.
func (c *card) wait(d time.Duration) []string {
	time.Sleep(d) // virtual
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	ran := c.ran
	c.ran = nil
	return ran
}

// set changes where the board stands.
func (c *card) set(change func(*Place)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.place)
}

// answer changes what Docker says.
func (c *card) answer(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bad = err
}

func (c *card) said() string {
	var all []string
	for _, e := range c.lines.TakeAll() {
		all = append(all, e.Message)
	}
	return strings.Join(all, "\n")
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, slices.Clip(got)); diff != "" {
		t.Errorf("deployed (-want +got):\n%s", diff)
	}
}

func TestRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		web := filepath.Join(c.dir, "web.yml")
		c.set(func(p *Place) { p.Calm = time.Now() })
		c.write(web, "one")
		c.write(filepath.Join(c.dir, "notes.txt"), "no stack")
		want(t, c.wait(calmMin-time.Second))
		deploy := "stack deploy --compose-file " + web + " web"
		want(t, c.wait(pace+time.Second), deploy)
		if got := c.said(); got != "Deployed stack web from "+web+"." {
			t.Errorf("said %q", got)
		}
		want(t, c.wait(time.Hour)) // nothing has changed

		c.stop()
		c.start()
		want(t, c.wait(time.Minute)) // nor after a restart

		c.set(func(p *Place) { p.Calm = time.Now() }) // who edits a file does not wait for anything
		c.write(web, "two")
		want(t, c.wait(2*pace), deploy)

		c.write(c.boot, "boot")
		c.write(filepath.Join(c.dir, "stack.yml"), "hidden")
		c.set(func(p *Place) { p.Calm = time.Time{} })
		want(t, c.wait(2*pace), "stack deploy --compose-file "+c.boot+" stack")

		c.set(func(p *Place) { p.Swarm = "s2" })
		c.said()
		want(t, c.wait(2*pace), "stack deploy --compose-file "+c.boot+" stack", deploy)
	})
}

func TestRefusedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.answer(errors.New("services.web.ports must be a list"))
		c.write(c.boot, "services:\n  web:\n    ports: 80\n")
		if got := c.wait(time.Hour); len(got) < 5 || len(got) > 12 {
			t.Errorf("tried %d times within an hour", len(got))
		}
		if got, want := c.said(), "Stack stack is not deployed: "+c.boot+":3: services.web.ports must be a list."; got != want {
			t.Errorf("said %q, want %q once", got, want)
		}
		c.answer(nil)
		c.write(c.boot, "services: {}")
		want(t, c.wait(2*pace), "stack deploy --compose-file "+c.boot+" stack")
	})
}

// What is wrong is known for as long as it is, whatever was said of it before.
func TestProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		check := func(when string, want ...string) {
			t.Helper()
			if got := c.r.Problems(); !slices.Equal(got, want) {
				t.Errorf("%s: the problems are %q, want %q", when, got, want)
			}
		}
		set := func(leads bool) { c.set(func(p *Place) { p.Leads = leads }) }
		check("at the start")
		bad := "Stack stack is not deployed: " + c.boot + ":3: services.web.ports must be a list."
		broken := "services:\n  web:\n    ports: 80\n"
		c.answer(errors.New("services.web.ports must be a list"))
		c.write(c.boot, broken)
		c.wait(2 * pace)
		check("a broken file", bad)
		c.set(func(p *Place) { p.Calm = time.Now() })
		c.wait(pace)
		check("a board comes", bad)
		c.wait(time.Hour)
		check("it is tried again and again", bad)

		set(false)
		c.wait(pace)
		check("another board leads")
		set(true)
		c.write(c.boot, broken+"#\n") // the other one would have deployed the old one
		c.wait(2 * pace)
		check("this one leads again", bad)
		c.said()
		c.set(func(p *Place) { *p = Place{} })
		c.wait(pace)
		check("a worker")
		c.set(func(p *Place) { *p = Place{Swarm: "s1", Leads: true} })
		c.wait(pace)
		check("a manager again", bad)
		if got := c.said(); got != "" {
			t.Errorf("said %q, which it had said before", got)
		}

		if err := os.Remove(c.boot); err != nil {
			t.Fatal(err)
		}
		c.wait(pace)
		check("the file is gone")
		c.write(c.boot, broken)
		c.wait(2 * pace)
		check("it is there again", bad)
		c.answer(nil)
		c.write(c.boot, "services: {}")
		c.wait(2 * pace)
		check("it is put right")
		c.answer(errors.New("services.web.ports must be a list"))
		c.write(c.boot, broken)
		c.wait(2 * pace)
		check("it is broken anew", bad)
		c.write(c.boot, "services: {}")
		c.wait(2 * pace)
		check("it is again what is deployed")

		shouts := filepath.Join(c.dir, "WEB.yml")
		c.write(shouts, "one")
		c.wait(pace)
		check("a name", shouts+` is not deployed: "WEB" cannot be the name of a stack: call the file by 1 to 40 characters of a-z, 0-9, _ and -, and .yml.`)
	})
}

// A file that is being written is not deployed by halves.
func TestFileThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		for range 10 {
			c.write(c.boot, time.Now().String())
			want(t, c.wait(pace))
		}
		want(t, c.wait(pace), "stack deploy --compose-file "+c.boot+" stack")
	})
}

// Of several managers the one that leads deploys, and its successor does not put an older file in the place of a newer one.
func TestManagerThatDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.set(func(p *Place) { p.Leads = false })
		c.write(c.boot, "one")
		want(t, c.wait(time.Minute))
		if got := c.said(); got != "" {
			t.Errorf("said %q of a file that every card has", got)
		}
		c.write(c.boot, "two")
		want(t, c.wait(time.Minute))
		if got := c.said(); !strings.Contains(got, "does not lead the swarm") {
			t.Errorf("said %q of a file that changes nothing", got)
		}
		c.set(func(p *Place) { p.Leads = true })
		want(t, c.wait(time.Minute))
		c.write(c.boot, "three")
		want(t, c.wait(2*pace), "stack deploy --compose-file "+c.boot+" stack")
		c.set(func(p *Place) { *p = Place{} })
		c.write(c.boot, "four")
		want(t, c.wait(time.Minute)) // a worker
	})
}

func TestFilesThatCannotBeStacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.write(filepath.Join(c.dir, "My Stack.yml"), "one")
		c.write(filepath.Join(c.dir, "long.yml"), strings.Repeat("#", fileMax+1))
		if err := os.Mkdir(filepath.Join(c.dir, "dir.yml"), 0o700); err != nil {
			t.Fatal(err)
		}
		want(t, c.wait(time.Minute))
		said := c.said()
		for _, want := range []string{`"My Stack" cannot be the name of a stack`, "long.yml is not deployed: it is longer than", "dir.yml is not deployed: "} {
			if strings.Count(said, want) != 1 {
				t.Errorf("said %q, want %q once", said, want)
			}
		}
	})
}

func TestCommand(t *testing.T) {
	bin := t.TempDir()
	docker := filepath.Join(bin, "docker")
	script := "#!/bin/sh\necho \"$*\" >&2\nenv | grep -c SECRET >&2\necho 'services.web.ports must be a list.' >&2\nexit 1\n"
	if err := os.WriteFile(docker, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	t.Setenv("SECRET", "x")
	if err := Command("unix:///x.sock")(t.Context(), "stack", "deploy"); err == nil || err.Error() != "services.web.ports must be a list" {
		t.Errorf("Command() = %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := Command("unix:///x.sock")(t.Context(), "stack", "deploy"); err == nil || !strings.Contains(err.Error(), "apt install docker-cli") {
		t.Errorf("Command() = %v without a docker command", err)
	}
}

// A Compose file on the boot partition counts under every name that clearly means one, and its stack is called the same.
func TestFilesByOtherNames(t *testing.T) {
	for _, name := range []string{
		"stack.yaml", "stack.yml.txt", "stack.yaml.txt", "STACK.YML", "Stack.yml.TXT", "compose.yaml", "compose.yml", "docker-compose.yml",
		"docker-compose.yaml", "docker-compose.yml.txt", "Docker-Compose.yml",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCard(t)
			path := filepath.Join(filepath.Dir(c.boot), name)
			c.write(path, "boot")
			c.write(filepath.Join(c.dir, "stack.yml"), "hidden")
			want(t, c.wait(time.Minute), "stack deploy --compose-file "+path+" stack")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		web, db := filepath.Join(c.dir, "web.yml.txt"), filepath.Join(c.dir, "db.YAML")
		c.write(web, "web")
		c.write(db, "db")
		for _, name := range []string{"web.yml~", ".web.yml.swp", "web.yml.bak", "web.env", "notes.txt"} {
			c.write(filepath.Join(c.dir, name), "aside")
		}
		want(t, c.wait(time.Minute), "stack deploy --compose-file "+db+" db", "stack deploy --compose-file "+web+" web")
	})
}

// Of two files that would be one stack none is deployed while they differ, and a file that seems to be meant as one is named.
func TestFilesThatAPersonMustChoose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		check := func(when string, want ...string) {
			t.Helper()
			if got := c.r.Problems(); !slices.Equal(got, want) {
				t.Errorf("%s: the problems are %q, want %q", when, got, want)
			}
		}
		onCard := func(name string) string { return filepath.Join(filepath.Dir(c.boot), name) }
		c.write(c.boot, "one")
		c.write(onCard("compose.yaml"), "one")
		want(t, c.wait(time.Minute), "stack deploy --compose-file "+c.boot+" stack")
		check("two that are the same")

		c.write(onCard("compose.yaml"), "two")
		want(t, c.wait(time.Minute))
		differ := c.boot + " is not deployed: " + onCard("compose.yaml") + " would be stack stack as well, and differs: keep the one that is meant."
		check("two that differ", differ)
		if got := c.said(); strings.Count(got, differ) != 1 {
			t.Errorf("said %q, want %q once", got, differ)
		}
		c.write(c.boot, "two")
		want(t, c.wait(time.Minute), "stack deploy --compose-file "+c.boot+" stack")
		check("they are the same again")

		web, again := filepath.Join(c.dir, "web.yaml"), filepath.Join(c.dir, "web.yml")
		c.write(web, "one")
		c.write(again, "two")
		want(t, c.wait(time.Minute))
		check("two in the directory", web+" is not deployed: "+again+" would be stack web as well, and differs: keep the one that is meant.")
		if err := os.Remove(again); err != nil {
			t.Fatal(err)
		}
		want(t, c.wait(time.Minute), "stack deploy --compose-file "+web+" web")

		c.write(onCard("stack (1).yml"), "three")
		want(t, c.wait(time.Minute))
		check("a copy", onCard("stack (1).yml")+
			" is not deployed: it is not read under this name: save it as plain text and call it stack.yml, or take it away.")
	})
}
