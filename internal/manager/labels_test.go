package manager

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// What the managers know of each other through the labels of the nodes: whom they let in, who is reachable, whom to
// follow.
func TestShare(t *testing.T) {
	key := func(n byte) peer.Fingerprint { return peer.Fingerprint{n} }
	node := func(id string, serial peer.Serial, n byte, manager, up bool) swarm.Node {
		text, err := key(n).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		return swarm.Node{
			ID: id, Addr: netip.AddrFrom4([4]byte{10, 77, 0, n}), Manager: manager, Reachable: manager && up, Ready: up,
			Labels: map[string]string{LabelSerial: string(serial), labelKey: string(text)},
		}
	}
	pins := &heldPins{}
	m := New(Options{Timing: patient, Pins: pins, Key: key(1)})
	m.share(Snapshot{Self: "n1", Nodes: []swarm.Node{
		node("n1", mine, 1, true, true), node("n2", low, 2, true, false), node("n3", high, 3, true, true),
		node("n4", mid, 4, false, true),
		node("n5", mid, 5, false, false), // the card before
		{ID: "n6", Manager: true, Reachable: true, Labels: map[string]string{labelKey: "nonsense"}},
	}})
	if diff := cmp.Diff([]peer.Fingerprint{key(2), key(3)}, pins.others); diff != "" {
		t.Errorf("other managers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[peer.Serial]peer.Fingerprint{low: key(2), high: key(3), mid: key(4)},
		pins.boards); diff != "" {
		t.Errorf("boards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]peer.Fingerprint{key(2), key(3), key(1)}, m.Keys()); diff != "" {
		t.Errorf("told to those that follow (-want +got):\n%s", diff)
	}
	port := func(n byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 0, n}), swarm.Port)
	}
	got := m.InOrder([]netip.AddrPort{port(2), port(1), port(3)})
	if !slices.Equal(got, []netip.AddrPort{port(1), port(3), port(2)}) {
		t.Errorf("managers in order: %v", got)
	}
}

// heldPins keep what they are told.
type heldPins struct {
	Pins
	others []peer.Fingerprint
	boards map[peer.Serial]peer.Fingerprint
}

func (p *heldPins) Managed(others []peer.Fingerprint, boards map[peer.Serial]peer.Fingerprint) {
	p.others, p.boards = others, boards
}
