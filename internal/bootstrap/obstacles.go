package bootstrap

import (
	"github.com/pi-agent/pi-agent/internal/picture"
)

// portTaken is who has a port of this board that a node needs; nil when nobody has.
func (l *Loop) portTaken() error {
	if l.Taken == nil {
		return nil
	}
	return l.Taken()
}

// obstruct adds what is in the way on this board to its picture. What is told there already is left out.
func (l *Loop) obstruct(p *picture.Picture) {
	if l.Obstacles == nil {
		return
	}
	var all []picture.Warning
	for _, w := range l.Obstacles() {
		if !p.Needs || w.Text+" "+w.Remedy != p.Doing {
			all = append(all, w)
		}
	}
	p.Warnings = append(all, p.Warnings...)
}
