package discovery

// This file tells the journal of trouble with multicast, each kind once for a link.

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"go.uber.org/zap"
)

// journal tells what a person can do something about, each kind of trouble once for a link. The rest is for debugging.
type journal struct {
	log     *zap.Logger
	told    map[told]bool
	ignored int // packets and instances
}

// trouble is a kind of trouble.
type trouble byte

const (
	notAnnounced trouble = iota // the claim cannot be announced
	notOpened                   // the socket, or the responder
	notReceived                 // the socket failed
	notSent                     // at no address
	notHeard                    // our own announcements do not come back
	otherVersion                // a board speaks another version
	crowded                     // there are more boards than are followed
)

// told is what was told: a kind of trouble, and the error of the system that caused it, if one did.
type told struct {
	what  trouble
	cause syscall.Errno
}

// once warns of err unless that was told.
func (j *journal) once(what trouble, err error, format string, args ...any) {
	now := told{what: what}
	errors.As(err, &now.cause)
	if !j.told[now] {
		j.told[now] = true
		j.log.Warn(fmt.Sprintf(format, args...))
	}
}

// ignore counts what was not taken.
func (j *journal) ignore(from netip.Addr, err error) {
	j.ignored++
	j.log.Debug("Ignored an mDNS packet or a part of it.", zap.Stringer("address", from), zap.Error(err),
		zap.Int("ignored_so_far", j.ignored))
	switch {
	case errors.Is(err, errVersion):
		j.once(otherVersion, nil, "A board at %s is left out: %v.", from, err)
	case errors.Is(err, errFull):
		j.once(crowded, nil, "Too many boards announce themselves; at most %d are followed at a time, %d at one address.",
			hintsMax, hintsPerAddr)
	}
}
