package roster

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// crowd is n boards that announce themselves, each from an address of its own.
func crowd(n int, state peer.State, now time.Time) (hints []discovery.Hint) {
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, 77, byte(i / 256), byte(i)})
		hints = append(hints, discovery.Hint{
			Claim:   peer.Claim{Serial: peer.Serial(fmt.Sprintf("%016x", i+1)), Cluster: "pi", State: state},
			Addr:    netip.AddrPortFrom(addr, peer.Port),
			Expires: now.Add(time.Minute),
		})
	}
	return hints
}

func TestCrowdShutsNobodyOut(t *testing.T) {
	now := time.Unix(0, 0)
	c := New(peer.Fingerprint{}, patient)
	c.Heard(crowd(3*Max, peer.Blank, now), now)
	if n := len(c.all); n != Max {
		t.Errorf("%d contacts, want %d", n, Max)
	}
	there := netip.MustParseAddrPort("10.78.0.1:2378")
	c.Meet(trust.Peer{Claim: peer.Claim{Serial: "10000000aabbcc01"}, Key: peer.Fingerprint{1}, Addr: there}, now)
	c.Heard(crowd(3*Max, peer.Manager, now), now)
	if others, _ := c.Peers("10000000aabbcc02"); len(others) != 1 || others[0].Addr != there || len(c.all) != Max {
		t.Errorf("of the peers remain %v, of %d contacts", others, len(c.all))
	}
}

func TestCrowdIsAskedInItsTurn(t *testing.T) {
	var now time.Time
	var c *Roster
	always := func(*Contact) time.Duration { return patient.Ask }
	asked := func() int {
		addrs, _ := c.Due(always, time.Time{}, now)
		for _, a := range addrs {
			c.Answered(a, now, now, errors.New("nobody there"))
		}
		return len(addrs)
	}
	for boards, most := range map[int]int{
		1:               31, // at 0, 1, 3, 5, ... s, for it may hold up the first swarm
		AskedAtOnce + 1: 7,  // at 0, 1, 3, 7, 15, 31 s
	} {
		c = New(peer.Fingerprint{}, patient)
		total := 0
		for second := range 60 { // in each of which the boards say something else
			now = time.Unix(int64(second), 0)
			c.Heard(crowd(boards, []peer.State{peer.Blank, peer.Manager}[second%2], now), now)
			total += asked()
		}
		if total > most*boards {
			t.Errorf("%d addresses at which nobody is were asked %d times in a minute", boards, total)
		}
	}
}

func TestCrowdDoesNotFillTheJournal(t *testing.T) {
	c := New(peer.Fingerprint{}, patient)
	told := 0
	for minute := range 60 {
		now := time.Unix(int64(minute)*60, 0)
		c.Heard(crowd(100, peer.Blank, now), now)
		for addr := range c.all {
			for range 4 {
				if c.Answered(addr, now, now, errors.New("nobody there")) {
					told++
				}
			}
		}
	}
	if most := silentBurst + int(time.Hour/patient.SilentAgain); told == 0 || told > most {
		t.Errorf("the silence of %d boards is told in an hour, want at most %d", told, most)
	}
}

func TestOnlyAGreatCrowdHoldsUpTheElection(t *testing.T) {
	proposed := time.Unix(100, 0)
	c := New(peer.Fingerprint{}, patient)
	c.Heard(crowd(2, peer.Blank, proposed), proposed)
	c.Heard(crowd(3, peer.Blank, proposed), proposed.Add(patient.AskFirst))
	c.Heard(crowd(9, peer.Blank, proposed), proposed.Add(patient.AskFirst+time.Second))
	if n := c.Unasked(proposed); n != 3 {
		t.Errorf("%d boards are to be asked before the election, want 3", n)
	}
	c.Heard(crowd(Max+1, peer.Blank, proposed), proposed.Add(time.Minute))
	if n := c.Unasked(proposed.Add(time.Hour)); n != Max {
		t.Errorf("%d boards are to be asked an hour after the crowd, want %d", n, Max)
	}
	c.Heard(crowd(Max+2, peer.Blank, proposed), proposed.Add(time.Hour))
	if n := c.Unasked(proposed.Add(time.Hour)); n != Max+1 {
		t.Errorf("%d boards are to be asked while some make way, want %d", n, Max+1)
	}
}

