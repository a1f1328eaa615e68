package peer

// This file says what a swarm holds, which would be lost with it.

import (
	"fmt"

	"github.com/pi-agent/pi-agent/internal/say"
)

// Contents is how much of each kind a manager says that its swarm has: what would be lost with it. Zero is not known.
type Contents struct {
	Nodes    int `json:"nodes"`
	Services int `json:"services,omitempty"`
	Secrets  int `json:"secrets,omitempty"`
	Configs  int `json:"configs,omitempty"`
}

// contentsMax bounds each number; Docker keeps a swarm's objects in memory and has no use for so many.
const contentsMax = 1_000_000

// Known reports whether anything is known: a swarm has at least one node.
func (c Contents) Known() bool { return c.Nodes > 0 }

// Empty reports whether the swarm is known to hold nothing but the one board that says so.
func (c Contents) Empty() bool { return c == Contents{Nodes: 1} }

// String names each kind, such as "3 nodes, 2 services, 0 secrets and 1 config".
func (c Contents) String() string { return c.Said().En }

// Said is that in every language.
func (c Contents) Said() say.Text { return say.Contents(c.Nodes, c.Services, c.Secrets, c.Configs) }

// validate checks contents that came from outside. The error names the value.
func (c Contents) validate() error {
	for _, n := range []int{c.Nodes, c.Services, c.Secrets, c.Configs} {
		if n < 0 || n > contentsMax {
			return fmt.Errorf("contents %+v: each number is 0 to %d", c, contentsMax)
		}
	}
	return nil
}
