package doctor

// Who the board is: nothing works well when two boards are called the same.

import (
	"context"
	"strings"

	"github.com/pi-agent/pi-agent/internal/picture"
)

func checkName(_ context.Context, p *Patient) []Result {
	const check = "name"
	self := p.Picture.Board(p.Picture.Self)
	if self == nil {
		return nil
	}
	for _, b := range p.Picture.Boards {
		if b.Serial != self.Serial && strings.EqualFold(b.Name, self.Name) {
			return warn(check, "sudo hostnamectl set-hostname NAME on one of them, and restart docker there",
				"This board is called %s, and so is the one with serial %s.", self.Name, b.Serial)
		}
	}
	return pass(check, "No other board is called %s.", self.Name)
}

func checkSerial(_ context.Context, p *Patient) []Result {
	const check = "serial"
	n := 0
	for _, b := range p.Picture.Boards {
		if b.Serial == p.Picture.Self && b.State != picture.Down {
			n++
		}
	}
	if n > 1 {
		return fail(check, `give one of them another with serial = "..." in pi-agent.toml`,
			"Two boards have the serial %s.", p.Picture.Self)
	}
	return pass(check, "No other board has the serial %s.", p.Picture.Self)
}
