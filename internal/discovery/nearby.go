package discovery

import (
	"sort"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Neighbour is a board of another cluster, as it was heard. Nothing of it is proved.
type Neighbour struct {
	Serial  peer.Serial
	Cluster string // name of its cluster
	Tag     string // of its cluster key, empty without one
}

// neighboursMax bounds the boards of other clusters that are remembered.
const neighboursMax = 256

// neighbour is a Neighbour that counts until a time.
type neighbour struct {
	Neighbour
	until time.Time
}

// see remembers the board that claims c. The caller must hold o.mu.
func (o *others) see(c peer.Claim, now time.Time) {
	if _, known := o.seen[c.Serial]; c.Serial == "" || !known && len(o.seen) >= neighboursMax && o.unsee(now) == 0 {
		return
	}
	if o.seen == nil {
		o.seen = map[peer.Serial]neighbour{}
	}
	o.seen[c.Serial] = neighbour{Neighbour{c.Serial, c.Cluster, c.Tag}, now.Add(othersHeard)}
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
