package stacks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/timing"
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
	place peer.Place
	bad   error    // what Docker answers
	notes string   // what it says on its way
	ran   []string // what it was told, each time
	once  func()   // what happens while it runs the next time
}

// patient is the patience that boards have.
var patient = timing.Product()

func newCard(t *testing.T) *card {
	c := &card{t: t, dir: t.TempDir(), boot: filepath.Join(t.TempDir(), "stack.yml")}
	c.place = peer.Place{Swarm: "s1", Leads: true, Calm: time.Now().Add(-patient.StackCalm)}
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
		Docker: func(_ context.Context, args ...string) (string, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ran = append(c.ran, strings.Join(args, " "))
			if c.once != nil {
				c.once()
				c.once = nil
			}
			return c.notes, c.bad
		},
		Place: func() peer.Place {
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
func (c *card) set(change func(*peer.Place)) {
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

// answerNotes changes what Docker says while it deploys.
func (c *card) answerNotes(notes string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = notes
}

// meanwhile makes something happen while docker runs the next time.
func (c *card) meanwhile(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.once = do
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
		c.set(func(p *peer.Place) { p.Calm = time.Now() })
		c.write(web, "one")
		c.write(filepath.Join(c.dir, "notes.txt"), "no stack")
		want(t, c.wait(patient.StackCalm-time.Second))
		deploy := "stack deploy --compose-file " + web + " web"
		want(t, c.wait(patient.Stack+time.Second), deploy)
		if got := c.said(); got != "Deployed stack web from "+web+"." {
			t.Errorf("said %q", got)
		}
		want(t, c.wait(time.Hour)) // nothing has changed

		c.stop()
		c.start()
		want(t, c.wait(time.Minute)) // nor after a restart

		c.set(func(p *peer.Place) { p.Calm = time.Now() }) // who edits a file does not wait for anything
		c.write(web, "two")
		want(t, c.wait(2*patient.Stack), deploy)

		c.write(c.boot, "boot")
		c.write(filepath.Join(c.dir, "stack.yml"), "hidden")
		c.set(func(p *peer.Place) { p.Calm = time.Time{} })
		want(t, c.wait(2*patient.Stack), "stack deploy --compose-file "+c.boot+" stack")

		c.set(func(p *peer.Place) { p.Swarm = "s2" })
		c.said()
		want(t, c.wait(2*patient.Stack), "stack deploy --compose-file "+c.boot+" stack", deploy)
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
		if got, want := c.said(), "Stack stack is not deployed: "+c.boot+":3: services.web.ports must be a list: write ports: [\"80\"]."; got != want {
			t.Errorf("said %q, want %q once", got, want)
		}
		c.answer(nil)
		c.write(c.boot, "services: {}")
		want(t, c.wait(2*patient.Stack), "stack deploy --compose-file "+c.boot+" stack")
	})
}

// What is wrong is known for as long as it is, whatever was said of it before.
func TestProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		check := func(when string, want ...string) {
			t.Helper()
			if got := say.English(c.r.Problems()); !slices.Equal(got, want) {
				t.Errorf("%s: the problems are %q, want %q", when, got, want)
			}
		}
		set := func(leads bool) { c.set(func(p *peer.Place) { p.Leads = leads }) }
		check("at the start")
		bad := "Stack stack is not deployed: " + c.boot + ":3: services.web.ports must be a list: write ports: [\"80\"]."
		broken := "services:\n  web:\n    ports: 80\n"
		c.answer(errors.New("services.web.ports must be a list"))
		c.write(c.boot, broken)
		c.wait(2 * patient.Stack)
		check("a broken file", bad)
		c.set(func(p *peer.Place) { p.Calm = time.Now() })
		c.wait(patient.Stack)
		check("a board comes", bad)
		c.wait(time.Hour)
		check("it is tried again and again", bad)

		set(false)
		c.wait(patient.Stack)
		check("another board leads")
		set(true)
		c.write(c.boot, broken+"#\n") // the other one would have deployed the old one
		c.wait(2 * patient.Stack)
		check("this one leads again", bad)
		c.said()
		c.set(func(p *peer.Place) { *p = peer.Place{} })
		c.wait(patient.Stack)
		check("a worker")
		c.set(func(p *peer.Place) { *p = peer.Place{Swarm: "s1", Leads: true} })
		c.wait(patient.Stack)
		check("a manager again", bad)
		if got := c.said(); got != "" {
			t.Errorf("said %q, which it had said before", got)
		}

		if err := os.Remove(c.boot); err != nil {
			t.Fatal(err)
		}
		c.wait(patient.Stack)
		check("the file is gone")
		c.write(c.boot, broken)
		c.wait(2 * patient.Stack)
		check("it is there again", bad)
		c.answer(nil)
		c.write(c.boot, "services: {}")
		c.wait(2 * patient.Stack)
		check("it is put right")
		c.answer(errors.New("services.web.ports must be a list"))
		c.write(c.boot, broken)
		c.wait(2 * patient.Stack)
		check("it is broken anew", bad)
		c.write(c.boot, "services: {}")
		c.wait(2 * patient.Stack)
		check("it is again what is deployed")

		shouts := filepath.Join(c.dir, "WEB.yml")
		c.write(shouts, "one")
		c.wait(patient.Stack)
		check("a name",
			shouts+` is not deployed: "WEB" cannot be the name of a stack: call the file by 1 to 40 characters of a-z, 0-9, _ and -, and .yml.`)
	})
}

