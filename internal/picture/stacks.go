package picture

import (
	"fmt"
	"strings"

	"github.com/pi-agent/pi-agent/internal/tame"
)

// boundedTexts are those that are shown: they may come from another board.
func boundedTexts(texts []string) []string {
	all := append([]string{}, texts[:min(len(texts), stacksMax)]...)
	for i := range all {
		all[i] = tame.Cut(all[i], textMax)
	}
	return all
}

func (j *judge) stacks() {
	where := "the board that leads"
	for _, b := range j.Boards {
		if b.Role == Leader {
			where = b.Name
		}
	}
	for _, text := range boundedTexts(j.StackErrors) {
		j.trouble(fmt.Sprintf("Put the file on %s right: it is then deployed by itself.", where), "%s", text)
	}
	for _, text := range boundedTexts(j.StackAdvice) {
		remedy := ""
		if strings.Contains(text, leftOut) {
			remedy = "A container that cannot do without runs on one board with docker run, outside the swarm."
		}
		j.note(remedy, "%s", text)
	}
}
