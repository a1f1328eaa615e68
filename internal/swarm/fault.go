package swarm

import "strings"

// Fault is what is wrong with an engine that cannot enter its swarm, as far as somebody acts on it.
type Fault int

// The faults.
const (
	FaultNone           Fault = iota // nothing that is known here
	FaultCertificate                 // a certificate has expired, of this node or of one that it has asked
	FaultOwnCertificate              // the certificate of this node has expired
	FaultRaft                        // it cannot become a manager, for none that it asks answers
)

// Fault sorts what the engine says in Error.
func (s Status) Fault() Fault {
	says := func(text string) bool { return strings.Contains(s.Error, text) }
	switch {
	// That a certificate is not valid yet is in the same words of the same library, but for one.
	case says("certificate") && says("expired") && !says("is before"):
		if says("loading TLS certificate") {
			return FaultOwnCertificate
		}
		return FaultCertificate
	case says("can't initialize raft node"):
		return FaultRaft
	}
	return FaultNone
}
