// Package stacks deploys the services that a person has put on a card: Compose files, handed to Docker's own stack
// command by the manager that leads. It updates a stack when its file changes, or one that it reads, and removes
// nothing.
package stacks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Dir is where the Compose files are unless the command line says otherwise: NAME.yml is stack NAME.
const Dir = "/etc/pi-agent/stacks"

// bootStack is the name of the stack on the boot partition, which any computer can write after flashing a card,
// whatever its file is called. It wins over one of this name in Dir.
const bootStack = "stack"

// nameForm is what Docker takes as the name of a stack and in names of services.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// Mark says what was done with a file: it was deployed in this swarm, or was there when another manager led it.
type Mark struct {
	Swarm string `json:"swarm"`
	Sum   string `json:"sum"` // SHA-256 of the file and of what it reads, hexadecimal
	// Ignored are the options that Docker left out; nil when this board did not deploy the file.
	Ignored []string `json:"ignored"`
}

// is reports whether the mark is about the same thing.
func (m Mark) is(o Mark) bool { return m.Swarm == o.Swarm && m.Sum == o.Sum }

// Docker runs the docker command, and returns the notes that it gave on its way. Its error carries what it said when it
// failed.
type Docker func(ctx context.Context, args ...string) (notes string, err error)

// Runner deploys. All fields but Timing must be set.
type Runner struct {
	Dir      string   // with the Compose files; it may be absent
	Boot     []string // directories that may have one more file; the first that has one counts
	Docker   Docker
	Place    func() peer.Place
	Marks    map[string]Mark                   // by name of the stack, as they were kept; the Runner's own from then on
	Remember func(marks map[string]Mark) error // keeps them; it must not keep the map itself
	Log      *zap.Logger
	Timing   timing.Timing // the zero value stands for timing.Product

	seen     map[string]string // sum of each file at the look before
	refused  map[string]refusal
	told     map[string]say.Text // by file, what is wrong with it, as it was last said; none once it is right or gone
	problems atomic.Pointer[[]say.Text]
	advice   atomic.Pointer[[]say.Text]
}

// Problems are the files that are not deployed now, with what is wrong with each, in sentences; none on a board that
// does not lead its swarm. It may be called from any goroutine.
func (r *Runner) Problems() []say.Text {
	if p := r.problems.Load(); p != nil {
		return *p
	}
	return nil
}

// Advice is what Docker did not do of the files that it deployed, in sentences; none on a board that does not lead its
// swarm. It may be called from any goroutine.
func (r *Runner) Advice() []say.Text {
	if a := r.advice.Load(); a != nil {
		return *a
	}
	return nil
}

// refusal is a file that could not be deployed.
type refusal struct {
	sum   string
	again time.Time
	pause time.Duration
	said  map[say.Text]bool // of several faults Docker names another one each time
}

// Run looks after the files until ctx ends, then returns nil.
func (r *Runner) Run(ctx context.Context) error {
	r.Timing = r.Timing.Or(timing.Product())
	r.refused, r.told = map[string]refusal{}, map[string]say.Text{}
	if r.Marks == nil {
		r.Marks = map[string]Mark{}
	}
	tick := time.NewTicker(r.Timing.Stack)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var problems, advice []say.Text
		at := r.Place()
		if at.Swarm != "" {
			problems, advice = r.look(ctx, at)
		}
		if !at.Leads { // its files do not count
			problems, advice = nil, nil
		}
		r.problems.Store(&problems)
		r.advice.Store(&advice)
	}
}

// look deploys what is new, and returns what is wrong, and what Docker leaves out.
func (r *Runner) look(ctx context.Context, at peer.Place) (problems, notes []say.Text) {
	files, odd, err := r.files()
	if err != nil {
		return append(problems, r.tell(r.Dir, say.StacksUnread.With(r.Dir, err))), nil
	}
	before := r.seen
	r.seen = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := files[name]
		text, err := read(path)
		if err == nil {
			err = odd[path]
		} else if remedy := readRemedy(filepath.Dir(path), path, err.Error()); remedy != "" {
			err = fmt.Errorf("%w: %s", err, remedy)
		}
		if err == nil && !nameForm.MatchString(name) {
			err = fmt.Errorf("%q cannot be the name of a stack: call the file by 1 to 40 characters of a-z, 0-9, "+
				"_ and -, and .yml", name)
		}
		if err != nil {
			delete(r.refused, name)
			problems = append(problems, r.tell(path, say.StackUnread.With(path, err)))
			continue
		}
		mark := Mark{Swarm: at.Swarm, Sum: sumOf(path, text)}
		r.seen[name] = mark.Sum
		first := r.Marks[name].Swarm != at.Swarm
		switch {
		case r.Marks[name].is(mark):
			delete(r.told, path)
		case before[name] != mark.Sum:
		case !at.Leads:
			r.mark(name, mark)
			if !first {
				r.Log.Info(fmt.Sprintf("%s has changed, and is not deployed: this board does not lead the swarm. "+
					"Change it on the one that does.", path))
			}
		case first && time.Since(at.Calm) < r.Timing.StackCalm: // so that tasks are spread over all nodes
		default:
			r.deploy(ctx, name, path, text, mark)
		}
		if told := r.told[path]; !told.IsZero() {
			problems = append(problems, told)
		}
		if done := r.Marks[name]; done.is(mark) {
			notes = append(notes, done.advice(name, path, text)...)
		}
	}
	maps.DeleteFunc(r.Marks, func(name string, _ Mark) bool { return files[name] == "" })
	there := slices.Collect(maps.Values(files))
	maps.DeleteFunc(r.told, func(path string, _ say.Text) bool { return !slices.Contains(there, path) })
	return problems, notes
}

