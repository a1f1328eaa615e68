package picture

import "fmt"

// boundedStackErrors are those that are shown: they may come from another board.
func (p Picture) boundedStackErrors() []string {
	all := append([]string{}, p.StackErrors[:min(len(p.StackErrors), stacksMax)]...)
	for i := range all {
		all[i] = cut(all[i])
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
	for _, text := range j.boundedStackErrors() {
		j.trouble(fmt.Sprintf("Put the file on %s right: it is then deployed by itself.", where), "%s", text)
	}
}
