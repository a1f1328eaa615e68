package policy

// Certificates: a summer on the shelf. The certificate of a node ends while it is off, and its engine then does not enter the
// swarm any more. A worker joins anew. The only manager of a swarm has all of it on its card: Docker makes it the beginning
// of that swarm again, with a new certificate, if its engine does not know any more that it was in one. That knowledge is a
// file of its own, which root moves away (see the package prepare). From then until the swarm is back an engine that is
// asked to join or to found a swarm deletes the old one; what it is to be asked instead is remembered on the card before.
// Of several managers each is left as it is, for the others may know more.

import (
	"fmt"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The reasons of a manager whose certificate has expired.
const (
	expiredManager = "The certificate of this manager has expired while it was off"
	bringingItBack = expiredManager + ": bringing its swarm back with all that is in it"
	leaveByHand    = "\"sudo docker swarm leave --force\" here, and this board joins anew"
)

// forgottenSwarm brings a swarm back that the engine was made to forget: anything else would delete it.
func forgottenSwarm(v View) (Action, bool) {
	if v.Engine.State != swarm.Inactive || !v.Member.Revive.IsValid() {
		return Action{}, false
	}
	return Action{Kind: ForceNewCluster, Reason: bringingItBack}, true
}

// expiredCertificate decides for a node whose certificate has expired. An engine of which nothing is remembered may speak of
// the certificate that a manager has shown.
func expiredCertificate(v View) (Action, bool) {
	fault := v.Engine.Fault()
	own := fault == swarm.OwnExpired || fault == swarm.Expired && v.Member.Node != ""
	switch {
	case v.Engine.State != swarm.Failed || !own:
		return Action{}, false
	case v.Member.Node == "":
		return trouble("The certificate of this board has expired while it was off, and it does not know any more whether it manages a " +
			"swarm. If it does not: " + leaveByHand), true
	case v.Member.Manager:
		return expiredCertificateOfManager(v), true
	}
	for _, p := range v.Boards.Peers {
		if p.Claim.State == peer.Manager && p.Claim.Swarm != "" && p.Claim.Swarm == v.Member.Swarm && v.fresh(p) {
			if p.Barred != nil {
				return trouble("The certificate of this worker has expired, and it does not follow %s: %v", p.name(), p.Barred), true
			}
			return Action{Kind: Move, Target: p, Reason: fmt.Sprintf(
				"The certificate of this worker has expired while it was off: joining the swarm of %s anew", p.name())}, true
		}
	}
	return wait("The certificate of this worker has expired while it was off: waiting for a manager of its swarm to answer"), true
}

func expiredCertificateOfManager(v View) Action {
	switch {
	case !v.Member.Sole:
		return trouble("%s%s%s", expiredManager, ", and the Docker Engine does not enter its swarm. The swarm has more managers, which may know "+
			"more than this one. If one of them works: ", leaveByHand)
	case v.Engine.ForgetAsked.IsZero():
		return Action{Kind: ForceNewCluster, Reason: bringingItBack}
	case v.Now.Sub(v.Engine.ForgetAsked) < v.Timing.Forget:
		return wait(bringingItBack)
	}
	return trouble(expiredManager + ", and its swarm could not be brought back: \"journalctl -u pi-agent-prepare\" says why")
}
