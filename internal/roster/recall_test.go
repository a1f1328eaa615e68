package roster

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// An address from before is asked for some minutes, and its silence is told to nobody. It is kept as long as it could
// not be asked, as before there is a network.
func TestPlacesAreForgotten(t *testing.T) {
	at := netip.MustParseAddr("10.0.0.2")
	book := New(peer.Fingerprint{1}, patient)
	book.Recall([]netip.Addr{at}, now)
	when := now.Add(time.Hour)
	book.Forget(when)
	asked := 0
	always := func(*Contact) time.Duration { return patient.Ask }
	for ; len(book.all) > 0 && asked < 100; when = when.Add(time.Second) {
		addrs, _ := book.Due(always, time.Time{}, when)
		for _, a := range addrs {
			asked++
			if book.Answered(a, when, when, errors.New("no route to host")) {
				t.Error("its silence is told")
			}
		}
		book.Forget(when)
	}
	if took := when.Sub(now.Add(time.Hour)); asked != recallAsks || took < 2*time.Minute || took > 5*time.Minute {
		t.Errorf("asked %d times in %v", asked, took)
	}
	book.Recall([]netip.Addr{at}, when)
	book.Meet(trust.Peer{Key: peer.Fingerprint{1}, Addr: netip.AddrPortFrom(at, peer.Port)}, when)
	if book.Forget(when.Add(time.Hour)); len(book.all) != 0 {
		t.Error("an address that is this board's own now is kept")
	}
	if n := len(book.Unanswered()); n != 0 {
		t.Errorf("%d addresses are waited for as if the settings named them", n)
	}
}
