package picture

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// quietFor is how long a board may be silent before that is shown: in a swarm, boards speak every 30 to 60 s.
const quietFor = 3 * time.Minute

// Text writes the picture as a person reads it: one line about the swarm, a table of boards, one of services, and what
// to know. now is the time to count from.
func (p Picture) Text(w io.Writer, now time.Time) error {
	var b strings.Builder
	headline := p.headline()
	if slices.ContainsFunc(p.Warnings, func(w Warning) bool { return w.Trouble && tame.Line(w.Text.En) == headline }) {
		b.WriteString("! ")
	}
	b.WriteString(headline + "\n")
	p.boardTable(&b, now)
	p.serviceTable(&b)
	p.others(&b)
	gap := "\n"
	for _, w := range p.Warnings {
		if tame.Line(w.Text.En) == headline {
			continue
		}
		b.WriteString(gap)
		gap = ""
		mark := "-"
		if w.Trouble {
			mark = "!"
		}
		fmt.Fprintf(&b, "%s %s\n", mark, tame.Line(say.Join(" ", w.Text, w.Remedy).En))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the whole picture in one line.
func (p Picture) headline() string {
	if p.Swarm == nil {
		return tame.Line(p.Doing.En)
	}
	if p.Source == "" {
		return tame.Line(p.Doing.En)
	}
	ready, nodes := 0, 0
	for _, b := range p.Boards {
		if b.State == Ready {
			ready++
		}
		if b.Node != "" && b.State != Out {
			nodes++
		}
	}
	key := "with a key"
	if !p.Keyed {
		key = "without a key"
	}
	text := fmt.Sprintf("Cluster %s, %s: %d of %s ready, %s", p.Cluster, key, ready,
		count(nodes, "board"), count(p.Swarm.Managers, "manager"))
	if len(p.Services) > 0 {
		text += ", " + count(len(p.Services), "service")
	}
	return tame.Line(text + ".")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p Picture) boardTable(b *strings.Builder, now time.Time) {
	if len(p.Boards) == 0 {
		return
	}
	b.WriteString("\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row(t, "  BOARD", "STATE", "ROLE", "ADDRESS", "ENGINE", "SERIAL", "MODEL")
	for _, board := range p.Boards {
		mark, state, addr := " ", string(board.State), ""
		if board.Serial == p.Self && board.State != Down {
			mark = "*"
		}
		if board.State == Down || board.State == Out {
			state = strings.ToUpper(state)
		}
		if silent := now.Sub(board.Heard); !board.Heard.IsZero() && silent > quietFor {
			state += ", silent " + say.Ago(silent).En
		}
		if len(board.Addrs) > 0 {
			addr = board.Addrs[0].String()
		}
		row(t, mark+" "+board.Name, state, string(board.Role), addr, board.Engine, string(board.Serial),
			shortModel(board.Model))
	}
	_ = t.Flush() // a strings.Builder does not fail
}

// shortModel is a model as people call it: all are Raspberry Pis, and the revision is on nobody's mind.
func shortModel(model string) string {
	model, _, _ = strings.Cut(strings.TrimPrefix(model, "Raspberry "), " Rev ")
	return model
}

func (p Picture) serviceTable(b *strings.Builder) {
	if len(p.Services) == 0 {
		return
	}
	b.WriteString("\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row(t, "  SERVICE", "TASKS", "ON", "IMAGE")
	for _, s := range p.Services {
		row(t, "  "+s.Name, fmt.Sprintf("%d/%d", s.Running, s.Wanted), s.where(), s.Image)
	}
	_ = t.Flush() // as above
}

// whereMax bounds the names of the boards of one service, in characters.
const whereMax = 44

// where names the boards that run the service, with how many tasks each.
func (s Service) where() string {
	var names []string
	tasks := map[string]int{}
	for _, t := range s.Tasks {
		if t.State != "running" {
			continue
		}
		if tasks[t.Board] == 0 {
			names = append(names, t.Board)
		}
		tasks[t.Board]++
	}
	for i, name := range names {
		if tasks[name] > 1 {
			names[i] = fmt.Sprintf("%s (%d)", name, tasks[name])
		}
	}
	for n := len(names); ; n-- {
		text := strings.Join(names[:n], ", ")
		if n < len(names) {
			text += fmt.Sprintf(" and %d more", len(names)-n)
		}
		if len(text) <= whereMax || n == 1 {
			return text
		}
	}
}

func (p Picture) others(b *strings.Builder) {
	if len(p.Nearby) == 0 {
		return
	}
	b.WriteString("\nNot ours:\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, n := range p.Nearby {
		row(t, "  "+n.Serial.Name(), n.Why.En)
	}
	_ = t.Flush() // as above
}

// row writes the cells of a line. What other boards say may not move the cursor.
func row(w io.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = tame.Line(c)
	}
	// what is written to ends in a strings.Builder
	_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}
