package picture

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Warning is something that a person should know, with what to do about it.
type Warning struct {
	Text    string `json:"text"`
	Remedy  string `json:"remedy,omitempty"`
	Trouble bool   `json:"trouble"` // something does not work now; otherwise it may not later
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

func (j *judge) trouble(remedy, format string, args ...any) {
	j.troubles = append(j.troubles, Warning{fmt.Sprintf(format, args...), remedy, true})
}

func (j *judge) note(remedy, format string, args ...any) {
	j.notes = append(j.notes, Warning{fmt.Sprintf(format, args...), remedy, false})
}

func (j *judge) agent() {
	if j.Needs {
		j.trouble("", "%s", j.Doing)
	}
}

func (j *judge) boards() {
	noted := map[string][]string{} // boards by what is noted of them, which may be the same of a whole class
	for _, b := range j.Boards {
		if b.State != Down && b.State != Out && b.Why != "" {
			noted[b.Why] = append(noted[b.Why], b.Name)
		}
	}
	for _, b := range j.Boards {
		switch {
		case b.State == Down:
			j.trouble("", "%s is down. %s", b.Name, b.Why)
		case b.State == Out && j.Needs && (b.Serial == j.Self && b.Why == "" || b.Why == j.Doing): // it is said already
		case b.State == Out:
			j.trouble("", "%s is not in the swarm. %s", b.Name, b.Why)
		case noted[b.Why] != nil:
			j.note("", "%s: %s", namesOf(noted[b.Why]), b.Why)
			delete(noted, b.Why)
		}
	}
}

// namesMax is how many boards one sentence names.
const namesMax = 4

func namesOf(all []string) string {
	if more := len(all) - namesMax; more > 0 {
		return fmt.Sprintf("%s, +%d", strings.Join(all[:namesMax], ", "), more)
	}
	return strings.Join(all, ", ")
}

func (j *judge) services() {
	for _, s := range j.Services {
		if s.Job || s.Running >= s.Wanted {
			continue
		}
		text := fmt.Sprintf("%s runs %d of %d tasks", s.Name, s.Running, s.Wanted)
		remedy := fmt.Sprintf("docker service ps --no-trunc %s on a manager tells more.", s.Name)
		for _, f := range s.faults() {
			image, missing := strings.CutPrefix(f.error, noImage)
			image, _, _ = strings.Cut(image, "@")
			switch {
			case missing && f.boards() != "":
				text += fmt.Sprintf(": there is no image %s on %s", image, f.boards())
				remedy = "Check its name, and that those boards reach the internet; or load it on each of them with docker load."
			case f.boards() != "":
				text += fmt.Sprintf(": %s on %s", f.error, f.boards())
			default:
				text += ": " + f.error
			}
			if strings.Contains(f.error, "vxlan") {
				remedy = "The kernel of that board has no vxlan. On Ubuntu: sudo apt install linux-modules-extra-raspi, and reboot."
			}
		}
		if getting := s.preparing(); getting.on != nil {
			text += fmt.Sprintf(": %s is being fetched on %s", s.Image, getting.boards())
		}
		j.trouble(remedy, "%s.", text)
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
		j.trouble("Switch on those that are off. Containers go on running meanwhile.",
			"The managers of the swarm have no majority: it cannot be changed, and its nodes are not known.")
		return
	case j.Source == "":
		j.trouble("Switch the managers on. Containers go on running meanwhile.",
			"No manager of the swarm answers: this is only what this board knows by itself.")
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
	more := ""
	if len(managers)+workers >= 3 {
		more = "Set managers = 3 in pi-agent.toml on every board." // docker node promote is undone where a number is set
	}
	switch {
	case s.Reachable < s.Managers:
		j.trouble("Switch the others on.", "%d of %d managers are reachable.", s.Reachable, s.Managers)
	case s.Managers == 1 && len(j.Boards) > 1:
		j.note(more, "1 manager: if %s fails, the swarm cannot be changed.", strings.Join(managers, ""))
	case s.Managers == 2:
		j.note(more, "2 managers: if %s fails, the swarm cannot be changed.", strings.Join(managers, " or "))
	}
	if s.CertDays > 0 && s.CertDays < certDaysLow {
		j.note("docker swarm update --cert-expiry 43800h on a manager.",
			"Certificates of the nodes are valid for %d days: boards that are off for longer do not come back.", s.CertDays)
	}
	if left := s.RootEnds.Sub(j.Drawn); !s.RootEnds.IsZero() && left < rootEndsSoon {
		j.trouble("docker swarm ca --rotate on a manager.", "The certificate authority of the swarm ends on %s.",
			s.RootEnds.Format(time.DateOnly))
	}
}

func (j *judge) clocks() {
	for _, b := range j.Boards {
		if b.Clock == nil || math.Abs(*b.Clock) < clockOff.Seconds() {
			continue
		}
		j.note("Connect the boards to the internet, or give them a time server.", "The clock of %s is %s.", b.Name, Offset(*b.Clock))
	}
}

// Offset is how far a clock is off, in words.
func Offset(seconds float64) string {
	way := "ahead"
	if seconds < 0 {
		way = "behind"
	}
	return Ago(time.Duration(math.Abs(seconds)*float64(time.Second))) + " " + way
}

// Ago is a time span as people say it, in one unit.
func Ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
