package trust

// This file keeps out the boards that the settings name.

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// errDenied is what a board is told whose serial is denied.
var errDenied = errors.New(`its serial is in "deny", in the settings`)

// Deny is a Model that accepts no board with one of some serials, whatever it proves. A board may say another serial
// than its own: against one that has the key, and is not what it was, only another key helps.
type Deny struct {
	Model
	serials []peer.Serial
	log     *zap.Logger

	mu   sync.Mutex
	told map[peer.Serial]bool
}

var _ Model = (*Deny)(nil)

// NewDeny returns model without the boards that have these serials.
func NewDeny(model Model, serials []peer.Serial, log *zap.Logger) *Deny {
	return &Deny{Model: model, serials: serials, log: log, told: map[peer.Serial]bool{}}
}

// Peer implements Model. Each board that it denies is told to the log once.
func (t *Deny) Peer(c Contact) error {
	serial := c.Claim.Serial
	if !slices.Contains(t.serials, serial) {
		return t.Model.Peer(c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.told[serial] {
		t.told[serial] = true
		t.log.Info(fmt.Sprintf("%s is denied by the settings, and kept out.", serial.Name()),
			zap.Stringer("addr", c.From), zap.Stringer("key", c.Key))
	}
	return errDenied
}
