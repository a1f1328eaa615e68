package bootstrap

// Moves: when a board leaves the swarm that it is in for another one of its cluster. That is when its own is empty, when a
// person has given its own up, and when no manager of its own is left. Nothing is left before the other swarm has said
// that it takes the board, and a power cut at any instant is answered by rule 5: a blank board joins.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// foreign reports whether p answers and manages a swarm that this board, a worker, is not in.
func (v View) foreign(p Peer) bool {
	return p.Claim.State == peer.Manager && p.Claim.Swarm != "" && v.Now.Sub(p.Met) < v.Timing.Rival &&
		(p.Claim.Unlisted || v.Member.Swarm != "" && p.Claim.Swarm != v.Member.Swarm)
}

// own reports whether p answers and manages the swarm that this board, a worker, is in. Without a majority it does not know
// which one that is.
func (v View) own(p Peer) bool {
	if v.asleep(p) {
		return true
	}
	if p.Claim.State != peer.Manager || p.Claim.Unlisted || v.Now.Sub(p.Met) >= v.Timing.Rival {
		return false
	}
	if p.Claim.Swarm == "" || v.Member.Swarm == "" {
		return managedBy(v.Engine, p)
	}
	return p.Claim.Swarm == v.Member.Swarm
}

// asleep reports whether the agent of p answers and says that it manages the swarm of this board, a worker, and its engine does
// not. It may take hours to be put right, and is no reason to leave.
func (v View) asleep(p Peer) bool {
	return p.Claim.Manages != "" && p.Claim.Manages == v.Member.Swarm && v.Now.Sub(p.Met) < v.Timing.Rival
}

// parted reports whether all managers that the engine knows answer, and say that they do not manage its swarm any more. The
// time is that of the oldest of these answers.
func (v View) parted() (oldest time.Time, is bool) {
	for _, m := range v.Engine.Managers {
		i := slices.IndexFunc(v.Peers, func(p Peer) bool {
			elsewhere := p.Claim.State == peer.Worker && v.Member.Swarm != "" && p.Claim.Swarm != "" && p.Claim.Swarm != v.Member.Swarm
			ready := p.Claim.State == peer.Blank || p.Claim.State == peer.Electing || p.Claim.State == peer.Founding
			return p.isAt(m.Addr()) && v.Now.Sub(p.Met) < v.Timing.Rival && (elsewhere || ready || v.foreign(p))
		})
		if i < 0 {
			return time.Time{}, false
		}
		if met := v.Peers[i].Met; oldest.IsZero() || met.Before(oldest) {
			oldest = met
		}
	}
	return oldest, !oldest.IsZero()
}

// deserted reports whether that has been so for long: one answer is not enough, for a manager learns of a new node a moment
// after the node.
func (v View) deserted() bool {
	oldest, is := v.parted()
	return is && !v.Parted.IsZero() && oldest.Sub(v.Parted) >= v.Timing.Parted
}

// orphaned decides for a worker without a manager: rule 4. An engine whose manager is gone says so never.
func orphaned(v View) (Action, bool) {
	if v.Engine.Manager || v.Member.Manager || v.Member.Node == "" || v.Member.Node != v.Engine.NodeID ||
		slices.ContainsFunc(v.Peers, v.own) {
		return Action{}, false
	}
	parted := v.deserted()
	for _, p := range v.Peers { // in order of serial: all workers choose the same
		switch {
		case !v.foreign(p) || p.Barred != nil:
		case parted:
			return Action{Kind: Move, Target: p, Lost: v.elsewhere(p), Reason: fmt.Sprintf(
				"The manager of this board does not know it any more: moving to the swarm of %s", p.Claim.Serial.Name())}, true
		case v.Now.Sub(v.Answered) >= v.Timing.Orphaned:
			return Action{Kind: Move, Target: p, Reason: fmt.Sprintf(
				"No manager of this board has answered for %.0f minutes: moving to the swarm of %s",
				v.Timing.Orphaned.Minutes(), p.Claim.Serial.Name())}, true
		}
	}
	return Action{}, false
}

