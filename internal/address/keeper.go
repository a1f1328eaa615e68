package address

// This file keeps the stable address on the cluster interface, whatever happens to that.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// Refusal is the error of a stable address that cannot be had until a person helps. It says how.
type Refusal struct{ text string }

// Error implements error.
func (r Refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// errClaiming is why there is no stable address in the first seconds.
var errClaiming = errors.New("asking whether somebody else has the address that this board wants")

// tellAgain is after how long a trouble that goes on is told again.
const tellAgain = time.Hour

// Home is a stable address and the interface it belongs to.
type Home struct {
	Addr      netip.Addr
	Interface string
}

// KeeperOptions are the parts of a Keeper.
type KeeperOptions struct {
	Serial   peer.Serial // the address is derived from it
	Kernel   Kernel
	Home     Home             // the remembered one, zero for none
	InUse    bool             // a swarm relies on it
	Remember func(Home) error // keeps it through a power cut
	Log      *zap.Logger
	Timing   timing.Timing // the zero value stands for timing.Product
}

// Keeper gives the board an address that does not move (RFC 3927), and keeps it: it puts the address back at once when
// something removes it, and defends it against a machine that takes it (RFC 5227). As long as no swarm relies on the
// address, the Keeper may exchange it for another.
type Keeper struct {
	KeeperOptions
	ready   chan struct{}
	changed chan struct{} // has an element after held changed

	mu    sync.Mutex
	home  Home
	inUse bool
	held  Link  // where the address was put, invalid Stable when it was not
	why   error // why it is not there, nil when it is

	// What follows belongs to the goroutine of Run.
	settled   func() // closes ready
	attempt   int
	conflicts int
	defence   defence
	rival     mac // the machine whose conflict was last told
	rivalAt   time.Time
	refusal   string
	backAt    time.Time // when it was last told that the address is back
}

// NewKeeper returns a keeper that does nothing before Run.
func NewKeeper(o KeeperOptions) *Keeper {
	o.Kernel.Bare = true
	o.Timing = o.Timing.Or(timing.Product())
	k := &Keeper{
		KeeperOptions: o, home: o.Home, inUse: o.InUse, why: errClaiming,
		ready: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	k.settled = sync.OnceFunc(func() { close(k.ready) })
	if checkStable(o.Home.Addr) != nil {
		k.home, k.inUse = Home{}, false
	}
	return k
}

// Ready is closed when Run has begun to work and an address that a swarm relies on is back, or 10 s later when nothing
// lets it be put back. An engine that is started before may find no way to its manager, and gives up for good.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// Link is the cluster interface right now, with the stable address once there is one. The error says in words what is
// missing. As long as a swarm relies on the address, the interface on which it was made, or the bridge or bond that
// this has become a port of, comes first.
func (k *Keeper) Link() (Choice, error) {
	k.mu.Lock()
	home, inUse, held := k.home, k.inUse, k.held
	k.mu.Unlock()
	link, err := k.choose(home, inUse)
	if err != nil {
		return Choice{}, err
	}
	if held.Index == link.Index {
		link.Stable = held.Stable
	}
	if !link.Addr.IsValid() && !link.Stable.IsValid() {
		return Choice{}, fmt.Errorf("%s has no address yet", link.Name)
	}
	return link, nil
}

func (k *Keeper) choose(home Home, inUse bool) (Choice, error) {
	kernel := k.Kernel
	if inUse {
		kernel.Home = home.Interface
	}
	return kernel.Link()
}

// Advertise is the stable address, for a swarm to rely on. The error says in words why there is none, and is a Refusal
// when it takes a person to change that.
func (k *Keeper) Advertise() (netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.why != nil {
		return netip.Addr{}, k.why
	}
	return k.held.Stable, nil
}

// Rely says whether a swarm relies on the address. It is never given up while one does.
func (k *Keeper) Rely(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inUse = on
}

// OnLink reports whether an address is reached over the cluster interface without a router.
func (k *Keeper) OnLink(addr netip.Addr) bool {
	link, err := k.choose(k.now())
	return err == nil && onLink(link.Link, addr)
}

// Routes lists the destinations that have a route.
func (k *Keeper) Routes() ([]netip.Prefix, error) { return k.Kernel.Routes() }

// Has reports whether addr is one of this board's addresses.
func (k *Keeper) Has(addr netip.Addr) (bool, error) { return k.Kernel.Has(addr) }

// Watch calls notify as Kernel.Watch does, and after each change of the stable address.
func (k *Keeper) Watch(ctx context.Context, notify func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			select {
			case <-k.changed:
				notify()
			case <-ctx.Done():
				return
			}
		}
	})
	return k.Kernel.Watch(ctx, notify)
}

