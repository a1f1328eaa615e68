package enroll_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
)

var keyC = enroll.Fingerprint{3}

// followed lists which of three managers a board follows.
func followed(trust *enroll.FirstUse) (who string) {
	for i, key := range []enroll.Fingerprint{keyA, keyB, keyC} {
		if trust.Peer(asked(enroll.Join, key, peer.Manager)) == nil {
			who += string("abc"[i])
		}
	}
	return who
}

func TestAManagerTellsOfItsFellows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		trust := m.start(time.Hour)
		trust.Told(keyA, []enroll.Fingerprint{keyA, keyB}) // of whom it does not follow
		if is := followed(trust); is != "abc" {
			t.Fatalf("a board that follows nobody trusts %q", is)
		}
		trust.Follow(keyA)
		tests := []struct {
			name string
			by   enroll.Fingerprint
			told []enroll.Fingerprint
			want string
		}{
			{"a stranger's word", keyB, []enroll.Fingerprint{keyB, keyC}, "a"},
			{"nothing", keyA, nil, "a"},
			{"itself", keyA, []enroll.Fingerprint{keyA}, "a"},
			{"three managers", keyA, []enroll.Fingerprint{keyC, keyB, keyA}, "abc"},
			{"the first is replaced", keyB, []enroll.Fingerprint{keyB, keyC}, "bc"},
			{"the former one's word", keyA, []enroll.Fingerprint{keyA}, "bc"},
			{"one is left", keyC, []enroll.Fingerprint{keyC}, "c"},
		}
		for _, tt := range tests {
			trust.Told(tt.by, tt.told)
			for range 2 {
				if is := followed(trust); is != tt.want {
					t.Errorf("%s: it follows %q, want %q", tt.name, is, tt.want)
				}
				trust = m.start(time.Hour) // after a power cut
			}
			if err := m.pins.Validate(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		trust.Pair()
		trust.Told(keyC, []enroll.Fingerprint{keyC})
		if is := followed(trust); is != "abc" {
			t.Errorf("while pairing it trusts %q", is)
		}
	})
}

func TestManagersShareWhomTheyLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		trust := m.start(time.Hour)
		trust.Follow(keyA) // a worker that was made a manager, later than new boards are let in
		known, new := boardWith("10000000aabbcc02", keyB), boardWith("10000000aabbcc03", keyC)
		if trust.Admit(known) == nil || trust.Admitted(known) {
			t.Error("a board that another manager has let in is known before anybody said so")
		}
		trust.Managed([]enroll.Fingerprint{keyA}, map[peer.Serial]enroll.Fingerprint{"10000000aabbcc02": keyB})
		if err := trust.Admit(known); err != nil || !trust.Admitted(known) {
			t.Errorf("a board that another manager has let in: %v", err)
		}
		if trust.Admit(new) == nil || trust.Admitted(new) {
			t.Error("a board that nobody has let in is let in")
		}
		imposter := known
		imposter.Key = keyC
		trust.Managed([]enroll.Fingerprint{keyA}, map[peer.Serial]enroll.Fingerprint{"10000000aabbcc02": keyC, "10000000aabbcc04": keyC})
		if trust.Admit(imposter) == nil || trust.Admitted(imposter) {
			t.Error("what it knows itself was replaced")
		}
		trust.Managed([]enroll.Fingerprint{keyB, keyC}, nil)
		if is := followed(trust); is != "bc" {
			t.Errorf("a manager follows %q, want its fellows", is)
		}
		trust.Managed(nil, map[peer.Serial]enroll.Fingerprint{"10000000aabbcc02": keyB})
		if err := trust.Peer(asked(enroll.Hello, keyA, peer.Manager)); err != nil {
			t.Errorf("the only manager does not hear others: %v", err) // two swarms are to be reported
		}
		if trust.Peer(asked(enroll.Join, keyA, peer.Manager)) == nil {
			t.Error("the only manager joins another swarm")
		}
		trust.Forget()
		if is := followed(trust); is != "abc" || trust.Admitted(known) {
			t.Errorf("a board that has forgotten trusts %q", is)
		}
	})
}
