package picture

import (
	"github.com/pi-agent/pi-agent/internal/say"
)

// boundedTexts are those that are shown: they may come from another board.
func boundedTexts(texts []say.Text) []say.Text {
	all := append([]say.Text{}, texts[:min(len(texts), stacksMax)]...)
	for i := range all {
		all[i] = cut(all[i], textMax)
	}
	return all
}

func (j *judge) stacks() {
	where := say.LeadingBoard.With()
	for _, b := range j.Boards {
		if b.Role == Leader {
			where = say.Words(b.Name)
		}
	}
	for _, text := range boundedTexts(j.StackErrors) {
		j.trouble(text, say.StackHelp.With(where))
	}
	for _, text := range boundedTexts(j.StackAdvice) {
		var remedy say.Text
		if say.StackLacks.Says(text) {
			remedy = say.StackLacksHelp.With()
		}
		j.note(text, remedy)
	}
}
