package ports

// This file says in sentences who has a port of ours.

import (
	"fmt"
	"strings"
)

// What ports are needed for.
const (
	useHello    = "hello and join"
	useManagers = "the managers of the swarm"
	useGossip   = "news between nodes"
	useOverlay  = "overlay networks"
	usePage     = "the page of this board"
	useMDNS     = "finding the other boards"
)

// String is who it is, as far as that is known.
func (h Holder) String() string {
	switch {
	case h.Program != "" && h.Unit != "":
		return fmt.Sprintf("%s (%d, %s)", h.Program, h.PID, h.Unit)
	case h.Program != "":
		return fmt.Sprintf("%s (%d)", h.Program, h.PID)
	case h.Unit != "":
		return h.Unit
	}
	return "another program"
}

// Text says in a sentence what is wrong.
func (h Holder) Text() string {
	return fmt.Sprintf("Port %d/%s is taken by %s, and is needed for %s.", h.Port.Number, h.Port.Network, h, h.Port.Use)
}

// Told is the port that a Text is about; ok is false when it is about none.
func Told(text string) (p Port, ok bool) {
	for _, p := range Own {
		if strings.HasPrefix(text, fmt.Sprintf("Port %d/%s is", p.Number, p.Network)) {
			return p, true
		}
	}
	return Port{}, false
}

// Remedy says what to do, in a sentence.
func (h Holder) Remedy() string {
	find, then := "Stop that program, or give it another port", ", then sudo systemctl restart docker."
	switch {
	case h.Program == "docker-proxy":
		find = "Let that container publish another port: docker ps shows which it is"
	case h.Program == "" && h.Unit == "":
		find = "Stop that program, or give it another port: sudo pi-agent doctor names it"
	}
	if h.Port.Agent {
		then = "; pi-agent takes the port by itself then."
	}
	return find + then
}