// rivalry decides for a manager that meets a manager of another swarm of its cluster: rule 6.
func rivalry(v View) (Action, bool) {
	for _, p := range v.Peers {
		if v.rival(p) {
			return contest(v, p), true
		}
	}
	return Action{}, false
}

// contest says which of two swarms yields.
func contest(v View, p Peer) Action {
	rival, theirs := p.Claim.Serial.Name(), p.Claim.Contents
	given := v.Member.Yields && v.Member.Swarm == v.Engine.SwarmID
	yields := v.Contents.Empty() && theirs.Known() && (!theirs.Empty() || p.Claim.Serial < v.Serial)
	switch {
	case (given || yields) && p.Barred != nil:
		return Action{Kind: Serve, Trouble: true, Reason: fmt.Sprintf(
			"There are two swarms, and that of this board would yield to that of %s: %v", rival, p.Barred)}
	case given:
		return Action{Kind: Move, Target: p, Reason: fmt.Sprintf(
			"A person has given swarm %s up: moving to the swarm of %s", v.Engine.SwarmID, rival)}
	case yields:
		return Action{Kind: Move, Target: p, Reason: fmt.Sprintf(
			"There are two swarms, and that of this board is empty: moving to the swarm of %s", rival)}
	case !v.Contents.Known() || !theirs.Known():
		return Action{Kind: Serve, Reason: fmt.Sprintf("This board has met another swarm, that of %s: asking what is in the two", rival)}
	case theirs.Empty():
		return Action{Kind: Serve, Reason: fmt.Sprintf("There are two swarms, and that of %s is empty: it is to yield", rival)}
	}
	return twoSwarms(Serve, side{v.Serial, v.Engine.SwarmID, v.Contents}, side{p.Claim.Serial, p.Claim.Swarm, theirs})
}

// side is one of two swarms.
type side struct {
	manager peer.Serial
	swarm   string
	has     peer.Contents
}

// twoSwarms tells a person what only a person can decide, in the same words on every board.
func twoSwarms(k Kind, a, b side) Action {
	if b.manager < a.manager {
		a, b = b, a
	}
	return Action{Kind: k, Trouble: true, Reason: fmt.Sprintf("There are two swarms and neither is empty: %s manages %s with %s, "+
		"%s manages %s with %s; \"sudo pi-agent yield\" on one of these two tells how to give its swarm up",
		a.manager.Name(), a.swarm, a.has, b.manager.Name(), b.swarm, b.has)}
}

// divided is twoSwarms for a worker whose manager is m.
func divided(v View, m Peer) (Action, bool) {
	for _, p := range v.Peers {
		if v.foreign(p) && m.Claim.Swarm != "" && p.Claim.Swarm != m.Claim.Swarm &&
			p.Claim.Contents.Known() && !p.Claim.Contents.Empty() && m.Claim.Contents.Known() && !m.Claim.Contents.Empty() {
			return twoSwarms(Stay, side{m.Claim.Serial, m.Claim.Swarm, m.Claim.Contents},
				side{p.Claim.Serial, p.Claim.Swarm, p.Claim.Contents}), true
		}
	}
	return Action{}, false
}

