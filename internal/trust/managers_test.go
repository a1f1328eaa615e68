package trust_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

var keyC = peer.Fingerprint{3}

// followed lists which of three managers a board follows.
func followed(model *trust.FirstUse) (who string) {
	for i, key := range []peer.Fingerprint{keyA, keyB, keyC} {
		if model.Peer(asked(trust.Join, key, peer.Manager)) == nil {
			who += string("abc"[i])
		}
	}
	return who
}

func TestAManagerNamesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		model := m.start(time.Hour)
		model.Told(keyA, []peer.Fingerprint{keyA, keyB}) // of whom it does not follow
		if is := followed(model); is != "abc" {
			t.Fatalf("a board that follows nobody trusts %q", is)
		}
		model.Follow(keyA)
		tests := []struct {
			name string
			by   peer.Fingerprint
			told []peer.Fingerprint
			want string
		}{
			{"a stranger's word", keyB, []peer.Fingerprint{keyB, keyC}, "a"},
			{"nothing", keyA, nil, "a"},
			{"itself", keyA, []peer.Fingerprint{keyA}, "a"},
			{"three managers", keyA, []peer.Fingerprint{keyC, keyB, keyA}, "abc"},
			{"the first is replaced", keyB, []peer.Fingerprint{keyB, keyC}, "bc"},
			{"the former one's word", keyA, []peer.Fingerprint{keyA}, "bc"},
			{"one is left", keyC, []peer.Fingerprint{keyC}, "c"},
		}
		for _, tt := range tests {
			model.Told(tt.by, tt.told)
			for range 2 {
				if is := followed(model); is != tt.want {
					t.Errorf("%s: it follows %q, want %q", tt.name, is, tt.want)
				}
				model = m.start(time.Hour) // after a power cut
			}
			if err := m.pins.Validate(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		model.Pair()
		model.Told(keyC, []peer.Fingerprint{keyC})
		if is := followed(model); is != "abc" {
			t.Errorf("while pairing it trusts %q", is)
		}
	})
}

func TestManagersShareWhomTheyLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		model := m.start(time.Hour)
		model.Follow(keyA) // a worker that was made a manager, later than new boards are let in
		known, new := boardWith("10000000aabbcc02", keyB), boardWith("10000000aabbcc03", keyC)
		if model.Admit(known) == nil || model.Admitted(known) {
			t.Error("a board that another manager has let in is known before anybody said so")
		}
		model.Managed([]peer.Fingerprint{keyA}, map[peer.Serial]peer.Fingerprint{"10000000aabbcc02": keyB})
		if err := model.Admit(known); err != nil || !model.Admitted(known) {
			t.Errorf("a board that another manager has let in: %v", err)
		}
		if model.Admit(new) == nil || model.Admitted(new) {
			t.Error("a board that nobody has let in is let in")
		}
		imposter := known
		imposter.Key = keyC
		model.Managed([]peer.Fingerprint{keyA},
			map[peer.Serial]peer.Fingerprint{"10000000aabbcc02": keyC, "10000000aabbcc04": keyC})
		if model.Admit(imposter) == nil || model.Admitted(imposter) {
			t.Error("what it knows itself was replaced")
		}
		model.Managed([]peer.Fingerprint{keyB, keyC}, nil)
		if is := followed(model); is != "bc" {
			t.Errorf("a manager follows %q, want the other managers", is)
		}
		model.Managed(nil, map[peer.Serial]peer.Fingerprint{"10000000aabbcc02": keyB})
		if err := model.Peer(asked(trust.Hello, keyA, peer.Manager)); err != nil {
			t.Errorf("the only manager does not hear others: %v", err) // two swarms are to be reported
		}
		if model.Peer(asked(trust.Join, keyA, peer.Manager)) == nil {
			t.Error("the only manager joins another swarm")
		}
		model.Forget()
		if is := followed(model); is != "abc" || model.Admitted(known) {
			t.Errorf("a board that has forgotten trusts %q", is)
		}
	})
}
