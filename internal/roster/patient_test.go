package roster

import (
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// patient is the patience that boards have.
var patient = timing.Product()

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const (
	low  = peer.Serial("1000000000000001")
	mine = peer.Serial("1000000000000005")
	high = peer.Serial("1000000000000009")
)
