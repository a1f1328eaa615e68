package trust_test

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

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/timing"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// memory is a board's state file, and the boards that are started on it.
type memory struct {
	pins trust.Pins
	logs *observer.ObservedLogs
}

func (m *memory) start(on time.Duration) *trust.FirstUse {
	core, logs := observer.New(zap.InfoLevel)
	m.logs = logs
	near := func(a netip.Addr) bool { return netip.MustParsePrefix("10.77.0.0/24").Contains(a) }
	return trust.NewFirstUse("pi", m.pins, on, timing.Product().Pair, near,
		func(p trust.Pins) error { m.pins = p; return nil }, zap.New(core))
}

var (
	keyA, keyB = peer.Fingerprint{1}, peer.Fingerprint{2}
	addrA      = netip.MustParseAddr("10.77.0.1")
)

// asked is what a board sees of the manager that it asks.
func asked(purpose trust.Purpose, key peer.Fingerprint, state peer.State) trust.Contact {
	return trust.Contact{Purpose: purpose, Asked: true, From: addrA, Key: key, Claim: claim("10000000aabbcc01", state)}
}

func claim(serial peer.Serial, state peer.State) peer.Claim {
	return peer.Claim{Serial: serial, Cluster: "pi", State: state}
}

func boardWith(serial peer.Serial, key peer.Fingerprint) trust.Peer {
	return trust.Peer{Claim: claim(serial, peer.Blank), Key: key, Addr: netip.AddrPortFrom(addrA, peer.Port)}
}

func TestFirstManagerIsFollowedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		model := m.start(0)
		for _, key := range []peer.Fingerprint{keyA, keyB} {
			if err := model.Peer(asked(trust.Join, key, peer.Manager)); err != nil {
				t.Errorf("a board that follows nobody: %v", err)
			}
		}
		model.Follow(keyA)
		model.Follow(keyB) // no effect
		for range 2 {
			for _, purpose := range []trust.Purpose{trust.Hello, trust.Join} {
				if err := model.Peer(asked(purpose, keyA, peer.Manager)); err != nil {
					t.Errorf("its manager: %v", err)
				}
				if err := model.Peer(asked(purpose, keyB, peer.Manager)); !errors.Is(err, trust.ErrNotFollowed) ||
					!strings.Contains(err.Error(), keyA.String()) || !strings.Contains(err.Error(), `"sudo pi-agent pair" on both`) {
					t.Errorf("another manager: %v", err)
				}
			}
			if err := model.Peer(asked(trust.Hello, keyB, peer.Blank)); err != nil {
				t.Errorf("another board: %v", err)
			}
			model = m.start(time.Hour) // after a power cut
		}
		model.Pair()
		if err := model.Peer(asked(trust.Join, keyB, peer.Manager)); err != nil {
			t.Errorf("another manager after pair: %v", err)
		}
		model.Follow(keyB)
		if err := model.Peer(asked(trust.Hello, keyA, peer.Manager)); err == nil {
			t.Error("the former manager is followed after pair")
		}
		m.pins.Cluster = "class-b"
		if err := m.start(0).Peer(asked(trust.Join, keyA, peer.Manager)); err != nil {
			t.Errorf("a board that was moved to this cluster: %v", err)
		}
	})
}

func TestNewBoardsAreLetInForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		model := m.start(time.Minute)
		first, second := boardWith("10000000aabbcc02", keyA), boardWith("10000000aabbcc03", keyB)
		if err := model.Admit(first); err != nil {
			t.Errorf("in time: %v", err)
		}
		time.Sleep(timing.Product().Pair - time.Minute - time.Nanosecond) // virtual
		if err := model.Admit(boardWith("10000000aabbcc04", keyA)); err != nil {
			t.Errorf("just in time: %v", err)
		}
		time.Sleep(time.Nanosecond)
		for range 3 {
			if err := model.Admit(second); err == nil || !strings.Contains(err.Error(), "sudo pi-agent pair") {
				t.Errorf("a new board later: %v", err)
			}
		}
		if n := m.logs.FilterMessageSnippet("pi-bbcc03 may not join").Len(); n != 1 {
			t.Errorf("the refusal was logged %d times, want once", n)
		}
		imposter := first
		imposter.Key = keyB
		if err := model.Admit(imposter); err == nil {
			t.Error("another board under a known serial was let in later")
		}
		model = m.start(time.Hour) // after a restart of the agent
		if err := model.Admit(first); err != nil {
			t.Errorf("a known board later: %v", err)
		}
		if err := model.Admit(second); err == nil {
			t.Error("a restart of the agent lets new boards in")
		}
		model.Pair()
		if err := model.Admit(second); err != nil {
			t.Errorf("a new board after pair: %v", err)
		}
		if err := model.Admit(imposter); err != nil || m.logs.FilterMessageSnippet("another node key").Len() != 1 {
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
		model := m.start(0)
		if err := model.Admit(boardWith("10000000aabbcc02", keyA)); err != nil {
			t.Fatal(err)
		}
		if err := model.Peer(asked(trust.Hello, keyB, peer.Manager)); err != nil {
			t.Errorf("another manager cannot be told from: %v", err) // two swarms are to be reported
		}
		if err := model.Peer(asked(trust.Join, keyB, peer.Manager)); err == nil {
			t.Error("a leader joins another swarm")
		}
		model.Pair()
		if err := model.Peer(asked(trust.Join, keyB, peer.Manager)); err != nil {
			t.Errorf("after pair: %v", err)
		}
		time.Sleep(timing.Product().Pair) // virtual
		if err := model.Peer(asked(trust.Join, keyB, peer.Manager)); err == nil {
			t.Error("a leader joins another swarm long after pair")
		}
	})
}

func TestFirstUseBounds(t *testing.T) {
	var m memory
	model := m.start(0)
	for i := range 2 * trust.PinsMax {
		err := model.Admit(boardWith(peer.Serial(fmt.Sprintf("2%015x", i)), keyA))
		if (err == nil) != (i < trust.PinsMax) {
			t.Fatalf("board %d: %v", i, err)
		}
	}
	if err := m.pins.Validate(); err != nil {
		t.Error(err)
	}
	model = m.start(time.Hour)
	for i := range 1000 {
		if err := model.Admit(boardWith(peer.Serial(fmt.Sprintf("3%015x", i)), keyA)); err == nil {
			t.Fatal("let in too late")
		}
	}
	if n := m.logs.Len(); n > 64 {
		t.Errorf("%d refusals were logged", n)
	}
	far := asked(trust.Hello, keyA, peer.Blank)
	far.Asked, far.From = false, netip.MustParseAddr("192.0.2.1")
	if err := model.Peer(far); err == nil {
		t.Error("a board beyond a router is a peer")
	}
	far.Claim.Cluster = "class-b"
	if err := model.Peer(far); err == nil {
		t.Error("a board of another cluster is a peer")
	}
}

func TestFirstUseSaysWhenPinsAreLost(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	model := trust.NewFirstUse("pi", trust.Pins{}, 0, timing.Product().Pair, func(netip.Addr) bool { return true },
		func(trust.Pins) error { return errors.New("no space left") }, zap.New(core))
	model.Follow(keyA)
	if logs.FilterMessageSnippet("no space left").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
	if err := model.Peer(asked(trust.Join, keyB, peer.Manager)); err == nil {
		t.Error("pins that cannot be saved have no effect")
	}
}

// A board leaves its swarm only for a manager that it follows, or while it is new, or after Pair.
func TestMayMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		want := func(what string, model *trust.FirstUse, key peer.Fingerprint, may bool) {
			t.Helper()
			if err := model.MayMove(key); (err == nil) != may {
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
