package enroll_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/enroll"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

func TestPicture(t *testing.T) {
	managerID, boardID := identity(t, "10000000aabbcc01"), identity(t, "10000000aabbcc02")
	manager := &host{claim: claim("10000000aabbcc01", peer.Manager), size: 40 << 10} // ten times a hello
	modelOf := func(words string) trust.Model {
		phrase, err := clusterkey.Parse(words)
		if err != nil {
			t.Fatal(err)
		}
		key, err := phrase.Key("pi")
		if err != nil {
			t.Fatal(err)
		}
		same, err := trust.NewSameKey("pi", key)
		if err != nil {
			t.Fatal(err)
		}
		return same
	}
	ours := modelOf("correct horse battery")
	addr, _ := serveWith(t, managerID, manager, ours)
	member := enroll.NewClient(boardID, ours)
	mine := claim("10000000aabbcc02", peer.Worker)
	m := trust.Peer{Claim: manager.claim, Key: managerID.Key(), Addr: addr}

	shown, err := member.Picture(t.Context(), m, mine)
	if err != nil || !strings.HasPrefix(string(shown), `{"for":"10000000aabbcc02"`) || len(shown) < manager.size {
		t.Errorf("%d bytes %.40s, %v", len(shown), shown, err)
	}
	other := m
	other.Key = boardID.Key()
	if _, err := member.Picture(t.Context(), other, mine); err == nil ||
		!strings.Contains(err.Error(), "another board answers") {
		t.Errorf("another board in its place: %v", err)
	}
	stranger := enroll.NewClient(boardID, modelOf("another battery horse"))
	if shown, err := stranger.Picture(t.Context(), m, mine); !errors.Is(err, enroll.ErrNotPeer) {
		t.Errorf("a stranger was shown %.40s, %v", shown, err)
	}
	if shown, err := client(boardID).Picture(t.Context(), m, mine); err == nil {
		t.Errorf("a board without the key was shown %.40s", shown)
	}
	manager.size = 1 << 20
	if _, err := member.Picture(t.Context(), m, mine); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a picture without bounds: %v", err)
	}
	manager.err = errors.New("this board is not a manager now")
	if _, err := member.Picture(t.Context(), m, mine); !errors.Is(err, enroll.ErrRefused) ||
		!strings.Contains(err.Error(), "not a manager now") {
		t.Errorf("a board that is no manager: %v", err)
	}
}
