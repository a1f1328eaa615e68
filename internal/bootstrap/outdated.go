package bootstrap

// Outdated: a summer on the shelf. The certificate of a node ends while it is off, and its engine then does not enter the
// swarm any more. A worker joins anew. The only manager of a swarm has all of it on its card: Docker makes it the beginning
// of that swarm again, with a new certificate, if its engine does not know any more that it was in one. That knowledge is a
// file of its own, which root moves away (see the package prepare). From then until the swarm is back an engine that is
// asked to join or to found a swarm deletes the old one; what it is to be asked instead is remembered on the card before.
// Of several managers each is left as it is, for the others may know more.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The reasons of a manager whose certificate has expired.
const (
	expiredManager = "The certificate of this manager has expired while it was off"
	reviving       = expiredManager + ": bringing its swarm back with all that is in it"
)

// expired reports whether an engine says that the certificate of its node has ended. That it is not valid yet is in the
// same words of the same library, but for one.
func expired(text string) bool {
	return strings.Contains(text, "certificate") && strings.Contains(text, "expired") && !strings.Contains(text, "is before")
}

// ownCertificate reports whether an engine speaks of the certificate of its node, and not of one that another has shown.
func ownCertificate(text string) bool { return strings.Contains(text, "loading TLS certificate") }

// outdated decides for a node whose certificate has expired.
func outdated(v View) Action {
	switch asked := !v.ForgetAsked.IsZero(); {
	case v.Member.Node == "":
		return trouble("The certificate of this board has expired while it was off, and it does not know any more whether it manages a " +
			"swarm. If it does not: \"sudo docker swarm leave --force\" here, and this board joins anew")
	case !v.Member.Manager:
	case !v.Member.Sole:
		return trouble(expiredManager + ", and the Docker Engine does not enter its swarm. The swarm has more managers, which may know " +
			"more than this one. If one of them works: \"sudo docker swarm leave --force\" here, and this board joins anew")
	case !asked:
		return Action{Kind: Revive, Reason: reviving}
	case v.Now.Sub(v.ForgetAsked) < v.Timing.Forget:
		return wait(reviving)
	default:
		return trouble(expiredManager + ", and its swarm could not be brought back: \"journalctl -u pi-agent-prepare\" says why")
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

// revive lets the engine forget its swarm, and when it has, makes it the manager of that swarm again.
func (l *Loop) revive(ctx context.Context) error {
	if l.status.State == swarm.Inactive {
		if err := l.Engine.Revive(ctx, l.Member.Revive); err != nil {
			return fmt.Errorf("bring the swarm back: %w", err)
		}
		l.forgetAsked = time.Time{} // a power cut before the certificate is renewed makes it necessary once more
		return nil
	}
	m := l.Member
	m.Revive = l.status.Addr
	if !m.Revive.IsValid() {
		return errors.New("bring the swarm back: the Docker Engine does not say at which address it was")
	}
	if err := l.Remember(m); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	l.Member = m
	if err := l.ForgetSwarm(); err != nil {
		return fmt.Errorf("bring the swarm back: %w", err)
	}
	l.forgetAsked = time.Now()
	return nil
}
