package enroll_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
)

// memory is a board's state file, and the boards that are started on it.
type memory struct {
	pins peer.Pins
	logs *observer.ObservedLogs
}

func (m *memory) start(on time.Duration) *enroll.FirstUse {
	core, logs := observer.New(zap.InfoLevel)
	m.logs = logs
	near := func(a netip.Addr) bool { return netip.MustParsePrefix("10.77.0.0/24").Contains(a) }
	return enroll.NewFirstUse("pi", m.pins, on, timing.Product().Pair, near, func(p peer.Pins) error { m.pins = p; return nil }, zap.New(core))
}

var (
	keyA, keyB = enroll.Fingerprint{1}, enroll.Fingerprint{2}
	addrA      = netip.MustParseAddr("10.77.0.1")
)

// asked is what a board sees of the manager that it asks.
func asked(purpose enroll.Purpose, key enroll.Fingerprint, state peer.State) enroll.Contact {
	return enroll.Contact{Purpose: purpose, Asked: true, From: addrA, Key: key, Claim: claim("10000000aabbcc01", state)}
}

func boardWith(serial peer.Serial, key enroll.Fingerprint) enroll.Peer {
	return enroll.Peer{Claim: claim(serial, peer.Blank), Key: key, Addr: netip.AddrPortFrom(addrA, peer.Port)}
}

func TestFirstManagerIsFollowedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		trust := m.start(0)
		for _, key := range []enroll.Fingerprint{keyA, keyB} {
			if err := trust.Peer(asked(enroll.Join, key, peer.Manager)); err != nil {
				t.Errorf("a board that follows nobody: %v", err)
			}
		}
		trust.Follow(keyA)
		trust.Follow(keyB) // no effect
		for range 2 {
			for _, purpose := range []enroll.Purpose{enroll.Hello, enroll.Join} {
				if err := trust.Peer(asked(purpose, keyA, peer.Manager)); err != nil {
					t.Errorf("its manager: %v", err)
				}
				if err := trust.Peer(asked(purpose, keyB, peer.Manager)); !errors.Is(err, enroll.ErrNotFollowed) ||
					!strings.Contains(err.Error(), keyA.String()) || !strings.Contains(err.Error(), `"sudo pi-agent pair" on both`) {
					t.Errorf("another manager: %v", err)
				}
			}
			if err := trust.Peer(asked(enroll.Hello, keyB, peer.Blank)); err != nil {
				t.Errorf("another board: %v", err)
			}
			trust = m.start(time.Hour) // after a power cut
		}
		trust.Pair()
		if err := trust.Peer(asked(enroll.Join, keyB, peer.Manager)); err != nil {
			t.Errorf("another manager after pair: %v", err)
		}
		trust.Follow(keyB)
		if err := trust.Peer(asked(enroll.Hello, keyA, peer.Manager)); err == nil {
			t.Error("the former manager is followed after pair")
		}
		m.pins.Cluster = "class-b"
		if err := m.start(0).Peer(asked(enroll.Join, keyA, peer.Manager)); err != nil {
			t.Errorf("a board that was moved to this cluster: %v", err)
		}
	})
}

func TestNewBoardsAreLetInForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		trust := m.start(time.Minute)
		first, second := boardWith("10000000aabbcc02", keyA), boardWith("10000000aabbcc03", keyB)
		if err := trust.Admit(first); err != nil {
			t.Errorf("in time: %v", err)
		}
		time.Sleep(timing.Product().Pair - time.Minute - time.Nanosecond) // virtual
		if err := trust.Admit(boardWith("10000000aabbcc04", keyA)); err != nil {
			t.Errorf("just in time: %v", err)
		}
		time.Sleep(time.Nanosecond)
		for range 3 {
			if err := trust.Admit(second); err == nil || !strings.Contains(err.Error(), "sudo pi-agent pair") {
				t.Errorf("a new board later: %v", err)
			}
		}
		if n := m.logs.FilterMessageSnippet("pi-bbcc03 may not join").Len(); n != 1 {
			t.Errorf("the refusal was logged %d times, want once", n)
		}
		imposter := first
		imposter.Key = keyB
		if err := trust.Admit(imposter); err == nil {
			t.Error("another board under a known serial was let in later")
		}
		trust = m.start(time.Hour) // after a restart of the agent
		if err := trust.Admit(first); err != nil {
			t.Errorf("a known board later: %v", err)
		}
		if err := trust.Admit(second); err == nil {
			t.Error("a restart of the agent lets new boards in")
		}
		trust.Pair()
		if err := trust.Admit(second); err != nil {
			t.Errorf("a new board after pair: %v", err)
		}
		if err := trust.Admit(imposter); err != nil || m.logs.FilterMessageSnippet("another node key").Len() != 1 {
			t.Errorf("a new card after pair: %v, logged %v", err, m.logs.All())
		}
		if err := m.pins.Validate(); err != nil {
			t.Error(err)
		}
	})
}

func TestALeaderIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		trust := m.start(0)
		if err := trust.Admit(boardWith("10000000aabbcc02", keyA)); err != nil {
			t.Fatal(err)
		}
		if err := trust.Peer(asked(enroll.Hello, keyB, peer.Manager)); err != nil {
			t.Errorf("another manager cannot be told from: %v", err) // two swarms are to be reported
		}
		if err := trust.Peer(asked(enroll.Join, keyB, peer.Manager)); err == nil {
			t.Error("a leader joins another swarm")
		}
		trust.Pair()
		if err := trust.Peer(asked(enroll.Join, keyB, peer.Manager)); err != nil {
			t.Errorf("after pair: %v", err)
		}
		time.Sleep(timing.Product().Pair) // virtual
		if err := trust.Peer(asked(enroll.Join, keyB, peer.Manager)); err == nil {
			t.Error("a leader joins another swarm long after pair")
		}
	})
}

func TestFirstUseBounds(t *testing.T) {
	var m memory
	trust := m.start(0)
	for i := range 2 * peer.PinsMax {
		err := trust.Admit(boardWith(peer.Serial(fmt.Sprintf("2%015x", i)), keyA))
		if (err == nil) != (i < peer.PinsMax) {
			t.Fatalf("board %d: %v", i, err)
		}
	}
	if err := m.pins.Validate(); err != nil {
		t.Error(err)
	}
	trust = m.start(time.Hour)
	for i := range 1000 {
		if err := trust.Admit(boardWith(peer.Serial(fmt.Sprintf("3%015x", i)), keyA)); err == nil {
			t.Fatal("let in too late")
		}
	}
	if n := m.logs.Len(); n > 64 {
		t.Errorf("%d refusals were logged", n)
	}
	far := asked(enroll.Hello, keyA, peer.Blank)
	far.Asked, far.From = false, netip.MustParseAddr("192.0.2.1")
	if err := trust.Peer(far); err == nil {
		t.Error("a board beyond a router is a peer")
	}
	far.Claim.Cluster = "class-b"
	if err := trust.Peer(far); err == nil {
		t.Error("a board of another cluster is a peer")
	}
}

func TestFirstUseSaysWhenPinsAreLost(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	trust := enroll.NewFirstUse("pi", peer.Pins{}, 0, timing.Product().Pair, func(netip.Addr) bool { return true },
		func(peer.Pins) error { return errors.New("no space left") }, zap.New(core))
	trust.Follow(keyA)
	if logs.FilterMessageSnippet("no space left").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	if err := trust.Peer(asked(enroll.Join, keyB, peer.Manager)); err == nil {
		t.Error("pins that cannot be saved have no effect")
	}
}

// A board leaves its swarm only for a manager that it follows, or while it is new, or after Pair.
func TestMayMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		want := func(what string, trust *enroll.FirstUse, key enroll.Fingerprint, may bool) {
			t.Helper()
			if err := trust.MayMove(key); (err == nil) != may {
				t.Errorf("%s: %v", what, err)
			}
		}
		want("new", m.start(0), keyA, true)
		old := m.start(timing.Product().Pair)
		want("not new any more", old, keyA, false)
		old.Pair()
		want("after Pair", old, keyA, true)
		time.Sleep(timing.Product().Pair)
		want("long after Pair", old, keyA, false)

		leads := m.start(0)
		if err := leads.Admit(boardWith("10000000aabbcc02", keyB)); err != nil {
			t.Fatal(err)
		}
		want("it has let a board in", leads, keyA, false)

		m = memory{}
		follows := m.start(0)
		follows.Follow(keyA)
		want("its manager", follows, keyA, true)
		want("another", follows, keyB, false)
	})
}
