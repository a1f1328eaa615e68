package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
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
	c := newContacts(enroll.Fingerprint{}, patient)
	c.heard(crowd(3*contactMax, peer.Blank, now), now)
	if n := len(c.all); n != contactMax {
		t.Errorf("%d contacts, want %d", n, contactMax)
	}
	there := netip.MustParseAddrPort("10.78.0.1:2378")
	c.meet(enroll.Peer{Claim: peer.Claim{Serial: "10000000aabbcc01"}, Key: enroll.Fingerprint{1}, Addr: there}, now)
	c.heard(crowd(3*contactMax, peer.Manager, now), now)
	if others, _ := c.peers("10000000aabbcc02"); len(others) != 1 || others[0].Addr != there || len(c.all) != contactMax {
		t.Errorf("of the peers remain %v, of %d contacts", others, len(c.all))
	}
}

func TestCrowdIsAskedInItsTurn(t *testing.T) {
	var now time.Time
	c := newContacts(enroll.Fingerprint{}, patient)
	always := func(*contact) time.Duration { return patient.Ask }
	asked := func() int {
		addrs, _ := c.due(always, time.Time{}, now)
		for _, a := range addrs {
			c.answered(a, now, now, errors.New("nobody there"))
		}
		return len(addrs)
	}
	total := 0
	for second := range 60 { // in each of which the boards say something else
		now = time.Unix(int64(second), 0)
		c.heard(crowd(1, []peer.State{peer.Blank, peer.Manager}[second%2], now), now)
		total += asked()
	}
	if total > 7 { // at 0, 1, 3, 7, 15, 31 s
		t.Errorf("an address at which nobody is was asked %d times in a minute", total)
	}
}

func TestCrowdDoesNotFillTheJournal(t *testing.T) {
	c := newContacts(enroll.Fingerprint{}, patient)
	told := 0
	for minute := range 60 {
		now := time.Unix(int64(minute)*60, 0)
		c.heard(crowd(100, peer.Blank, now), now)
		for addr := range c.all {
			for range 4 {
				if c.answered(addr, now, now, errors.New("nobody there")) {
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
	c := newContacts(enroll.Fingerprint{}, patient)
	c.heard(crowd(2, peer.Blank, proposed), proposed)
	c.heard(crowd(3, peer.Blank, proposed), proposed.Add(patient.AskFirst))
	c.heard(crowd(9, peer.Blank, proposed), proposed.Add(patient.AskFirst+time.Second))
	if n := c.unasked(proposed); n != 3 {
		t.Errorf("%d boards are to be asked before the election, want 3", n)
	}
	c.heard(crowd(contactMax+1, peer.Blank, proposed), proposed.Add(time.Minute))
	if n := c.unasked(proposed.Add(time.Hour)); n != contactMax {
		t.Errorf("%d boards are to be asked an hour after the crowd, want %d", n, contactMax)
	}
	c.heard(crowd(contactMax+2, peer.Blank, proposed), proposed.Add(time.Hour))
	if n := c.unasked(proposed.Add(time.Hour)); n != contactMax+1 {
		t.Errorf("%d boards are to be asked while some make way, want %d", n, contactMax+1)
	}
}

// A board is met at the address that DHCP gave it and at its stable one, then DHCP gives another.
func TestBoardAtTwoAddresses(t *testing.T) {
	book := newContacts(enroll.Fingerprint{1}, patient)
	claim := peer.Claim{Serial: low, Cluster: "pi", State: peer.Blank}
	addr := func(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), peer.Port) }
	const lease, next, stable = "10.77.0.9", "10.99.0.9", "169.254.7.8"
	meet := func(text string, at time.Time, want bool) {
		t.Helper()
		p := enroll.Peer{Claim: claim, Key: enroll.Fingerprint{2}, Addr: addr(text)}
		if first, trouble := book.meet(p, at); first != want || trouble {
			t.Errorf("meeting at %s: first %v, trouble %v", text, first, trouble)
		}
	}
	isAt := func(text string, met time.Time, addrs int) {
		t.Helper()
		peers, _ := book.peers(mine)
		if len(peers) != 1 || peers[0].Addr != addr(text) || !peers[0].Met.Equal(met) || len(peers[0].Addrs) != addrs {
			t.Errorf("peers are %+v, want one at %s, met at %v", peers, text, met)
		}
		if got := book.newest(); !got.Equal(now) {
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

	book.heard([]discovery.Hint{{Claim: claim, Addr: addr(lease), Expires: after(600)}}, now)
	for i := range 5 {
		if book.answered(addr(lease), after(3+i), after(3+i), errors.New("no route")) {
			t.Error("its silence at one address is reported while it answers at the other")
		}
	}
	isAt(stable, after(2), 2)
	meet(next, after(9), false)
	isAt(next, after(9), 3)

	if !book.answered(addr(lease), after(200), after(200), errors.New("no route")) {
		t.Error("its silence at all addresses is not reported")
	}
	claim.Trouble = "no engine"
	p := enroll.Peer{Claim: claim, Key: enroll.Fingerprint{2}, Addr: addr(stable)}
	if _, trouble := book.meet(p, after(201)); !trouble {
		t.Error("its trouble is no news")
	}
	p.Addr = addr(next)
	if _, trouble := book.meet(p, after(202)); trouble {
		t.Error("its trouble is news at the other address")
	}
}

// A board that says hello and cannot be asked, as when somebody sits in between, is told of.
func TestBoardThatIsHeardAndNotReached(t *testing.T) {
	book := newContacts(enroll.Fingerprint{1}, patient)
	at := netip.AddrPortFrom(netip.MustParseAddr("10.77.0.9"), peer.Port)
	claim := peer.Claim{Serial: low, Cluster: "pi", State: peer.Manager}
	book.meet(enroll.Peer{Claim: claim, Key: enroll.Fingerprint{2}, Addr: at}, now)
	told := 0
	for i := range 10 {
		when := now.Add(time.Duration(i) * time.Second)
		if book.answered(at, when, when, errors.New("it has another cluster key")) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// A manager asks boards that only announce themselves, to tell why they are not in. As many as can be invented cost it a few
// hellos a second.
func TestMuteBoardsCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoop(Options{Serial: "1", Hostname: func() string { return "" }, Engine: swarm.NewFakeNet().NewEngine("", netip.Addr{})})
		l.claim.Store(&peer.Claim{Serial: "1", State: peer.Manager})
		begun, asks := time.Now(), 0
		for time.Since(begun) < 10*time.Minute {
			now := time.Now()
			l.contacts.heard(crowd(contactMax, peer.Blank, now), now)
			addrs, _ := l.contacts.due(l.pace, time.Time{}, now)
			if len(addrs) > 0 && now.Sub(begun) < patient.Hello {
				t.Fatalf("%d boards are asked before they have said hello", len(addrs))
			}
			asks += len(addrs)
			for _, a := range addrs {
				l.contacts.answered(a, now, now, errors.New("no answer in time"))
			}
			if err := nap(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if perSecond := float64(asks) / time.Since(begun).Seconds(); perSecond > 10 || asks == 0 {
			t.Errorf("%.1f hellos a second, want at most 10", perSecond)
		}
	})
}