// A file that is being written is not deployed by halves.
func TestFileThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		for range 10 {
			c.write(c.boot, time.Now().String())
			want(t, c.wait(patient.Stack))
		}
		want(t, c.wait(patient.Stack), "stack deploy --compose-file "+c.boot+" stack")
	})
}

// Of several managers the one that leads deploys, and its successor does not put an older file in the place of a newer
// one.
func TestManagerThatDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.set(func(p *peer.Place) { p.Leads = false })
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
		c.set(func(p *peer.Place) { p.Leads = true })
		want(t, c.wait(time.Minute))
		c.write(c.boot, "three")
		want(t, c.wait(2*patient.Stack), "stack deploy --compose-file "+c.boot+" stack")
		c.set(func(p *peer.Place) { *p = peer.Place{} })
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
		for _, want := range []string{`"My Stack" cannot be the name of a stack`,
			"long.yml is not deployed: it is longer than", "dir.yml is not deployed: "} {
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
	if _, err := Command("unix:///x.sock")(t.Context(), "stack", "deploy"); err == nil ||
		err.Error() != "services.web.ports must be a list" {
		t.Errorf("Command() = %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Command("unix:///x.sock")(t.Context(), "stack", "deploy"); err == nil ||
		!strings.Contains(err.Error(), "apt install docker-cli") {
		t.Errorf("Command() = %v without a docker command", err)
	}
}

// A Compose file on the boot partition counts under every name that clearly means one, and its stack is called the
// same.
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

// Of two files that would be one stack none is deployed while they differ, and a file that seems to be meant as one is
// named.
func TestFilesThatAPersonMustChoose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		check := func(when string, want ...string) {
			t.Helper()
			if got := say.English(c.r.Problems()); !slices.Equal(got, want) {
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
		differ := c.boot + " is not deployed: " + onCard("compose.yaml") +
			" would be stack stack as well, and differs: keep the one that is meant."
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
		check("two in the directory",
			web+" is not deployed: "+again+" would be stack web as well, and differs: keep the one that is meant.")
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

// What Docker leaves out is told once, with the deployment, and shown for as long as the file is deployed by the board
// that leads.
func TestAdvice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		notes := "Ignoring unsupported options: devices, network_mode, privileged, restart\n\nSince --detach=false was not " +
			"specified\n"
		c.answerNotes(notes)
		c.write(c.boot,
			"services:\n  home:\n    image: homeassistant\n    restart: always\n    network_mode: host\n    privileged: true\n"+
				"    devices: [/dev/ttyUSB0]\n  web:\n    image: nginx\n    restart: unless-stopped\n")
		note := "Stack stack: service home runs without devices, network_mode and privileged, which Docker ignores in a swarm (" + c.boot + ":5)."
		check := func(when string, want ...string) {
			t.Helper()
			if got := say.English(c.r.Advice()); !slices.Equal(got, want) || len(c.r.Problems()) > 0 {
				t.Errorf("%s: the advice is %q, the problems %q, want %q", when, got, c.r.Problems(), want)
			}
		}
		check("at the start")
		c.wait(time.Hour)
		check("deployed", note)
		if got, want := c.said(), "Deployed stack stack from "+c.boot+".\n"+note; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
		c.stop()
		c.start()
		c.wait(2 * patient.Stack)
		check("after a restart", note)
		c.set(func(p *peer.Place) { p.Leads = false })
		c.wait(patient.Stack)
		check("another board leads")
		c.set(func(p *peer.Place) { p.Leads = true })
		c.wait(patient.Stack)
		check("this one leads again", note)
		if got := c.said(); got != "" {
			t.Errorf("said %q, which it had said before", got)
		}
		c.answerNotes("")
		c.write(c.boot, "services:\n  home:\n    image: homeassistant\n")
		c.wait(2 * patient.Stack)
		check("put right")

		// Another board has deployed it: it is what Docker usually leaves out.
		c.set(func(p *peer.Place) { p.Leads = false })
		c.write(c.boot, "services:\n  home:\n    image: homeassistant\n    privileged: true\n")
		c.wait(2 * patient.Stack)
		c.set(func(p *peer.Place) { p.Leads = true })
		c.wait(patient.Stack)
		check("deployed by another board",
			"Stack stack: service home runs without privileged, which Docker ignores in a swarm ("+c.boot+":4).")
	})
}

// What the stack reads counts: a change of one of its files is deployed.
func TestFilesThatAStackReads(t *testing.T) {
	for _, c := range []struct{ name, text, file string }{
		{"env_file", "services: {web: {image: nginx, env_file: web.env}}\n", "web.env"},
		{"one of several", "services:\n  web:\n    env_file:\n      - none.env\n      - ./sub/web.env\n", "sub/web.env"},
		{"of a template", "x-base: &base\n  env_file: [web.env]\nservices:\n  web:\n    <<: *base\n    image: nginx\n",
			"web.env"},
		{"of one of several templates",
			"x-a: &a {tty: true}\nx-b: &b {env_file: [web.env]}\nservices: {web: {<<: [*a, *b]}}\n", "web.env"},
		{"a config", "configs:\n  conf:\n    file: ./web.conf\n", "web.conf"},
		{"a secret", "secrets: {pw: {file: pw.txt}}\n", "pw.txt"},
		{"a variable with a value", "secrets: {pw: {file: \"${WHERE:-pw}$X.txt\"}}\n", "pw.txt"},
		{"quotes, lines of Windows", "configs:\r\n  \"my conf\":\r\n    file: 'web conf'\r\n", "web conf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newCard(t)
				stack, file := filepath.Join(b.dir, "web.yml"), filepath.Join(b.dir, c.file)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				deploy := "stack deploy --compose-file " + stack + " web"
				b.write(stack, c.text)
				want(t, b.wait(time.Minute), deploy)
				b.write(file, "A=1\n") // that there was none is a state like any other
				want(t, b.wait(time.Minute), deploy)
				want(t, b.wait(time.Hour))
				b.write(file, "A=2\n")
				want(t, b.wait(2*patient.Stack), deploy)
				b.stop()
				b.start()
				want(t, b.wait(time.Minute))
				b.write(filepath.Join(b.dir, "other"), "A=3\n")
				want(t, b.wait(time.Minute))

				// One that is missing is tried again as soon as it is there.
				b.answer(errors.New("open " + file + ": no such file or directory"))
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				b.wait(time.Hour)
				b.answer(nil)
				b.write(file, "A=4\n")
				want(t, b.wait(2*patient.Stack), deploy)
			})
		})
	}
}

// The sum of a file that reads no other is what it always was: nothing is deployed anew by an update of the agent.
func TestSumOfOneFile(t *testing.T) {
	text := []byte("services: {web: {image: nginx}}\n")
	if got, want := sumOf("/x/web.yml", text), fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
		t.Errorf("sumOf() = %s, want %s", got, want)
	}
}

// A reader of a pipe would wait for ever.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "web.yml")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(pipe); err == nil || err.Error() != "it is not a regular file" {
		t.Errorf("read() = %v", err)
	}
}

// Of several faults Docker names any one: each is said once.
func TestFaultsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.write(c.boot, "services:\n  web:\n    profiles: [a]\n    platform: x\n")
		for i := range 6 {
			c.answer(fmt.Errorf("services.web Additional property %s is not allowed", []string{"profiles", "platform"}[i%2]))
			c.wait(patient.StackRetryMax)
		}
		if got := c.said(); strings.Count(got, "\n") != 1 || !strings.Contains(got, ":3: ") ||
			!strings.Contains(got, ":4: ") {
			t.Errorf("said %q", got)
		}
	})
}
