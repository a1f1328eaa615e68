package discovery

// This file tells the announcements of our cluster from those of others, and from forged ones.

import (
	"crypto/subtle"
	"errors"
	"net/netip"
	"strconv"
	"strings"
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

// errForged is the error of an announcement that names our cluster and is not signed with its key. It may also have
// been recorded and sent again from another address.
var errForged = errors.New("not signed with the cluster key")

// signature is that of an instance at addr, empty without a key. A goodbye has another one than the announcement that
// it takes back.
func (c Cluster) signature(i instance, addr netip.Addr) string {
	if c.Sign == nil {
		return ""
	}
	return c.Sign(strings.Join([]string{ // none of which can have a line break
		txtVersion, string(i.serial), i.serial.Instance(), addr.String(), strconv.Itoa(peer.Port),
		strconv.Itoa(int(i.ttl / time.Second)), i.claim.Cluster, i.claim.Tag, string(i.claim.State), i.claim.Swarm,
	}, "\n"))
}

// same reports whether a board says that it is in this cluster.
func (c Cluster) same(claim peer.Claim) bool { return claim.Cluster == c.Name && claim.Tag == c.Tag }

// signed reports whether an instance at addr is signed with the key, if there is one.
func (c Cluster) signed(i instance, addr netip.Addr) bool {
	return subtle.ConstantTimeCompare([]byte(i.signature), []byte(c.signature(i, addr))) == 1
}