// A board is met at the address that DHCP gave it and at its stable one, then DHCP gives another.
func TestBoardAtTwoAddresses(t *testing.T) {
	book := New(peer.Fingerprint{1}, patient)
	claim := peer.Claim{Serial: low, Cluster: "pi", State: peer.Blank}
	addr := func(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), peer.Port) }
	const lease, next, stable = "10.77.0.9", "10.99.0.9", "169.254.7.8"
	meet := func(text string, at time.Time, want bool) {
		t.Helper()
		p := trust.Peer{Claim: claim, Key: peer.Fingerprint{2}, Addr: addr(text)}
		if first, trouble, _ := book.Meet(p, at); first != want || trouble {
			t.Errorf("meeting at %s: first %v, trouble %v", text, first, trouble)
		}
	}
	isAt := func(text string, met time.Time, addrs int) {
		t.Helper()
		peers, _ := book.Peers(mine)
		if len(peers) != 1 || peers[0].Addr != addr(text) || !peers[0].Met.Equal(met) || len(peers[0].Addrs) != addrs {
			t.Errorf("peers are %+v, want one at %s, met at %v", peers, text, met)
		}
		if got := book.Newest(); !got.Equal(now) {
			t.Errorf("the newest board was met at %v, want %v", got, now)
		}
	}
	after := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	meet(stable, now, true)
	isAt(stable, now, 1)
	meet(lease, after(1), false)
	isAt(lease, after(1), 2)
	meet(stable, after(2), false)
	isAt(lease, after(2), 2) // a sentence that names it does not change with every answer

	book.Heard([]discovery.Hint{{Claim: claim, Addr: addr(lease), Expires: after(600)}}, now)
	for i := range 5 {
		if book.Answered(addr(lease), after(3+i), after(3+i), errors.New("no route")) {
			t.Error("its silence at one address is reported while it answers at the other")
		}
	}
	isAt(stable, after(2), 2)
	meet(next, after(9), false)
	isAt(next, after(9), 3)

	if !book.Answered(addr(lease), after(200), after(200), errors.New("no route")) {
		t.Error("its silence at all addresses is not reported")
	}
	claim.Trouble = say.Words("no engine")
	p := trust.Peer{Claim: claim, Key: peer.Fingerprint{2}, Addr: addr(stable)}
	if _, trouble, _ := book.Meet(p, after(201)); !trouble {
		t.Error("its trouble is no news")
	}
	p.Addr = addr(next)
	if _, trouble, _ := book.Meet(p, after(202)); trouble {
		t.Error("its trouble is news at the other address")
	}
}

