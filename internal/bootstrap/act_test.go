package bootstrap

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
)

// What has failed is said, and waits, as long as the board wants the same; another thing is tried at once.
func TestRefused(t *testing.T) {
	join := policy.Action{Kind: policy.Join, Target: policy.Peer{Key: peer.Fingerprint{1}}}
	other := policy.Action{Kind: policy.Join, Target: policy.Peer{Key: peer.Fingerprint{2}}}
	clock := policy.Action{Kind: policy.SetClock, Target: join.Target}
	shut := errors.New("no answer in time")
	var r refused
	for range 3 {
		r.note(join, shut, patient, zap.NewNop())
	}
	soon := time.Now().Add(3 * patient.RetryFirst)
	if !r.pauses(join, soon) || r.of(join) == nil || r.times != 3 {
		t.Errorf("after three failures: %+v", r)
	}
	for _, a := range []policy.Action{other, clock, {Kind: policy.Wait}} {
		if r.pauses(a, soon) || r.of(a) != nil {
			t.Errorf("%s is held up by a join that failed", a.Kind)
		}
	}
	if r.note(clock, shut, patient, zap.NewNop()); r.times != 1 || r.of(join) != nil {
		t.Errorf("another thing that fails: %+v", r)
	}
	found, propose := policy.Action{Kind: policy.Init}, policy.Action{Kind: policy.Propose}
	if r.note(found, shut, patient, zap.NewNop()); !r.pauses(propose, time.Now()) {
		t.Error("a board whose init has failed proposes at once, and everybody yields to it again")
	}
	if r.note(clock, nil, patient, zap.NewNop()); r != (refused{}) {
		t.Errorf("after a success: %+v", r)
	}
}
