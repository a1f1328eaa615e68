package bootstrap

import (
	"github.com/pi-agent/pi-agent/internal/timing"
)

// patient is the patience that boards have, and that they have in tests.
var patient = timing.Product()
