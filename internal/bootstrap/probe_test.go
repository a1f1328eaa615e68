package bootstrap

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// prober is an Asker that has others probe ports. Those of whom it knows nothing do not answer.
type prober struct {
	asker
	shut map[peer.Serial]map[string]string
}

func (a prober) Probe(_ context.Context, p trust.Peer, claim peer.Claim) (map[string]string, error) {
	shut, answers := a.shut[p.Claim.Serial]
	if !answers || claim.Serial != mine {
		return nil, errors.New("no answer")
	}
	return shut, nil
}

const (
	outside = peer.Serial("100000000000000a") // in no swarm
	twin    = peer.Serial("100000000000000b") // named as another board is
)

// The boards of the swarm are asked to probe, by the names that people know them by, and no others.
func TestReached(t *testing.T) {
	shut := map[string]string{"port 7946/tcp": "no answer"}
	l := NewLoop(Options{
		Serial: mine, Hostname: func() string { return "" }, Log: zap.NewNop(),
		Asker: prober{shut: map[peer.Serial]map[string]string{low: {}, mid: shut, twin: shut, outside: {"port 2378/tcp": "no answer"}}},
	})
	teacher := func(p *policy.Peer) { p.Claim.Hostname = "teacher" }
	for _, p := range []policy.Peer{
		board(low, peer.Manager, in("aaa"), at("10.77.0.1:2378")),
		board(mid, peer.Worker, in("aaa"), at("10.77.0.2:2378"), teacher),
		board(twin, peer.Worker, in("aaa"), at("10.77.0.5:2378"), teacher),
		board(high, peer.Worker, in("aaa"), at("10.77.0.3:2378")),
		board(outside, peer.Blank, at("10.77.0.4:2378")),
	} {
		l.roster.Meet(verified(p), now)
	}
	if _, err := l.Reached(t.Context()); err == nil {
		t.Error("a board outside a swarm, whose ports are shut for that reason, has others probe them")
	}
	l.Store(&snapshot{claim: peer.Claim{Serial: mine, State: peer.Worker}})
	reached, err := l.Reached(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Which of the two answers first is chance.
	want := map[string]map[string]string{"pi-000001": {}, "teacher": shut, "teacher (pi-00000b)": shut}
	if _, first := reached["teacher (pi-00000b)"]; !first {
		delete(want, "teacher (pi-00000b)")
		want["teacher ("+mid.Name()+")"] = shut
	}
	if diff := cmp.Diff(want, reached); diff != "" {
		t.Error(diff)
	}
}