// A board that says hello and cannot be asked, as when somebody sits in between, is told of.
func TestBoardThatIsHeardAndNotReached(t *testing.T) {
	book := New(peer.Fingerprint{1}, patient)
	at := netip.AddrPortFrom(netip.MustParseAddr("10.77.0.9"), peer.Port)
	claim := peer.Claim{Serial: low, Cluster: "pi", State: peer.Manager}
	book.Meet(trust.Peer{Claim: claim, Key: peer.Fingerprint{2}, Addr: at}, now)
	told := 0
	for i := range 10 {
		when := now.Add(time.Duration(i) * time.Second)
		if book.Answered(at, when, when, errors.New("it has another cluster key")) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// A board is reached when it answers at one of its addresses, and counts for as long as it is heard.
func TestUnreached(t *testing.T) {
	const self, other = peer.Serial("10000000aabbcc01"), peer.Serial("10000000aabbcc02")
	start := time.Unix(1000, 0)
	lease, stays := netip.MustParseAddrPort("10.77.0.2:2378"), netip.MustParseAddrPort("169.254.7.7:2378")
	after := func(d time.Duration) time.Time { return start.Add(d) }
	hints := func(now time.Time, ttl time.Duration) (all []discovery.Hint) {
		for _, at := range []netip.AddrPort{lease, stays} {
			all = append(all, discovery.Hint{Claim: peer.Claim{Serial: other, Cluster: "pi", State: peer.Blank}, Addr: at,
				Heard: now, Expires: now.Add(ttl)})
		}
		return all
	}
	timeout := errors.New("no answer in time")
	heard := func() *Roster {
		c := New(peer.Fingerprint{}, patient)
		c.Heard(hints(start, patient.Heard), start)
		for _, at := range []netip.AddrPort{lease, stays} {
			c.Answered(at, start, start, timeout)
		}
		return c
	}
	answers := func(c *Roster, at netip.AddrPort, now time.Time) {
		c.Answered(at, now, now, nil)
		c.Meet(trust.Peer{Claim: peer.Claim{Serial: other, State: peer.Blank}, Key: peer.Fingerprint{1}, Addr: at}, now)
	}
	tests := []struct {
		name string
		do   func(c *Roster)
		at   time.Duration
		want string
	}{
		{"never asked", func(c *Roster) {
			clear(c.all)
			c.Heard(hints(start, patient.Heard), start)
		}, time.Second, "pi-bbcc02 at 10.77.0.2 since 0s"},
		{"shut at both", func(*Roster) {}, time.Minute, "pi-bbcc02 at 10.77.0.2 since 0s, shut"},
		{"open at the one of DHCP", func(c *Roster) { answers(c, lease, start) }, time.Second, ""},
		{"open at the one that stays", func(c *Roster) { answers(c, stays, start) }, time.Second, ""},
		{"no answer lately", func(c *Roster) {
			answers(c, lease, start)
			c.Answered(lease, after(5*time.Second), after(6*time.Second), timeout)
		}, patient.Fresh, "pi-bbcc02 at 10.77.0.2 since 0s"},
		{"no answer lately, and heard since", func(c *Roster) {
			answers(c, lease, start)
			c.Answered(lease, after(5*time.Second), after(6*time.Second), timeout)
			c.Heard(hints(after(30*time.Second), patient.Heard), after(30*time.Second))
		}, 31 * time.Second, "pi-bbcc02 at 10.77.0.2 since 0s, shut"},
		{"it asks this board", func(c *Roster) {
			c.Meet(trust.Peer{Claim: peer.Claim{Serial: other, State: peer.Blank}, Key: peer.Fingerprint{1}, Addr: lease},
				start)
		}, time.Second, "pi-bbcc02 at 10.77.0.2 since 0s, shut"},
		{"it has refused", func(c *Roster) { c.Answered(lease, start, start, fmt.Errorf("hello: %w", enroll.ErrRefused)) },
			time.Second, ""},
		{"it said goodbye", func(c *Roster) { c.Heard(nil, after(time.Second)) }, time.Second, ""},
		{"it is no longer heard", func(*Roster) {}, patient.Heard, ""},
		{"somebody announces it for an hour", func(c *Roster) { c.Heard(hints(start, time.Hour), start) }, patient.Heard, ""},
		{"this board under an address of before", func(c *Roster) {
			c.Heard([]discovery.Hint{{Claim: peer.Claim{Serial: self}, Addr: lease, Heard: start,
				Expires: after(patient.Heard)}}, start)
		}, time.Second, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := heard()
			tt.do(c)
			got := ""
			all, _ := c.Unreached(self, time.Time{}, after(tt.at))
			for _, u := range all {
				got += fmt.Sprintf("%s at %s since %v", u.Serial.Name(), u.Addr, u.Since.Sub(start))
				if u.Shut {
					got += ", shut"
				}
			}
			if got != tt.want {
				t.Errorf("unreached are %q, want %q", got, tt.want)
			}
		})
	}

	c := heard()
	answers(c, lease, after(time.Second))
	for since, want := range map[time.Duration]int{time.Second: 0, 2 * time.Second: 1} {
		if _, silent := c.Unreached(self, after(since), after(3*time.Second)); silent != want {
			t.Errorf("%d boards have not answered since %v, want %d", silent, since, want)
		}
	}
}

// A board that was heard long before it was reached is no new one: nobody waits for more because of it.
func TestHeardBeforeMet(t *testing.T) {
	start := time.Unix(1000, 0)
	at := netip.MustParseAddrPort("10.77.0.2:2378")
	c := New(peer.Fingerprint{}, patient)
	hint := discovery.Hint{Claim: peer.Claim{Serial: "10000000aabbcc02"}, Addr: at, Heard: start,
		Expires: start.Add(patient.Heard)}
	c.Heard([]discovery.Hint{hint}, start)
	c.Meet(trust.Peer{Claim: hint.Claim, Key: peer.Fingerprint{1}, Addr: at}, start.Add(time.Minute))
	if got := c.Newest(); !got.Equal(start) {
		t.Errorf("the newest board is there since %v, want %v", got, start)
	}
}

// What a board said before does not count when it comes in after something newer, of the same agent or of the one
// before.
func TestOlderClaimIsNotBelieved(t *testing.T) {
	start := time.Unix(1000, 0)
	type said struct {
		after      time.Duration
		boot, said uint64
		serial     peer.Serial
		state      peer.State
	}
	const one, other = peer.Serial("10000000aabbcc01"), peer.Serial("10000000aabbcc02")
	tests := []struct {
		name string
		says []said
		want peer.State
	}{
		{"in order", []said{{0, 7, 1, one, peer.Blank}, {0, 7, 2, one, peer.Founding}}, peer.Founding},
		{"overtaken", []said{{0, 7, 2, one, peer.Manager}, {0, 7, 1, one, peer.Founding}}, peer.Manager},
		{"the same again", []said{{0, 7, 2, one, peer.Blank}, {0, 7, 2, one, peer.Manager}}, peer.Manager},
		{"a new agent", []said{{0, 7, 99, one, peer.Manager}, {0, 5, 1, one, peer.Worker}}, peer.Worker},
		{"the agent before", []said{{0, 7, 99, one, peer.Founding}, {0, 5, 1, one, peer.Worker},
			{time.Second, 7, 99, one, peer.Founding}}, peer.Worker},
		{"the agent before that was none", []said{{0, 7, 9, one, peer.Founding}, {0, 5, 1, one, peer.Worker},
			{patient.Overtaken, 7, 9, one, peer.Manager}}, peer.Manager},
		{"an agent that does not count", []said{{0, 7, 99, one, peer.Manager}, {0, 0, 0, one, peer.Blank}}, peer.Blank},
		{"two boards with one key",
			[]said{{0, 7, 99, one, peer.Manager}, {0, 5, 1, other, peer.Blank}, {0, 7, 98, one, peer.Worker}}, peer.Worker},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(peer.Fingerprint{}, patient)
			now := start
			for i, s := range tt.says {
				now = now.Add(s.after)
				claim := peer.Claim{Serial: s.serial, Cluster: "pi", State: s.state, Boot: s.boot, Said: s.said}
				at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 0, byte(i%2 + 1)}), peer.Port) // a board has two
				c.Meet(trust.Peer{Claim: claim, Key: peer.Fingerprint{1}, Addr: at}, now)
				now = now.Add(time.Millisecond)
			}
			if got := c.board(peer.Fingerprint{1}).Answer.Claim.State; got != tt.want {
				t.Errorf("it is taken for %s, want %s", got, tt.want)
			}
		})
	}
}
