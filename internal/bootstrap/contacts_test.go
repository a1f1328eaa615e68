package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
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
	c := newContacts(enroll.Fingerprint{})
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
	c := newContacts(enroll.Fingerprint{})
	always := func(*contact) time.Duration { return askPace }
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
	c := newContacts(enroll.Fingerprint{})
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
	if most := silentBurst + int(time.Hour/silentPace); told == 0 || told > most {
		t.Errorf("the silence of %d boards is told in an hour, want at most %d", told, most)
	}
}

func TestOnlyAGreatCrowdHoldsUpTheElection(t *testing.T) {
	proposed := time.Unix(100, 0)
	c := newContacts(enroll.Fingerprint{})
	c.heard(crowd(2, peer.Blank, proposed), proposed)
	c.heard(crowd(3, peer.Blank, proposed), proposed.Add(electOpen))
	c.heard(crowd(9, peer.Blank, proposed), proposed.Add(electOpen+time.Second))
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
