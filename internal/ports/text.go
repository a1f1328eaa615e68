package ports

// This file says in sentences who has a port of ours.

import (
	"fmt"

	"github.com/pi-agent/pi-agent/internal/say"
)

// who it is, as far as that is known.
func (h Holder) who() say.Text {
	switch {
	case h.Program != "" && h.Unit != "":
		return say.Words(fmt.Sprintf("%s (%d, %s)", h.Program, h.PID, h.Unit))
	case h.Program != "":
		return say.Words(fmt.Sprintf("%s (%d)", h.Program, h.PID))
	case h.Unit != "":
		return say.Words(h.Unit)
	}
	return say.AnotherProgram.With()
}

// String is who it is, as far as that is known.
func (h Holder) String() string { return h.who().En }

// Text says in a sentence what is wrong.
func (h Holder) Text() say.Text {
	return say.PortTaken.With(h.Port.Number, h.Port.Network, h.who(), h.Port.Use)
}

// Remedy says what to do, in a sentence.
func (h Holder) Remedy() say.Text {
	find, then := say.StopProgram.With(), say.ThenRestart.With()
	switch {
	case h.Program == "docker-proxy":
		find = say.MovePublished.With()
	case h.Program == "" && h.Unit == "":
		find = say.StopUnknown.With()
	}
	if h.Port.Agent {
		then = say.ThenByItself.With()
	}
	return say.Join("", find, then)
}