// Run keeps the address until ctx ends, then returns nil. The address stays: the swarm goes on without the agent.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	changed := make(chan struct{}, 1)
	wg.Go(func() {
		if err := k.Kernel.Watch(ctx, func() { signal(changed) }); err != nil {
			k.Log.Warn(fmt.Sprintf("When something removes the stable address, that is noticed %v late: %v.",
				k.Timing.AddressRetry, err))
		}
	})
	began := time.Now()
	timer := time.NewTimer(k.Timing.AddressRetry)
	defer timer.Stop()
	for ctx.Err() == nil {
		home, inUse := k.now()
		link, err := k.choose(home, inUse)
		parked := false
		switch {
		case err == nil:
			err = k.hold(ctx, link.Link, changed)
		case inUse:
			parked = k.park(home)
		}
		if ctx.Err() != nil {
			return nil
		}
		k.lose(err)
		if !inUse || parked || time.Since(began) >= k.Timing.AddressRetry {
			k.settled()
		}
		if err == nil { // another link
			continue
		}
		timer.Reset(k.Timing.AddressRetry)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
	}
	return nil
}

func (k *Keeper) now() (Home, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.home, k.inUse
}

// park puts the address where it belongs though nobody is reached there, as when the switch starts more slowly than the
// boards: so the engine that starts meanwhile has a route to its manager, without which it gives up for good. It
// reports whether the address is there, which the kernel does not allow before the interface is up.
func (k *Keeper) park(home Home) bool {
	link, ok := k.Kernel.stands(cmp.Or(k.Kernel.Want, home.Interface))
	if !ok {
		return false
	}
	_, err := place(link, home.Addr)
	if err != nil {
		k.Log.Debug("The stable address is nowhere.", zap.Error(err))
	}
	return err == nil
}

// hold keeps the address on the link until another link is to be used, the address is given up, or something goes
// wrong.
func (k *Keeper) hold(ctx context.Context, link Link, changed <-chan struct{}) error {
	home, inUse := k.now()
	switch err := elsewhere(link, home.Addr); {
	case err != nil && !inUse:
		return err
	case err != nil:
		k.complain(err)
	}
	w, self, err := openARP(link)
	if err != nil {
		return err
	}
	c := newClaim(w, self, ownMACs(self))
	defer c.close()

	known, err := k.Kernel.Has(home.Addr)
	if err != nil {
		return err
	}
	addr := home.Addr
	if !inUse {
		k.settled()
	}
	if !inUse && !known {
		if addr, err = k.find(ctx, c, addr); err != nil {
			return err
		}
	}
	added, err := place(link, addr)
	if err != nil {
		return err
	}
	k.settled()
	if err := c.announce(addr); err != nil {
		return err
	}
	k.have(link, addr, added)
	return k.keep(ctx, c, link, addr, changed)
}

// find probes addr, if it is valid, and then one candidate after the other, until one is free.
func (k *Keeper) find(ctx context.Context, c *claim, addr netip.Addr) (netip.Addr, error) {
	for {
		if !addr.IsValid() {
			addr = Candidate(k.Serial, k.attempt)
		}
		other, free, err := c.probe(ctx, addr)
		if err != nil {
			return netip.Addr{}, err
		}
		if free {
			return addr, nil
		}
		k.Log.Info(fmt.Sprintf("%s has %s or wants it, too: trying another address.", other, addr))
		addr = netip.Addr{}
		k.attempt++
		if k.conflicts++; k.conflicts >= maxConflicts {
			k.blame(refuse("every address that this board wants is taken: the last one by %s", other))
			pause(ctx, rateLimit)
		}
	}
}

// keep watches over an address that was just announced.
func (k *Keeper) keep(ctx context.Context, c *claim, link Link, addr netip.Addr, changed <-chan struct{}) error {
	again := time.NewTimer(announceInterval)
	defer again.Stop()
	look := time.NewTicker(k.Timing.AddressRetry) // should a change go unnoticed
	defer look.Stop()
	for announced := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case a, ok := <-c.heard:
			if !ok {
				return errBroken
			}
			if c.conflict(a, addr, false) {
				if err := k.defend(c, addr, a.hardware); err != nil {
					return err
				}
			}
			continue
		case <-again.C:
			if err := c.announce(addr); err != nil {
				return err
			}
			if announced++; announced < announceNum {
				again.Reset(announceInterval)
			}
			continue
		case <-changed:
		case <-look.C:
		}
		now, err := k.choose(k.now())
		if err != nil {
			return err
		}
		if now.Index != link.Index {
			return nil
		}
		added, err := place(link, addr)
		if err != nil {
			return err
		}
		if added {
			k.tellBack(addr, link)
			if err := c.announce(addr); err != nil {
				return err
			}
			announced = 1
			again.Reset(announceInterval)
		}
	}
}

