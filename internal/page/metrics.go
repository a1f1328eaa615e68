package page

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/pi-agent/pi-agent/internal/picture"
)

// metrics is what is worth an alert, as Prometheus reads it. A board that is down is told by those that are up.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	p := s.Picture(r.Context())
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var b bytes.Buffer
	writeMetrics(&b, p)
	_, _ = w.Write(b.Bytes()) // who does not wait for it does not want it
}

func writeMetrics(w io.Writer, p picture.Picture) {
	gauge := func(name, help string) {
		_, _ = fmt.Fprintf(w, "# HELP pi_agent_%s %s\n# TYPE pi_agent_%s gauge\n", name, help, name)
	}
	value := func(name, labels string, v float64) { _, _ = fmt.Fprintf(w, "pi_agent_%s%s %v\n", name, labels, v) }

	count := map[picture.State]float64{}
	for _, b := range p.Boards {
		count[b.State]++
	}
	gauge("boards", "Boards known, by whether they are in the swarm.")
	for _, s := range []picture.State{picture.Ready, picture.Down, picture.In, picture.Out} {
		value("boards", labels("state", string(s)), count[s])
	}
	gauge("troubles", "Things that do not work now, as pi-agent status tells them.")
	troubles := 0.0
	for _, t := range p.Warnings {
		troubles += truth(t.Trouble)
	}
	value("troubles", "", troubles)
	gauge("needs_help", "1 when the agent of this board waits for a person.")
	value("needs_help", "", truth(p.Needs))
	if p.Swarm != nil && p.Source != "" {
		gauge("managers", "Managers of the swarm.")
		value("managers", "", float64(p.Swarm.Managers))
		gauge("managers_reachable", "Managers of the swarm that are reachable.")
		value("managers_reachable", "", float64(p.Swarm.Reachable))
		if !p.Swarm.RootEnds.IsZero() {
			gauge("authority_expiry_timestamp_seconds", "When the certificate authority of the swarm ends, in Unix time.")
			value("authority_expiry_timestamp_seconds", "", float64(p.Swarm.RootEnds.Unix()))
		}
	}
	if len(p.Services) > 0 {
		gauge("service_tasks_wanted", "Tasks that a service should run.")
		for _, s := range p.Services {
			value("service_tasks_wanted", labels("service", s.Name), float64(s.Wanted))
		}
		gauge("service_tasks_running", "Tasks of a service that run.")
		for _, s := range p.Services {
			value("service_tasks_running", labels("service", s.Name), float64(s.Running))
		}
	}
	clocks := false
	for _, b := range p.Boards {
		if b.Clock == nil {
			continue
		}
		if !clocks {
			gauge("clock_offset_seconds", "How far the clock of a board is ahead of that of this one.")
			clocks = true
		}
		value("clock_offset_seconds", labels("board", b.Name, "serial", string(b.Serial)), *b.Clock)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// escape is for values of labels, and for no more than a line.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labels are pairs of names and values.
func labels(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+escape.Replace(strings.ToValidUTF8(pairs[i+1], ""))+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}
