package peer

import "time"

// Place is where a board stands in its swarm. It is zero on a board that is no manager.
type Place struct {
	Swarm string    // id of the swarm that the board manages
	Leads bool      // whether it is the one manager that leads the others
	Calm  time.Time // when a node last came or went
}
