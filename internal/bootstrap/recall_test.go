package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// Where boards are met is written seldom: those that come together at once, a later one after minutes, and nothing anew while
// the same are met at the same places.
func TestPlacesAreRememberedSeldom(t *testing.T) {
	var wrote []string
	l := NewLoop(Options{
		Serial: mine, Key: enroll.Fingerprint{1}, Cluster: "pi", Hostname: func() string { return "" }, Log: zap.NewNop(),
		RememberKnown: func(addrs []netip.Addr) error {
			wrote = append(wrote, fmt.Sprint(addrs))
			return nil
		},
	})
	meet := func(n byte, addr string, at time.Time) {
		p := enroll.Peer{Key: enroll.Fingerprint{n}, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), peer.Port)}
		l.contacts.meet(p, at)
	}
	for second := range 1200 {
		at := now.Add(time.Duration(second) * time.Second)
		switch second {
		case 10:
			meet(2, "10.0.0.2", at)
		case 12:
			meet(2, "169.254.7.2", at)
		case 20:
			meet(3, "10.0.0.3", at)
		case 60:
			meet(4, "10.0.0.4", at)
		}
		l.keepAddrs(at)
	}
	want := []string{"[169.254.7.2 10.0.0.2 10.0.0.3]", "[169.254.7.2 10.0.0.2 10.0.0.3 10.0.0.4]"}
	if !slices.Equal(wrote, want) {
		t.Errorf("wrote %q, want %q", wrote, want)
	}
}

// An address from before is asked for some minutes, and its silence is told to nobody. It is kept as long as it could not be
// asked, as before there is a network.
func TestPlacesAreForgotten(t *testing.T) {
	at := netip.MustParseAddr("10.0.0.2")
	book := newContacts(enroll.Fingerprint{1}, patient)
	book.recall([]netip.Addr{at}, now)
	when := now.Add(time.Hour)
	book.forget(when)
	asked := 0
	always := func(*contact) time.Duration { return patient.Ask }
	for ; len(book.all) > 0 && asked < 100; when = when.Add(time.Second) {
		addrs, _ := book.due(always, time.Time{}, when)
		for _, a := range addrs {
			asked++
			if book.answered(a, when, when, errors.New("no route to host")) {
				t.Error("its silence is told")
			}
		}
		book.forget(when)
	}
	if took := when.Sub(now.Add(time.Hour)); asked != recallAsks || took < 2*time.Minute || took > 5*time.Minute {
		t.Errorf("asked %d times in %v", asked, took)
	}
	book.recall([]netip.Addr{at}, when)
	book.meet(enroll.Peer{Key: enroll.Fingerprint{1}, Addr: netip.AddrPortFrom(at, peer.Port)}, when)
	if book.forget(when.Add(time.Hour)); len(book.all) != 0 {
		t.Error("an address that is this board's own now is kept")
	}
	if n := len(book.unanswered()); n != 0 {
		t.Errorf("%d addresses are waited for as if the settings named them", n)
	}
}
