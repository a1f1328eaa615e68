package bootstrap

// Lost swarms: the only manager of a swarm gets a new card, and nobody holds its services any more. Its workers are told what
// is lost, before they leave it and after. Without a cluster key they cannot know whether the board with another node key is
// theirs with a new card, and only a person can say so. What helps then is said in one sentence, everywhere.

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Unfollowed is a board that answers as a manager, and that this board, without a cluster key, does not follow.
type Unfollowed struct {
	Serial peer.Serial // as it announces, or as it said before it was a manager; nothing of it is proved
	Addr   netip.Addr
}

// unfollowed lists the boards that answer so, in order of address.
func (t *contacts) unfollowed(now time.Time) (all []Unfollowed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		serial := c.hint.Serial
		if serial == "" && c.met {
			serial = c.answer.Claim.Serial
		}
		if errors.Is(c.err, enroll.ErrNotFollowed) && now.Sub(c.served) < t.timing.Rival && serial != "" {
			all = append(all, Unfollowed{serial, c.addr.Addr()})
		}
	}
	slices.SortFunc(all, func(a, b Unfollowed) int { return a.Addr.Compare(b.Addr) })
	return all
}

// anotherKey says what helps a board that does not follow a manager because of its node key. It names both, for it is shown
// on other boards as well.
func anotherKey(manager, board string) string {
	return fmt.Sprintf("%s has another node key than the manager that %s follows, as after a new card. If its card is new, the swarm of the "+
		"old one is lost with its services, secrets and configs: \"sudo pi-agent pair\" on both lets %s join the new one, and stops its "+
		"containers of the old one", manager, board, board)
}

// saysUnfollowed reports whether what this board does names a manager that it does not follow. It may be called from any goroutine.
func (l *Loop) saysUnfollowed() bool {
	seen := l.posed.Load()
	return seen != nil && seen.action.Trouble && slices.ContainsFunc(seen.view.Unfollowed, func(u Unfollowed) bool {
		return seen.action.Reason == anotherKey(u.Serial.Name(), l.Serial.Name())
	})
}

// Reconsider asks those boards anew that this one did not follow, for a person has said that it may. It may be called from any
// goroutine.
func (l *Loop) Reconsider() {
	l.contacts.hurry(func(c *contact) bool { return errors.Is(c.err, enroll.ErrNotFollowed) }, time.Now())
	l.nudge()
}

// forsaken decides for a worker of whose managers none is left: all that its engine knows answer, and are not in its swarm.
func forsaken(v View) (Action, bool) {
	if slices.ContainsFunc(v.Peers, v.own) {
		return Action{}, false
	}
	var gone peer.Serial
	stranger := false
	for _, m := range v.Engine.Managers {
		serial, another, is := v.leftBy(m.Addr())
		if !is {
			return Action{}, false
		}
		gone, stranger = cmp.Or(gone, serial), stranger || another
	}
	a := Action{Kind: Stay, Trouble: true, Lost: true}
	switch {
	case gone == "":
		return Action{}, false
	case stranger:
		a.Reason = anotherKey(gone.Name(), v.Serial.Name())
	default:
		a.Reason = fmt.Sprintf("No manager of swarm %s is left: %s does not know it any more, as after a new card or pi-agent yield, and its services, "+
			"secrets and configs are lost. %s leaves it for the next one, and its containers are stopped then",
			swarmName(v.Member.Swarm), gone.Name(), v.Serial.Name())
	}
	return a, true
}

// leftBy reports whether the board at this address of a manager answers, and is not in the swarm of this board any more. another
// is whether it has a node key that this board does not follow.
func (v View) leftBy(addr netip.Addr) (serial peer.Serial, another, is bool) {
	for _, u := range v.Unfollowed {
		if u.Addr == addr {
			return u.Serial, true, true
		}
	}
	for _, p := range v.Peers {
		if p.isAt(addr) && v.Now.Sub(p.Met) < v.Timing.Rival && v.elsewhere(p) {
			return p.Claim.Serial, p.Barred != nil, true
		}
	}
	return "", false, false
}

