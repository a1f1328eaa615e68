package discovery

import (
	"crypto/subtle"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Cluster says whose announcements count.
type Cluster struct {
	Name string                   // of the cluster, as peer.CheckCluster wants it
	Tag  string                   // of the cluster key; empty without one
	Sign func(text string) string // signs with the cluster key, at most 32 characters of ASCII; nil without one
	Deny []peer.Serial            // boards that do not count
}

// errForged is the error of an announcement that names our cluster and is not signed with its key. It may also have been
// recorded and sent again from another address.
var errForged = errors.New("not signed with the cluster key")

// sign makes the signature of what is said of a board. A goodbye has another one than the announcement it takes back.
func (c Cluster) sign(s sighting, addr netip.Addr) string {
	if c.Sign == nil {
		return ""
	}
	return c.Sign(strings.Join([]string{ // none of which can have a line break
		txtVersion, string(s.serial), s.serial.Instance(), addr.String(), strconv.Itoa(int(s.port)),
		strconv.Itoa(int(s.ttl / time.Second)), s.claim.Cluster, s.claim.Tag, string(s.claim.State), s.claim.Swarm,
	}, "\n"))
}

// same reports whether a board says that it is in this cluster.
func (c Cluster) same(claim peer.Claim) bool { return claim.Cluster == c.Name && claim.Tag == c.Tag }

// signed reports whether that is signed with the key, if there is one.
func (c Cluster) signed(s sighting, addr netip.Addr) bool {
	return subtle.ConstantTimeCompare([]byte(s.mac), []byte(c.sign(s, addr))) == 1
}

// Bounds of what is known of other clusters. Whoever can send to the link can invent them.
const (
	othersMax   = 64
	othersHeard = 3 * time.Minute // how long one counts that is not heard again; with announceMax, three may be lost
)

// others are the clusters that are near and not ours. It is safe for concurrent use.
type others struct {
	mu    sync.Mutex
	until map[group]time.Time
	seen  map[peer.Serial]neighbour
}

type group struct{ name, tag string }

// note takes in a claim that was heard at now.
func (o *others) note(c peer.Claim, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := group{c.Cluster, c.Tag}
	if _, known := o.until[at]; known || len(o.until) < othersMax {
		o.until[at] = now.Add(othersHeard)
		o.see(c, now)
	}
}

// count forgets the clusters that were not heard for long, and counts the others.
func (o *others) count(now time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for at, until := range o.until {
		if !until.After(now) {
			delete(o.until, at)
		}
	}
	return len(o.until)
}
