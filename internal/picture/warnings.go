package picture

import (
	"github.com/pi-agent/pi-agent/internal/say"
	"math"
	"strings"
	"time"
)

// Warning is something that a person should know, with what to do about it.
type Warning struct {
	Text    say.Text `json:"text"`
	Remedy  say.Text `json:"remedy,omitzero"`
	Trouble bool     `json:"trouble"` // something does not work now; otherwise it may not later
	// Port is that of this board which it is about, such as 2378/tcp; empty where it is about none.
	Port string `json:"port,omitempty"`
}

// What is worth a warning.
const (
	clockOff     = time.Minute         // clocks that far apart
	rootEndsSoon = 90 * 24 * time.Hour // before the swarm's authority ends
	certDaysLow  = 180                 // a summer, and a winter, on the shelf
)

// Trouble reports whether something does not work now.
func (p Picture) Trouble() bool {
	for _, w := range p.Warnings {
		if w.Trouble {
			return true
		}
	}
	return false
}

// Judge writes the warnings anew, what does not work first.
func (p *Picture) Judge() {
	j := judge{Picture: p}
	j.agent()
	j.boards()
	j.services()
	j.stacks()
	j.swarm()
	j.clocks()
	p.Warnings = append(j.troubles, j.notes...)
}

type judge struct {
	*Picture
	troubles, notes []Warning
}

// none is where nothing helps, or what does was said.
var none say.Text

func (j *judge) trouble(what, remedy say.Text) {
	j.troubles = append(j.troubles, Warning{Text: what, Remedy: remedy, Trouble: true})
}

func (j *judge) note(what, remedy say.Text) {
	j.notes = append(j.notes, Warning{Text: what, Remedy: remedy})
}

func (j *judge) agent() {
	if j.Needs {
		j.trouble(j.Doing, none)
	}
}

func (j *judge) boards() {
	noted := map[say.Text][]string{} // boards by what is noted of them, which may be the same of a whole class
	for _, b := range j.Boards {
		if b.State != Down && b.State != Out && !b.Why.IsZero() {
			noted[b.Why] = append(noted[b.Why], b.Name)
		}
	}
	for _, b := range j.Boards {
		switch {
		case b.State == Down:
			j.trouble(say.BoardDown.With(b.Name, b.Why), none)
		case b.State == Out && j.Needs && (b.Serial == j.Self && b.Why.IsZero() || b.Why == j.Doing): // it is said already
		case b.State == Out:
			j.trouble(say.BoardOut.With(b.Name, b.Why), none)
		case noted[b.Why] != nil:
			j.note(say.BoardNote.With(say.List(noted[b.Why]), b.Why), none)
			delete(noted, b.Why)
		}
	}
}

func (j *judge) services() {
	for _, s := range j.Services {
		if s.Job || s.Running >= s.Wanted {
			continue
		}
		text := []say.Text{say.TasksMissing.With(s.Name, s.Running, s.Wanted)}
		remedy := say.TasksHelp.With(s.Name)
		for _, f := range s.faults() {
			image, missing := strings.CutPrefix(f.error, noImage)
			image, _, _ = strings.Cut(image, "@")
			switch {
			case missing && f.boards() != "":
				text = append(text, say.NoImage.With(image, f.boards()))
				remedy = say.NoImageHelp.With()
			case f.boards() != "":
				text = append(text, say.TaskFaultOn.With(f.error, f.boards()))
			default:
				text = append(text, say.TaskFault.With(f.error))
			}
			if strings.Contains(f.error, "vxlan") {
				remedy = say.VxlanHelp.With()
			}
		}
		if getting := s.preparing(); getting.on != nil {
			text = append(text, say.Fetching.With(s.Image, getting.boards()))
		}
		j.trouble(say.Join("", append(text, say.Words("."))...), remedy)
	}
}

func (j *judge) swarm() {
	s := j.Swarm
	if s == nil {
		return
	}
	switch {
	case s.Lost: // what the board does says it
		return
	case s.Leaderless:
		j.trouble(say.Leaderless.With(), say.LeaderlessHelp.With())
		return
	case j.Source == "":
		j.trouble(say.NoManagerAnswers.With(), say.NoManagerAnswersHelp.With())
		return
	}
	var managers []string
	workers := 0
	for _, b := range j.Boards {
		switch b.Role {
		case Leader, Manager:
			managers = append(managers, b.Name)
		case Worker:
			workers++
		}
	}
	more := none
	if len(managers)+workers >= 3 {
		more = say.MoreManagers.With()
	}
	switch {
	case s.Reachable < s.Managers:
		j.trouble(say.ManagersReachable.With(s.Reachable, s.Managers), say.ManagersReachableHelp.With())
	case s.Managers == 1 && len(managers) == 1 && len(j.Boards) > 1:
		j.note(say.OneManager.With(managers[0]), more)
	case s.Managers == 2 && len(managers) == 2:
		j.note(say.TwoManagers.With(managers[0], managers[1]), more)
	}
	if s.CertDays > 0 && s.CertDays < certDaysLow {
		j.note(say.CertificatesShort.With(s.CertDays), say.CertificatesShortHelp.With())
	}
	if left := s.RootEnds.Sub(j.Drawn); !s.RootEnds.IsZero() && left < rootEndsSoon {
		j.trouble(say.AuthorityEnds.With(s.RootEnds.Format(time.DateOnly)), say.AuthorityEndsHelp.With())
	}
}

func (j *judge) clocks() {
	for _, b := range j.Boards {
		if b.Clock == nil || math.Abs(*b.Clock) < clockOff.Seconds() {
			continue
		}
		j.note(say.ClockOff.With(b.Name, say.Offset(*b.Clock)), say.ClockOffHelp.With())
	}
}
