package bootstrap

// Outdated: a summer on the shelf. The certificate of a node ends while it is off, and its engine then does not enter the
// swarm any more. A worker joins anew. A manager is left as it is, for it may hold the only copy of what is in the swarm, and
// an engine in this state refuses to be made the beginning of a new cluster.

import (
	"fmt"
	"strings"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// expired reports whether an engine says that the certificate of its node has ended. That it is not valid yet is in the
// same words of the same library, but for one.
func expired(text string) bool {
	return strings.Contains(text, "certificate") && strings.Contains(text, "expired") && !strings.Contains(text, "is before")
}

// outdated decides for a node whose certificate has expired.
func outdated(v View) Action {
	if v.Member.Manager {
		return trouble("The certificate of this manager has expired while it was off, and the Docker Engine does not enter its swarm. " +
			"This board leaves it alone, for it may hold the only copy of what is in the swarm")
	}
	for _, p := range v.Peers {
		if p.Claim.State == peer.Manager && p.Claim.Swarm != "" && p.Claim.Swarm == v.Member.Swarm && v.fresh(p) {
			if p.Barred != nil {
				return trouble("The certificate of this worker has expired, and it does not follow %s: %v", p.Claim.Serial.Name(), p.Barred)
			}
			return Action{Kind: Move, Target: p, Reason: fmt.Sprintf(
				"The certificate of this worker has expired while it was off: joining the swarm of %s anew", p.Claim.Serial.Name())}
		}
	}
	return wait("The certificate of this worker has expired while it was off: waiting for a manager of its swarm to answer")
}