// advice is what Docker did not do of the file that the mark is about.
func (m Mark) advice(name, path string, text []byte) []say.Text {
	if m.Ignored == nil {
		m.Ignored = usuallyIgnored
	}
	return advice(name, path, text, m.Ignored)
}

// sumOf is the sum of a Compose file, and of the files that Docker reads for it where there are any.
func sumOf(path string, text []byte) string {
	h := sha256.New()
	_, _ = h.Write(text) // a hash does not fail
	for _, s := range outlineOf(text).sources(filepath.Dir(path)) {
		more, err := read(s.path)
		_, _ = fmt.Fprintf(h, "\x00%q %x %v", s.path, sha256.Sum256(more), err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// deploy hands the file to Docker. Before that nothing is kept, so that after a power cut it is done again, which
// changes nothing that is as it should be.
func (r *Runner) deploy(ctx context.Context, name, path string, text []byte, mark Mark) {
	last := r.refused[name]
	if last.sum == mark.Sum && time.Now().Before(last.again) {
		return
	}
	said, err := r.Docker(ctx, "stack", "deploy", "--compose-file", path, name)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		now := refusal{sum: mark.Sum, pause: r.Timing.StackRetry, said: map[say.Text]bool{}}
		if last.sum == mark.Sum {
			now.pause, now.said = min(2*last.pause, r.Timing.StackRetryMax), last.said
		}
		now.again = time.Now().Add(now.pause)
		r.refused[name] = now
		problem := say.StackRefused.With(name, located(name, path, text, err))
		if now.said[problem] {
			r.told[path] = problem
		}
		now.said[problem] = true
		r.tell(path, problem)
		return
	}
	delete(r.refused, name)
	delete(r.told, path)
	r.Log.Info(fmt.Sprintf("Deployed stack %s from %s.", name, path))
	mark.Ignored = ignored(said)
	for _, a := range mark.advice(name, path, text) {
		r.Log.Warn(a.En)
	}
	r.mark(name, mark)
}

// mark notes what was done with the file of a stack, and keeps that through a power cut.
func (r *Runner) mark(name string, m Mark) {
	r.Marks[name] = m
	if err := r.Remember(r.Marks); err != nil {
		r.Log.Warn(fmt.Sprintf("After a restart stack %s is deployed again: %v.", name, err))
	}
}

// tell warns of a file, once as long as it stays the same, and returns the text.
func (r *Runner) tell(path string, text say.Text) say.Text {
	if r.told[path] != text {
		r.told[path] = text
		r.Log.Warn(text.En)
	}
	return text
}

// files are the Compose files that count, by name of their stacks, and with them those that seem to be meant as such.
// What is odd about a file, by its path, is a reason not to deploy it.
func (r *Runner) files() (files map[string]string, odd map[string]error, err error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	files, odd = map[string]string{}, map[string]error{}
	// add takes path as stack name, unless another file is that already.
	add := func(name, path string) {
		first := files[name]
		if first == "" {
			files[name] = path
		} else if a, errA := read(first); odd[first] == nil {
			if b, errB := read(path); errA != nil || errB != nil || !bytes.Equal(a, b) {
				odd[first] = fmt.Errorf("%s would be stack %s as well, and differs: keep the one that is meant", path, name)
			}
		}
	}
	for _, e := range entries {
		if name, ok := bootfile.Stack.Stem(e.Name()); ok && !bootfile.Aside(e.Name()) {
			add(name, filepath.Join(r.Dir, e.Name()))
		}
	}
	onCard := false
	for _, dir := range r.Boot {
		strays, _ := bootfile.Strays(dir, bootfile.Stack) // the agent tells of a partition that cannot be read
		for _, stray := range strays {
			files[filepath.Base(stray.Path)], odd[stray.Path] = stray.Path, errors.New(stray.Remedy())
		}
		paths, _ := bootfile.Stack.In(dir)
		if onCard {
			continue
		}
		for i, path := range paths {
			if onCard = true; i == 0 {
				delete(files, bootStack) // it wins over one of its name in Dir
			}
			add(bootStack, path)
		}
	}
	return files, odd, nil
}
