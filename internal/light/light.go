// Package light makes the green light of a board (ACT) say where the board stands. The kernel blinks it; the agent only
// says how when that changes, and gives the light back as it was found.
package light

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"
)

// Dir is where Linux has the lights.
const Dir = "/sys/class/leds"

// names of the light, on kernels since 5.10 and before.
var names = []string{"ACT", "led0"}

// pace is how often the agent looks whether the light is to say something else.
const pace = 2 * time.Second

// State is what the light says.
type State int

// The states.
const (
	Searching State = iota // on and off, each half a second: the board is in no swarm yet
	In                     // on: a worker of the swarm
	Manager                // two beats and a pause, like a heart: a manager of the swarm
	NeedsYou               // a hasty flicker, 5 times a second: a person has to do something
)

// look is how the kernel shows a state: the name of a trigger, and for timer how long the light is on and off, in ms.
type look struct{ trigger, delay string }

var looks = map[State]look{
	Searching: {"timer", "500"}, In: {"default-on", ""}, Manager: {"heartbeat", ""}, NeedsYou: {"timer", "100"},
}

// Light is the light of this board.
type Light struct {
	Dir   string       // the lights, Dir but in tests
	Keep  string       // file with the state in which the light was found, should this agent crash
	State func() State // what to say
	Log   *zap.Logger

	path string
}

// Run shows the state until ctx ends, and then returns nil. A board without such a light, or one that may not be
// changed, is no reason to stop anything.
func (l *Light) Run(ctx context.Context) error {
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(l.Dir, n, "trigger")); err == nil {
			l.path = filepath.Join(l.Dir, n)
		}
	}
	if l.path == "" {
		l.Log.Debug("This board has no green light to show its state with.")
		return nil
	}
	if err := l.remember(); err != nil {
		l.Log.Info(fmt.Sprintf("The light of the board is left alone: %v.", err))
		return nil
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	shown, told := State(-1), ""
	for {
		// What fails is tried again: udev gives the agent the files of a trigger a moment after they appear.
		if s := l.State(); s != shown {
			err := l.show(looks[s])
			if err == nil {
				shown, told = s, ""
			} else if err.Error() != told {
				told = err.Error()
				l.Log.Debug("The light does not show the state yet: " + told)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err := l.restore(); err != nil {
				l.Log.Warn(fmt.Sprintf("The light of the board is not as it was: %v.", err))
			}
			return nil
		}
	}
}

func (l *Light) write(name, value string) error {
	// Not os.WriteFile: a file of the kernel is neither made nor cut.
	f, err := os.OpenFile(filepath.Join(l.path, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return cmp.Or(err, f.Close())
}

func (l *Light) show(k look) error {
	now, err := l.trigger()
	if err != nil {
		return err
	}
	if now != k.trigger {
		if err := l.write("trigger", k.trigger); err != nil {
			return err
		}
	}
	if k.delay == "" {
		return nil
	}
	if err := l.write("delay_on", k.delay); err != nil {
		return err
	}
	return l.write("delay_off", k.delay)
}

var inBrackets = regexp.MustCompile(`\[([^]]+)\]`)

// trigger is the one that is chosen: the file lists all, and has it in brackets.
func (l *Light) trigger() (string, error) {
	b, err := os.ReadFile(filepath.Join(l.path, "trigger"))
	if err != nil {
		return "", err
	}
	m := inBrackets.FindSubmatch(b)
	if m == nil {
		return "", fmt.Errorf("%s/trigger has none in brackets", l.path)
	}
	return string(m[1]), nil
}

// remember keeps how the light was found, unless an agent before has.
func (l *Light) remember() error {
	if _, err := os.Stat(l.Keep); err == nil {
		return nil
	}
	trigger, err := l.trigger()
	if err != nil {
		return err
	}
	brightness, err := os.ReadFile(filepath.Join(l.path, "brightness"))
	if err != nil {
		return err
	}
	return renameio.WriteFile(l.Keep, []byte(trigger+"\n"+strings.TrimSpace(string(brightness))+"\n"), 0o600)
}

// restore gives the light back as it was found.
func (l *Light) restore() error {
	b, err := os.ReadFile(l.Keep)
	if err != nil {
		return err
	}
	trigger, rest, _ := strings.Cut(string(b), "\n")
	if err := l.write("trigger", trigger); err != nil {
		return err
	}
	if trigger == "none" { // otherwise the trigger decides
		if err := l.write("brightness", strings.TrimSpace(rest)); err != nil {
			return err
		}
	}
	return os.Remove(l.Keep)
}