// observeSwarms brings up to date how this board stands to its managers, and what is in the swarm that it manages.
func (l *Loop) observeSwarms(ctx context.Context) {
	now := time.Now()
	v := l.view(now)
	_, parted := v.parted()
	switch {
	case slices.ContainsFunc(v.Peers, v.own), l.statusErr != nil, l.status.Manager, l.status.State == swarm.Inactive:
		l.answered, l.parted = now, time.Time{}
	case !parted:
		l.parted = time.Time{}
	case l.parted.IsZero():
		l.parted = now
		l.contacts.hurry(func(c *contact) bool { return managedBy(l.status, Peer{Addrs: []netip.Addr{c.addr.Addr()}}) }, now)
	}
	v.Parted = l.parted
	l.orphan = v.deserted()
	rival := slices.ContainsFunc(v.Peers, func(p Peer) bool {
		return p.Claim.State == peer.Manager && p.Claim.Swarm != l.status.SwarmID
	})
	if l.statusErr != nil || !l.status.Manager || l.status.SwarmID == "" {
		l.contents, l.contentsAt = peer.Contents{}, time.Time{}
		return
	}
	news := rival && !l.contested // what was counted before it was met is too old to decide by
	l.contested = rival
	if age := now.Sub(l.contentsAt); !news && (age < l.Timing.TurnIn || !rival && age < l.Timing.Count) {
		return
	}
	l.contents = peer.Contents{}
	if err := l.count(ctx); err != nil {
		l.Log.Debug("What is in the swarm is not to be had.", zap.Error(err))
	}
}

// count looks what is in the swarm of this manager.
func (l *Loop) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodesMax)
	defer cancel()
	have, err := l.Engine.Contents(ctx)
	if err != nil {
		return fmt.Errorf("look what is in the swarm: %w", err)
	}
	l.contents, l.contentsAt = peer.Contents(have), time.Now()
	return nil
}

// barred says why this board may not move to a swarm that p manages, or would make.
func (l *Loop) barred(p Peer) error {
	if l.Pins == nil {
		return nil
	}
	return l.Pins.MayMove(p.Key)
}

// nodeIDs are the nodes of a swarm.
type nodeIDs struct {
	all   []string
	ready int
}

// Answer implements enroll.Host: the claim, and for a node whether it is one of ours, and how many there are.
func (l *Loop) Answer(p enroll.Peer) peer.Claim {
	c := l.Claim()
	if seen := l.posed.Load(); seen != nil {
		c.Unreached = slices.ContainsFunc(seen.view.Unreached, func(u Unreached) bool {
			return u.Serial == p.Claim.Serial && seen.view.toTell(u)
		})
	}
	listed := l.listed.Load()
	if c.State != peer.Manager || p.Claim.State != peer.Worker || p.Claim.Node == "" || listed == nil {
		return c
	}
	if slices.Contains(listed.all, p.Claim.Node) {
		c.Nodes, c.Ready = len(listed.all), listed.ready
	} else {
		c.Unlisted = true
	}
	return c
}

// list notes which nodes the swarm has, for Answer.
func (l *Loop) list(nodes []swarm.Node) {
	var ids nodeIDs
	for _, n := range nodes {
		ids.all = append(ids.all, n.ID)
		if n.Ready {
			ids.ready++
		}
	}
	l.listed.Store(&ids)
}

// move leaves the swarm for that of a.Target, which is asked first whether it takes this board. What has led to the decision
// is looked at once more right before; the next turns then join, as those of any blank board do.
func (l *Loop) move(ctx context.Context, a Action) error {
	name := a.Target.Claim.Serial.Name()
	claim := l.Claim()
	claim.Moving = true
	if _, err := l.Asker.Join(ctx, a.Target.Peer, claim); err != nil {
		return fmt.Errorf("move to the swarm of %s: %w", name, err)
	}
	l.ticket.Store(nil) // nobody joins a swarm that ends
	l.observeEngine(ctx)
	if l.statusErr == nil && l.status.Manager {
		if err := l.count(ctx); err != nil {
			return err
		}
	}
	if again := l.decide(l.view(time.Now())); again.Kind != Move || again.Target.Key != a.Target.Key {
		return nil
	}
	err := l.Engine.Leave(ctx, l.status.Manager)
	if err != nil && !errors.Is(err, swarm.ErrNotMember) {
		return fmt.Errorf("leave the swarm for that of %s: %w", name, err)
	}
	l.left = time.Now()
	if a.Lost {
		l.mourn(l.left)
	}
	return nil
}
