package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/bootstrap"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/state"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// membership is what makes this board one of its cluster.
type membership struct {
	model   trust.Model
	cluster discovery.Cluster
	pins    bootstrap.Pins // nil with a key
	pair    func() (string, error)
}

// membershipOf is that of a board with these settings and this key, which may be none. It may take seconds.
func membershipOf(cfg config.Config, key clusterkey.Phrase, kept *state.File, runDir string,
	onLink func(netip.Addr) bool, patience timing.Timing, log *zap.Logger,
) (membership, error) {
	m := membership{}
	if key.None() {
		m = strangers(cfg, kept, runDir, onLink, patience, log)
	} else {
		var err error
		if m, err = members(cfg.Cluster, key, log); err != nil {
			return membership{}, err
		}
	}
	m.model, m.cluster.Deny = trust.NewDeny(m.model, cfg.Deny, log), cfg.Deny
	return m, nil
}

// strangers is the membership of a board in a cluster without a key.
func strangers(cfg config.Config, kept *state.File, runDir string, onLink func(netip.Addr) bool, patience timing.Timing,
	log *zap.Logger,
) membership {
	log.Warn(fmt.Sprintf("There is no cluster key: when boards first meet, every machine on this network that names "+
		"cluster %q is trusted.",
		cfg.Cluster))
	started, err := board.Started(filepath.Join(runDir, "started"))
	if err != nil {
		log.Warn(fmt.Sprintf("New boards are let in after \"pi-agent pair\" only: %v.", err))
		started = patience.Pair
	}
	save := func(p trust.Pins) error { return kept.Update(func(s *state.State) { s.Pins = p }) }
	model := trust.NewFirstUse(cfg.Cluster, kept.State().Pins, started, patience.Pair, onLink, save, log)
	pair := func() (string, error) {
		model.Pair()
		return fmt.Sprintf("For %.0f minutes this board lets new boards in, if it is a manager. It follows the next "+
			"manager it joins.",
			patience.Pair.Minutes()), nil
	}
	return membership{model, discovery.Cluster{Name: cfg.Cluster}, model, pair}
}

// members is the membership of a board in the cluster of that name with this key.
func members(cluster string, phrase clusterkey.Phrase, log *zap.Logger) (membership, error) {
	if phrase.Weak() {
		log.Warn("The cluster key is a passphrase, which is weak: whoever listens to this network can take it home and " +
			"guess. \"pi-agent key new\" prints a strong one.")
	}
	key, err := phrase.Key(cluster)
	if err != nil {
		return membership{}, err
	}
	model, err := trust.NewSameKey(cluster, key)
	if err != nil {
		return membership{}, err
	}
	tag, err := key.Tag()
	if err != nil {
		return membership{}, err
	}
	sign, err := key.Signer("v1 announce")
	if err != nil {
		return membership{}, err
	}
	pair := func() (string, error) {
		return "", errors.New("this cluster has a key, which lets boards in at any time: give the new board the same")
	}
	return membership{model, discovery.Cluster{Name: cluster, Tag: tag, Sign: sign}, nil, pair}, nil
}
