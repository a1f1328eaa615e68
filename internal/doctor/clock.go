package doctor

// The clock: with one that is wrong certificates are not valid.

import (
	"context"
	"github.com/pi-agent/pi-agent/internal/say"
	"math"
	"time"
)

// How far clocks may be apart.
const (
	clockAside = time.Minute
	clockWrong = 5 * time.Minute // certificates begin that long before their making
)

func checkClock(_ context.Context, p *Patient) []Result {
	const name = "clock"
	const remedy = "sudo timedatectl set-ntp true, and connect the board to the internet or give it a time server"
	synced, err := p.Synced()
	switch {
	case p.Now.Before(p.Built):
		return with(fail(name, "sudo timedatectl set-ntp true, and connect it to the internet; "+
			"or set the clock with sudo timedatectl set-time",
			"It says %s, when there was no such pi-agent yet.", p.Now.Format(time.DateOnly)), "timedatectl", "set-ntp", "true")
	case err != nil:
		return skip(name, "The kernel does not say: %v.", err)
	case !synced:
		return with(warn(name, remedy, "It says %s, and no time server has set it.", p.Now.Format("2006-01-02 15:04")),
			"timedatectl", "set-ntp", "true")
	}
	return pass(name, "It says %s, and a time server sets it.", p.Now.Format("2006-01-02 15:04"))
}

func checkClocks(_ context.Context, p *Patient) (all []Result) {
	const name, remedy = "clocks of boards", "give all boards the same time server"
	for _, b := range p.Picture.Boards {
		if b.Clock == nil {
			continue
		}
		switch off := time.Duration(math.Abs(*b.Clock) * float64(time.Second)); {
		case off >= clockWrong:
			all = append(all, fail(name, remedy, "The clock of %s is %s, too far for certificates to be valid.",
				b.Name, say.Offset(*b.Clock))...)
		case off >= clockAside:
			all = append(all, warn(name, remedy, "The clock of %s is %s.", b.Name, say.Offset(*b.Clock))...)
		}
	}
	if len(all) == 0 && len(p.Picture.Boards) > 1 {
		return pass(name, "They agree.")
	}
	return all
}
