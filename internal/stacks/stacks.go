// Package stacks deploys the services that a person has put on a card: Compose files, handed to Docker's own stack command
// by the manager that leads. It updates a stack when its file changes, and removes nothing.
package stacks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
)

// Dir is where the Compose files are unless the command line says otherwise: NAME.yml is stack NAME.
const Dir = "/etc/pi-agent/stacks"

const (
	pace       = 5 * time.Second  // between two looks; a file counts that stayed as it was from one to the next
	calmMin    = 20 * time.Second // no node may have come or gone for that long before a stack is first deployed
	retryFirst = 30 * time.Second // pause after a file that was refused and has not changed; doubles
	retryMax   = 10 * time.Minute
	fileMax    = 1 << 20 // bytes
)

// bootStack is the name of the stack on the boot partition, which any computer can write after flashing a card, whatever its
// file is called. It wins over one of this name in Dir.
const bootStack = "stack"

// nameForm is what Docker takes as the name of a stack and in names of services.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// Place is where the board stands in its swarm. It is zero on a board that is no manager.
type Place struct {
	Swarm string    // id of the swarm that the board manages
	Leads bool      // whether it is the one manager that leads the others
	Calm  time.Time // when a node last came or went
}

// Mark says what was done with a file: it was deployed in this swarm, or was there when another manager led it.
type Mark struct {
	Swarm string `json:"swarm"`
	Sum   string `json:"sum"` // SHA-256 of the file, hexadecimal
}

// Docker runs the docker command. Its error carries what the command said.
type Docker func(ctx context.Context, args ...string) error

// Runner deploys. All fields must be set.
type Runner struct {
	Dir      string   // with the Compose files; it may be absent
	Boot     []string // directories that may have one more file; the first that has one counts
	Docker   Docker
	Place    func() Place
	Marks    map[string]Mark                   // by name of the stack, as they were kept; the Runner's own from then on
	Remember func(marks map[string]Mark) error // keeps them; it must not keep the map itself
	Log      *zap.Logger

	seen     map[string]string // sum of each file at the look before
	refused  map[string]refusal
	told     map[string]string // by file, what is wrong with it, as it was last said; none once it is right or gone
	problems atomic.Pointer[[]string]
}

// Problems are the files that are not deployed now, with what is wrong with each, in sentences; none on a board that does not
// lead its swarm. It may be called from any goroutine.
func (r *Runner) Problems() []string {
	if p := r.problems.Load(); p != nil {
		return *p
	}
	return nil
}

// refusal is a file that could not be deployed.
type refusal struct {
	sum   string
	again time.Time
	pause time.Duration
}

// Run looks after the files until ctx ends, then returns nil.
func (r *Runner) Run(ctx context.Context) error {
	r.refused, r.told = map[string]refusal{}, map[string]string{}
	if r.Marks == nil {
		r.Marks = map[string]Mark{}
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var problems []string
		at := r.Place()
		if at.Swarm != "" {
			problems = r.look(ctx, at)
		}
		if !at.Leads { // its files do not count
			problems = nil
		}
		r.problems.Store(&problems)
	}
}

// look deploys what is new, and returns what is wrong.
func (r *Runner) look(ctx context.Context, at Place) (problems []string) {
	files, odd, err := r.files()
	if err != nil {
		return append(problems, r.tell(r.Dir, fmt.Sprintf("The stacks in %s cannot be read: %v.", r.Dir, err)))
	}
	before := r.seen
	r.seen = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := files[name]
		text, err := read(path)
		if err == nil {
			err = odd[path]
		}
		if err == nil && !nameForm.MatchString(name) {
			err = fmt.Errorf("%q cannot be the name of a stack: call the file by 1 to 40 characters of a-z, 0-9, _ and -, and .yml", name)
		}
		if err != nil {
			delete(r.refused, name)
			problems = append(problems, r.tell(path, fmt.Sprintf("%s is not deployed: %v.", path, err)))
			continue
		}
		sum := sha256.Sum256(text)
		mark := Mark{at.Swarm, hex.EncodeToString(sum[:])}
		r.seen[name] = mark.Sum
		first := r.Marks[name].Swarm != at.Swarm
		switch {
		case r.Marks[name] == mark:
			delete(r.told, path)
		case before[name] != mark.Sum:
		case !at.Leads:
			r.mark(name, mark)
			if !first {
				r.Log.Info(fmt.Sprintf("%s has changed, and is not deployed: this board does not lead the swarm. Change it on the one that does.", path))
			}
		case first && time.Since(at.Calm) < calmMin: // so that tasks are spread over all nodes
		default:
			r.deploy(ctx, name, path, text, mark)
		}
		if told := r.told[path]; told != "" {
			problems = append(problems, told)
		}
	}
	maps.DeleteFunc(r.Marks, func(name string, _ Mark) bool { return files[name] == "" })
	there := slices.Collect(maps.Values(files))
	maps.DeleteFunc(r.told, func(path, _ string) bool { return !slices.Contains(there, path) })
	return problems
}

// deploy hands the file to Docker. Before that nothing is kept, so that after a power cut it is done again, which changes
// nothing that is as it should be.
func (r *Runner) deploy(ctx context.Context, name, path string, text []byte, mark Mark) {
	last := r.refused[name]
	if last.sum == mark.Sum && time.Now().Before(last.again) {
		return
	}
	err := r.Docker(ctx, "stack", "deploy", "--compose-file", path, name)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		pause := retryFirst
		if last.sum == mark.Sum {
			pause = min(2*last.pause, retryMax)
		}
		r.refused[name] = refusal{mark.Sum, time.Now().Add(pause), pause}
		r.tell(path, fmt.Sprintf("Stack %s is not deployed: %v.", name, located(path, text, err)))
		return
	}
	delete(r.refused, name)
	delete(r.told, path)
	r.Log.Info(fmt.Sprintf("Deployed stack %s from %s.", name, path))
	r.mark(name, mark)
}

func (r *Runner) mark(name string, m Mark) {
	r.Marks[name] = m
	if err := r.Remember(r.Marks); err != nil {
		r.Log.Warn(fmt.Sprintf("After a restart stack %s is deployed again: %v.", name, err))
	}
}

// tell warns of a file, once as long as it stays the same, and returns the text.
func (r *Runner) tell(path, text string) string {
	if r.told[path] != text {
		r.told[path] = text
		r.Log.Warn(text)
	}
	return text
}

// files are the Compose files that count, by name of their stacks, and with them those that seem to be meant as such. What is
// odd about a file, by its path, is a reason not to deploy it.
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

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > fileMax {
		return nil, fmt.Errorf("it is longer than %d bytes", fileMax)
	}
	return text, nil
}
