package manager

// This file labels nodes by their boards, and shares through labels whom the managers have let in.

import (
	"cmp"
	"context"
	"encoding/hex"
	"strings"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// The labels that a manager puts on every node, for docker node ls --filter and for placement constraints.
const (
	LabelSerial = "pi.serial"
	LabelModel  = "pi.model"

	// labelKey is the fingerprint of a board's node key, where there is no cluster key: what one manager has verified when
	// it let the board in, all of them know.
	labelKey = "pi.key"

	// LabelLeaving is put on a manager that is about to leave the swarm: nobody must make it a manager again meanwhile.
	LabelLeaving = "pi.leaving"

	labelPrefix = "pi." // of all of these; other labels are a person's
)

// serialOf is the serial of the board that a node is, empty when that is not known.
func serialOf(n swarm.Node) peer.Serial { return peer.Serial(n.Labels[LabelSerial]) }

// nameOf is what the person who runs docker node ls knows the board by.
func nameOf(n swarm.Node) string { return cmp.Or(n.Hostname, n.ID) }

// bySerial orders nodes by their boards' serials: lowest first, those that have none of their own later, unknown ones
// last.
func bySerial(a, b swarm.Node) int {
	const last = "~"
	serial := func(n swarm.Node) string { return cmp.Or(string(serialOf(n)), last) }
	return cmp.Or(strings.Compare(serial(a), serial(b)), strings.Compare(a.ID, b.ID))
}

// label gives the nodes the labels that they lack.
func (m *Manager) label(ctx context.Context, s Snapshot) {
	for _, n := range s.Nodes {
		labels := m.labels(n, s)
		if !missing(n.Labels, labels) {
			continue
		}
		if err := m.Engine.Label(ctx, n.ID, labels); err != nil {
			m.Log.Debug("A node could not be labelled; the next turn tries again.", zap.String("node", n.ID), zap.Error(err))
		}
	}
}

// labels are those that the node should have; none when it is not known which board it is. A board is taken for a node
// only when it says so itself and has spoken from that node's address.
func (m *Manager) labels(n swarm.Node, s Snapshot) map[string]string {
	if n.ID == s.Self {
		return m.withKey(boardLabels(m.Serial, m.Model), m.Key)
	}
	for _, p := range s.Peers {
		if p.Claim.Node == n.ID && p.At(n.Addr) {
			labels := boardLabels(p.Claim.Serial, p.Claim.Model)
			if m.Pins != nil && m.Pins.Admitted(p) {
				return m.withKey(labels, p.Key)
			}
			return labels
		}
	}
	return nil
}

// missing reports whether there is a label to give.
func missing(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return true
		}
	}
	return false
}

func boardLabels(s peer.Serial, model string) map[string]string {
	return map[string]string{LabelSerial: string(s), LabelModel: model}
}

// withKey adds a board's node key to its labels, where there is no cluster key.
func (m *Manager) withKey(labels map[string]string, key peer.Fingerprint) map[string]string {
	if m.Pins != nil {
		labels[labelKey] = hex.EncodeToString(key[:])
	}
	return labels
}

// share notes which managers are not reachable, for InOrder. Without a cluster key it also passes between the managers,
// through the labels of the nodes, whom each of them has let in, and keeps the keys of all managers for those that
// follow one.
func (m *Manager) share(s Snapshot) {
	m.keys, m.unreachable = nil, nil
	var others []peer.Fingerprint
	boards := map[peer.Serial]peer.Fingerprint{}
	for _, n := range s.Nodes {
		if n.Manager && !n.Reachable {
			m.unreachable = append(m.unreachable, n.Addr)
		}
		var key peer.Fingerprint
		if err := key.UnmarshalText([]byte(n.Labels[labelKey])); err != nil || n.ID == s.Self {
			continue // no key is known, or it is this board's
		}
		if n.Manager {
			others = append(others, key)
		}
		serial, err := peer.ParseSerial(string(serialOf(n)))
		if _, known := boards[serial]; err == nil && (n.Ready || !known) { // of two cards of one board the one that is there
			boards[serial] = key
		}
	}
	if m.Pins != nil {
		m.Pins.Managed(others, boards)
		m.keys = append(others, m.Key)
	}
}
