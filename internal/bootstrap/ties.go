package bootstrap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// ties are how this board stands to the managers of its swarm and to other swarms, see policy.Swarm.
type ties struct {
	timing    timing.Timing
	answered  time.Time
	disowned  timing.Since
	duplicate timing.Since
	rival     bool          // a manager of another swarm is met
	contents  peer.Contents // of the swarm that this board manages
	counted   time.Time     // when that was; zero makes the next turn count
}

// note takes in what v shows. It reports whether the managers of this board have just begun to disown it.
func (t *ties) note(v policy.View) (begun bool) {
	e := v.Engine
	answered := slices.ContainsFunc(v.Boards.Peers, v.Leads) || e.Err != nil || e.Manager || e.State == swarm.Inactive
	if answered {
		t.answered = v.Now
	}
	_, disowned := v.Disowned()
	begun = t.disowned.Note(disowned && !answered, v.Now)
	_, _, duplicate := v.DuplicateNode()
	t.duplicate.Note(duplicate, v.Now)
	rival := slices.ContainsFunc(v.Boards.Peers, func(p policy.Peer) bool {
		return p.Claim.State == peer.Manager && p.Claim.Swarm != e.SwarmID
	})
	if rival && !t.rival { // what was counted before it was met is too old to decide by
		t.expire()
	}
	t.rival = rival
	if e.Err != nil || !e.Manager || e.SwarmID == "" {
		t.contents = peer.Contents{}
		t.expire()
	}
	return begun
}

// due reports whether a manager should count what is in its swarm.
func (t *ties) due(now time.Time) bool {
	age := now.Sub(t.counted)
	return age >= t.timing.Count || t.rival && age >= t.timing.TurnIn
}

// expire makes the next turn count.
func (t *ties) expire() { t.counted = time.Time{} }

// count looks what is in the swarm of this manager.
func (t *ties) count(ctx context.Context, e swarm.Engine) error {
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	t.contents = peer.Contents{}
	have, err := e.Contents(ctx)
	if err != nil {
		return fmt.Errorf("look what is in the swarm: %w", err)
	}
	t.contents, t.counted = have, time.Now()
	return nil
}
