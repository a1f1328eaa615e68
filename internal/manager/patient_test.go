package manager

import (
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// patient is the patience that boards have.
var patient = timing.Product()

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// The serials of boards in tests.
const (
	low  = peer.Serial("1000000000000001")
	mine = peer.Serial("1000000000000005")
	mid  = peer.Serial("1000000000000006")
	high = peer.Serial("1000000000000009")
)
