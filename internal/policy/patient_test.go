package policy

import (
	"github.com/pi-agent/pi-agent/internal/timing"
)

// patient is the patience that boards have.
var patient = timing.Product()
