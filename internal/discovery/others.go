package discovery

// This file keeps which other clusters were heard lately, and their boards.

import (
	"sort"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Bounds of what is known of other clusters. Whoever can send to the link can invent them.
const (
	othersMax     = 64              // clusters
	neighboursMax = 256             // their boards
	othersHeard   = 3 * time.Minute // how long one counts that is not heard again; with announceMax, three may be lost
)

// Neighbour is a board of another cluster, as it was heard. Nothing of it is proved.
type Neighbour struct {
	Serial  peer.Serial
	Cluster string // name of its cluster
	Tag     string // of its cluster key, empty without one
}

// others are the clusters that are near and not ours, and their boards. It is safe for concurrent use.
type others struct {
	mu    sync.Mutex
	until map[group]time.Time
	seen  map[peer.Serial]sighting
}

// group is another cluster.
type group struct{ name, tag string }

// sighting is a Neighbour that counts until a time.
type sighting struct {
	Neighbour
	until time.Time
}

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

// see remembers the board that claims c. The caller must hold o.mu.
func (o *others) see(c peer.Claim, now time.Time) {
	if _, known := o.seen[c.Serial]; c.Serial == "" || !known && len(o.seen) >= neighboursMax && o.unsee(now) == 0 {
		return
	}
	o.seen[c.Serial] = sighting{Neighbour{c.Serial, c.Cluster, c.Tag}, now.Add(othersHeard)}
}

// unsee forgets the boards that were not heard for long, and counts them. The caller must hold o.mu.
func (o *others) unsee(now time.Time) (gone int) {
	for serial, n := range o.seen {
		if !n.until.After(now) {
			delete(o.seen, serial)
			gone++
		}
	}
	return gone
}

// nearby lists the boards that were heard lately.
func (o *others) nearby(now time.Time) (list []Neighbour) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsee(now)
	for _, n := range o.seen {
		list = append(list, n.Neighbour)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Serial < list[j].Serial })
	return list
}