// elsewhere reports whether p, which answers, is in no swarm, or in another one than this board.
func (v View) elsewhere(p Peer) bool {
	switch p.Claim.State {
	case peer.Blank, peer.Electing, peer.Founding:
		return true
	case peer.Worker, peer.Manager:
		return v.Member.Swarm != "" && p.Claim.Swarm != "" && p.Claim.Swarm != v.Member.Swarm
	}
	return false
}

// swarmName is the id of a swarm in a sentence.
func swarmName(id string) string { return cmp.Or(id, "?") }

// wasManaged reports whether the board p is in a swarm of which it knows no manager but at addresses of this board, which is in
// none: it has a new card.
func (v View) wasManaged(p Peer) bool {
	managers := p.Claim.Others()
	return p.Claim.State == peer.Worker && len(managers) > 0 &&
		!slices.ContainsFunc(managers, func(a netip.Addr) bool { return !slices.Contains(v.Own, a) })
}

// loss is a swarm that this board has left because it was lost.
type loss struct {
	swarm string
	at    time.Time
}

// mourn tells that this board has left a swarm that was lost.
func (l *Loop) mourn(now time.Time) {
	l.loss = loss{l.Member.Swarm, now}
	l.Log.Warn(fmt.Sprintf("This board has left swarm %s, which is lost with its services, secrets and configs: its containers are stopped.",
		swarmName(l.loss.swarm)))
}

// lostBefore is what a board in a swarm says of the one that it was in before, for a while; empty where there is nothing to say.
func (l *Loop) lostBefore(now time.Time) string {
	if l.loss.at.IsZero() || now.Sub(l.loss.at) >= l.Timing.Mourned {
		return ""
	}
	return fmt.Sprintf("It has left swarm %s, which is lost with its services, secrets and configs: deploy anew what shall run.", swarmName(l.loss.swarm))
}

// strays is whom a manager without a cluster key has told of, see tellStrays.
type strays struct {
	now, told string
	since     time.Time
}

// tellStrays names the boards that would join this manager's swarm if a person said that they may. Each says so of itself, in its
// journal; who looks into that of the manager shall find it, too.
func (l *Loop) tellStrays(now time.Time) {
	text := ""
	if l.Pins != nil && l.statusErr == nil && l.status.State == swarm.Active && l.status.Manager {
		peers, _ := l.contacts.peers(l.Serial)
		var names []string
		for _, p := range peers {
			c := p.Claim
			if c.State == peer.Worker && c.Waits != "" && c.Swarm != "" && c.Swarm != l.status.SwarmID && now.Sub(p.Met) < l.Timing.Rival {
				names = append(names, c.Serial.Name())
			}
		}
		if len(names) > 0 {
			text = fmt.Sprintf("Still in a swarm that is lost, and without a cluster key not in that of this board: %s. \"sudo pi-agent pair\" "+
				"here and on each of them lets them join.", listed(names))
		}
	}
	if text != l.strays.now {
		l.strays.now, l.strays.since = text, now
	}
	if text != "" && text != l.strays.told && now.Sub(l.strays.since) >= l.Timing.ReachCalm {
		l.strays.told = text
		l.Log.Warn(text)
	}
}

// own are the addresses of this board at which others know it.
func (l *Loop) own() (all []netip.Addr) { return addrs(nil, l.link.Addr, l.link.Stable, l.advertise) }

// unfollowed reports whether that board is a manager that this one, which no other manager answers, does not follow, and says
// what helps.
func (s sketch) unfollowed(serial peer.Serial) (why string, is bool) {
	is = s.Source == "" && slices.ContainsFunc(s.seen.view.Unfollowed, func(u Unfollowed) bool { return u.Serial == serial })
	return sentence(anotherKey(serial.Name(), s.l.Serial.Name())), is
}
