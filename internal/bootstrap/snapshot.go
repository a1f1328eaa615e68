package bootstrap

import (
	"net/netip"
	"sync/atomic"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// snapshot is what the newest turn has seen, decided and said. Whoever asks from outside the loop is answered from it:
// other boards, the page, the status, the light. It never changes.
type snapshot struct {
	view   policy.View
	action policy.Action // its Rule is empty before the first turn
	claim  peer.Claim
	ticket *ticketBase // nil when this board lets nobody join
	nodes  *nodeIDs    // of the swarm; nil when this board does not manage one, or its engine does not list them
	place  peer.Place  // zero then
}

// shown is the newest snapshot.
type shown struct{ atomic.Pointer[snapshot] }

// Claim is what the board says about itself right now. It may be called from any goroutine.
func (s *shown) Claim() peer.Claim { return s.Load().claim }

// nodeIDs are the nodes of a swarm.
type nodeIDs struct {
	all   []string
	ready int
}

// ticketBase is what a manager needs to hand out tickets, beside the token.
type ticketBase struct {
	advertise netip.Addr
	managers  []netip.AddrPort   // those that are reachable first
	keys      []peer.Fingerprint // of all managers, this board included; none with a cluster key
}

// verified is a board that was met, as package enroll knows it.
func verified(p policy.Peer) trust.Peer {
	return trust.Peer{Claim: p.Claim, Key: p.Key, Addr: p.Addr}
}
