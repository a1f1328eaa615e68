package status

import (
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

func TestSharedID(t *testing.T) {
	kind := idKind{shared: say.SharedEngine, remedy: "help"}
	for _, tt := range []struct {
		serials    []peer.Serial
		text, help string
	}{
		{[]peer.Serial{"10000000aabbcc01", "10000000aabbcc02"},
			"pi-bbcc01 and pi-bbcc02 are copies of one card and have the same Docker Engine id.", "On pi-bbcc02: help."},
		{
			[]peer.Serial{"10000000aabbcc01", "10000000aabbcc02", "10000000aabbcc03"},
			"pi-bbcc01, pi-bbcc02 and pi-bbcc03 are copies of one card and have the same Docker Engine id.", "On all but pi-bbcc01: help.",
		},
	} {
		s := Sharing{kind, "", tt.serials}
		if s.Text().En != tt.text || s.Help().En != tt.help {
			t.Errorf("%q, %q; want %q, %q", s.Text(), s.Help(), tt.text, tt.help)
		}
	}
}
