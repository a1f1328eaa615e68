package picture

import (
	"cmp"
	"slices"
	"strings"
)

// noImage is how the engine begins what it says of an image that it neither has nor gets.
const noImage = "No such image: "

// fault is one reason why tasks of a service do not run, with the names of the boards that have it.
type fault struct {
	error string
	on    []string
}

// faultsMax is how many reasons of one service are told.
const faultsMax = 3

// faults are the reasons of a service, that of its first task first.
func (s Service) faults() (all []fault) {
	for _, t := range s.Tasks {
		if t.Error == "" {
			continue
		}
		i := slices.IndexFunc(all, func(f fault) bool { return f.error == t.Error })
		if i < 0 && len(all) == faultsMax {
			continue
		}
		if i < 0 {
			all = append(all, fault{error: t.Error})
			i = len(all) - 1
		}
		all[i].add(cmp.Or(t.ErrorBoard, t.Board))
	}
	return all
}

// preparing are the boards on which tasks without a fault are prepared, which is fetching the image for most of the
// time.
func (s Service) preparing() (f fault) {
	for _, t := range s.Tasks {
		if t.State == "preparing" && t.Error == "" {
			f.add(t.Board)
		}
	}
	return f
}

func (f *fault) add(board string) {
	if board != "" && !slices.Contains(f.on, board) {
		f.on = append(f.on, board)
	}
}

// boards names those of a fault.
func (f fault) boards() string {
	const shown = 6
	if len(f.on) > shown {
		return strings.Join(f.on[:shown], ", ") + ", ..."
	}
	return strings.Join(f.on, ", ")
}
