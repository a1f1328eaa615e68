package enroll_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// A board probes the ports of those that it trusts, where they asked from.
func TestProbe(t *testing.T) {
	askerID, otherID := identity(t, "10000000aabbcc02"), identity(t, "10000000aabbcc01")
	want := map[string]string{"port 7946/tcp": "no answer"}
	other := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	other.probe = func(p trust.Peer) map[string]string {
		if p.Addr.Addr() != netip.MustParseAddr("127.0.0.1") || p.Claim.Serial != "10000000aabbcc02" {
			t.Errorf("it probes %+v", p)
		}
		return want
	}
	addr, _ := serve(t, otherID, other)
	asker, mine := client(askerID), claim("10000000aabbcc02", peer.Worker)
	at := trust.Peer{Claim: other.claim, Key: otherID.Key(), Addr: addr}
	shut, err := asker.Probe(t.Context(), at, mine)
	if diff := cmp.Diff(want, shut); err != nil || diff != "" {
		t.Fatalf("%v, %v", err, diff)
	}
	replaced := at
	replaced.Key = askerID.Key()
	if _, err := asker.Probe(t.Context(), replaced, mine); err == nil ||
		!strings.Contains(err.Error(), "another board answers") {
		t.Errorf("another board in its place: %v", err)
	}
	stranger := mine
	stranger.Cluster = "class-b"
	if _, err := asker.Probe(t.Context(), at, stranger); !errors.Is(err, enroll.ErrRefused) {
		t.Errorf("a board of another cluster: %v", err)
	}
}

// A board probes the ports of three others at the same time. One address may have four connections, so these are on a
// server of their own, where no former one counts.
func TestProbesAtTheSameTime(t *testing.T) {
	askerID, otherID := identity(t, "10000000aabbcc02"), identity(t, "10000000aabbcc01")
	hold := make(chan struct{})
	entered := make(chan struct{}, 3)
	other := &host{claim: claim("10000000aabbcc01", peer.Manager)}
	other.probe = func(trust.Peer) map[string]string {
		entered <- struct{}{}
		<-hold
		return nil
	}
	addr, _ := serve(t, otherID, other)
	asker, mine := client(askerID), claim("10000000aabbcc02", peer.Worker)
	at := trust.Peer{Claim: other.claim, Key: otherID.Key(), Addr: addr}
	var all sync.WaitGroup
	for range cap(entered) {
		all.Go(func() {
			if _, err := asker.Probe(t.Context(), at, mine); err != nil {
				t.Error(err)
			}
		})
	}
	for range cap(entered) {
		<-entered
	}
	if _, err := asker.Probe(t.Context(), at, mine); !errors.Is(err, enroll.ErrRefused) ||
		!strings.Contains(err.Error(), "probes the ports of others") {
		t.Errorf("one more: %v", err)
	}
	close(hold)
	all.Wait()
}
