package policy

// Certificates: a summer on the shelf. The certificate of a node ends while it is off, and its engine then does not
// enter the swarm any more. A worker joins anew. The only manager of a swarm has all of it on its card: Docker makes it
// the beginning of that swarm again, with a new certificate, if its engine does not know any more that it was in one.
// That knowledge is a file of its own, which root moves away (see the package prepare). From then until the swarm is
// back an engine that is asked to join or to found a swarm deletes the old one; what it is to be asked instead is
// remembered on the card before. Of several managers each is left as it is, for the others may know more.

import (
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// forgottenSwarm brings a swarm back that the engine was made to forget: anything else would delete it.
func forgottenSwarm(v View) (Action, bool) {
	if v.Engine.State != swarm.Inactive || !v.Member.Revive.IsValid() {
		return Action{}, false
	}
	return Action{Kind: ForceNewCluster, Reason: say.ExpiredRevives.With()}, true
}

// expiredCertificate decides for a node whose certificate has expired. An engine of which nothing is remembered may
// speak of the certificate that a manager has shown.
func expiredCertificate(v View) (Action, bool) {
	fault := v.Engine.Fault()
	own := fault == swarm.OwnExpired || fault == swarm.Expired && v.Member.Node != ""
	switch {
	case v.Engine.State != swarm.Failed || !own:
		return Action{}, false
	case v.Member.Node == "":
		return trouble(say.ExpiredUnknown.With()), true
	case v.Member.Manager:
		return expiredCertificateOfManager(v), true
	}
	for _, p := range v.Boards.Peers {
		if p.Claim.State == peer.Manager && p.Claim.Swarm != "" && p.Claim.Swarm == v.Member.Swarm && v.fresh(p) {
			if p.Barred != nil {
				return trouble(say.ExpiredNotFollowed.With(p.name(), p.Barred)), true
			}
			return Action{Kind: Move, Target: p, Reason: say.ExpiredJoins.With(p.name())}, true
		}
	}
	return wait(say.ExpiredWaits.With()), true
}

func expiredCertificateOfManager(v View) Action {
	switch {
	case !v.Member.Sole:
		return trouble(say.ExpiredOfSeveral.With())
	case v.Engine.ForgetAsked.IsZero():
		return Action{Kind: ForceNewCluster, Reason: say.ExpiredRevives.With()}
	case v.Now.Sub(v.Engine.ForgetAsked) < v.Timing.Forget:
		return wait(say.ExpiredRevives.With())
	}
	return trouble(say.ExpiredLost.With())
}
