package swarm

// This file reads what an engine says in its status of its own part in a swarm. Errors of calls are sorted in
// errors.go.

import "strings"

// Fault is what is wrong with an engine's part in its swarm, sorted by what to do about it.
type Fault int

// The faults. What is none of these is NoFault, and what the engine says of it is in Status.Error.
const (
	NoFault Fault = iota
	// Expired: a certificate has ended, of this node or of one that it asked. Only what is known of the node tells which.
	Expired
	// OwnExpired: the certificate of this node has ended.
	OwnExpired
	// Stranded: the node is to be a manager, and the one that it asks does not answer. Until it is restarted it asks no
	// other.
	Stranded
	// NoMajority: the node is a manager and does not reach enough of the others. Wait for them.
	NoMajority
)

// Fault tells what is wrong. The words are the same in Docker 20.10 and 28.5.
func (s Status) Fault() Fault {
	has := func(words string) bool { return strings.Contains(s.Error, words) }
	// That a certificate is not valid yet is in the same words, but for one.
	expired := has("certificate") && has("expired") && !has("is before")
	switch {
	case s.State == Active && s.Manager && s.SwarmID == "" && len(s.Managers) > 1:
		return NoMajority
	case s.State != Failed:
		return NoFault
	case expired && has("loading TLS certificate"):
		return OwnExpired
	case expired:
		return Expired
	case has("can't initialize raft node"):
		return Stranded
	}
	return NoFault
}