// tellBack says that something has removed the address on which a swarm relies. A network manager that looks for a DHCP
// server in vain does so every few minutes.
func (k *Keeper) tellBack(addr netip.Addr, link Link) {
	log := k.Log.Debug
	_, inUse := k.now()
	if now := time.Now(); inUse && now.Sub(k.backAt) > tellAgain {
		k.backAt, log = now, k.Log.Info
	}
	log(fmt.Sprintf("Something took %s off %s; it is back.", addr, link.Name))
}

// defend answers a conflict. The error is that the address was given up.
func (k *Keeper) defend(c *claim, addr netip.Addr, other mac) error {
	now := time.Now()
	_, inUse := k.now()
	announce, yield := k.defence.conflict(now, inUse)
	if yield {
		k.attempt++
		k.conflicts++
		k.mu.Lock()
		k.home = Home{}
		k.mu.Unlock()
		return fmt.Errorf("%s has taken %s", other, addr)
	}
	if inUse && (other != k.rival || now.Sub(k.rivalAt) > tellAgain) {
		k.rival, k.rivalAt = other, now
		k.Log.Warn(fmt.Sprintf("Another machine, %s, uses %s, which the swarm relies on: this board defends it. "+
			"Give that machine another address.", other, addr))
	}
	if announce {
		return c.announce(addr)
	}
	return nil
}

// have notes that the address is on the link.
func (k *Keeper) have(link Link, addr netip.Addr, added bool) {
	k.mu.Lock()
	moved := k.held.Stable.IsValid() && k.held.Name != link.Name
	again := k.held.Stable == addr
	link.Stable = addr
	k.held, k.why = link, nil
	home, inUse := Home{addr, link.Name}, k.inUse
	news := home != k.home && !(inUse && addr == k.home.Addr) // the interface on which a swarm was made comes first again
	if news {
		k.home = home
	}
	k.mu.Unlock()
	k.conflicts = 0
	switch {
	case moved:
		k.Log.Info(fmt.Sprintf("%s is now reached over %s.", addr, link.Name))
	case added && again:
		k.tellBack(addr, link)
	case added:
		k.Log.Info(fmt.Sprintf("%s has %s, an address that stays when DHCP gives another.", link.Name, addr))
	}
	if news {
		if err := k.Remember(home); err != nil {
			k.Log.Warn(fmt.Sprintf("After a power cut this board may have another address: %v.", err))
		}
	}
	signal(k.changed)
}

// lose notes that the address is nowhere, and why. One that no swarm relies on is taken off, to be asked for anew.
func (k *Keeper) lose(err error) {
	k.mu.Lock()
	addr, inUse := k.held.Stable, k.inUse
	if !inUse {
		k.held, k.why = Link{}, errClaiming
	}
	k.mu.Unlock()
	if addr.IsValid() && !inUse {
		if err := withdraw(addr); err != nil {
			k.Log.Warn(fmt.Sprintf("%s stays where it is: %v.", addr, err))
		}
	}
	if err != nil {
		k.blame(err)
	}
}

// blame notes why there is no address.
func (k *Keeper) blame(err error) {
	k.mu.Lock()
	k.why = err
	k.mu.Unlock()
	k.complain(err)
	signal(k.changed)
}

// complain logs a refusal that is news.
func (k *Keeper) complain(err error) {
	if refused := (Refusal{}); errors.As(err, &refused) && k.refusal != refused.text {
		k.refusal = refused.text
		k.Log.Warn(fmt.Sprintf("The address that does not move: %v.", err))
	}
}

// ownMACs are the hardware addresses of this board, at least the one given.
func ownMACs(self mac) map[mac]bool {
	own := map[mac]bool{self: true}
	ifaces, err := net.Interfaces()
	if err != nil {
		return own
	}
	for _, i := range ifaces {
		if len(i.HardwareAddr) == len(mac{}) {
			own[mac(i.HardwareAddr)] = true
		}
	}
	return own
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
