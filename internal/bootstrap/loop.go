// Package bootstrap makes one swarm out of many boards: Loop observes, lets package policy decide and acts, again and
// again, for as long as the board is on.
package bootstrap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Loop observes, decides, publishes and acts for one board, turn by turn. Each of its parts is the one owner of what it
// keeps. What belongs to Run's goroutine stays there; everybody else reads the newest snapshot, and the roster.
type Loop struct {
	*host     // its settings, and what others ask of it
	*gallery  // what people are shown
	*commands // what a person tells it to do

	network *network
	engine  *engine
	card    *card
	ties    *ties
	asking  *asking
	actor   *actor
	serving *serving
	notices *notices
	memory  roster.Memory

	decide    func(policy.View) policy.Action // policy.Decide, except in tests of what goes wrong with another one
	started   time.Time
	told      policy.Action // the newest that was told
	refused   refused
	listening timing.Since // since when this board has heard its own announcements
	elects    timing.Since // since when this board has said that it is electing, or founding

	background sync.WaitGroup
}

// NewLoop returns the loop of a board.
func NewLoop(o Options) *Loop {
	o.Timing = o.Timing.Or(timing.Product())
	if o.Taken == nil {
		o.Taken = func() error { return nil }
	}
	l := &Loop{decide: policy.Decide, started: time.Now()}
	known := roster.New(o.Key, o.Timing)
	known.Recall(o.Known, l.started)
	l.card = &card{Membership: o.Member, remember: o.Remember, commit: o.Commit, log: o.Log}
	l.engine = newEngine(o.Engine, l.started)
	l.network = newNetwork(o.Network)
	l.ties = &ties{timing: o.Timing, answered: l.started}
	l.host = newHost(o, known)
	l.asking = &asking{host: l.host, background: &l.background, slots: make(chan struct{}, roster.AskedAtOnce)}
	l.actor = &actor{host: l.host, engine: l.engine, network: l.network, card: l.card, setClock: o.SetClock,
		forget: o.ForgetSwarm}
	l.serving = newServing(o, l.engine, known)
	l.notices = &notices{host: l.host}
	l.memory = roster.Memory{Known: o.Known, Write: o.RememberKnown}
	l.gallery = &gallery{host: l.host}
	l.commands = &commands{host: l.host, engine: l.engine, card: l.card, actor: l.actor, ties: l.ties,
		orders: make(chan order)}
	return l
}

// Run turns until ctx ends, then returns nil. It leaves the swarm as it is.
func (l *Loop) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer l.background.Wait()
	defer stop()
	l.background.Go(func() {
		if err := l.Network.Watch(ctx, l.wakeUp); err != nil {
			l.Log.Warn(fmt.Sprintf("Changes of the network are noticed a few seconds late: %v.", err))
		}
	})

	l.Notify.Ready() // before the engine is asked, which may be waiting for this
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-l.Discovery.Changed():
		case <-timer.C:
		case o := <-l.orders:
			o.carryOut(ctx)
			l.Notify.Watchdog()
		}
		pause := l.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.Notify.Watchdog()
		timer.Reset(pause)
	}
}

// turn is one round: observe, decide, tell, publish, ask, act. It returns how long the next one may wait.
func (l *Loop) turn(ctx context.Context) time.Duration {
	v := l.observe(ctx)
	a := l.decide(v)
	l.tell(v, a)
	said := l.Claim().State
	l.publish(v, a)
	l.notices.tell(v)
	pause := l.asking.ask(ctx, v, l.elects.Time)
	soon := l.serving.tooSoon()
	switch {
	case l.act(ctx, v, a, said):
		return 0
	case l.Claim().State.InSwarm():
		pause = min(pause, l.Timing.TurnIn)
	default:
		pause = min(pause, l.Timing.Turn)
	}
	if !a.Until.IsZero() {
		pause = min(pause, time.Until(a.Until))
	}
	if a.Kind == policy.Serve && soon > 0 { // what has woken this turn is looked at then
		pause = min(pause, soon)
	}
	return max(0, pause)
}
