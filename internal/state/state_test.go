package state_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/internal/state"
	"github.com/pi-agent/pi-agent/internal/trust"
)

const serial = "10000000aabbcc01"

func TestOpenKeepsTheNodeKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pi-agent")
	first, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	again, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.State(), again.State(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("state changed (-first +again):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600: it holds the node key", got)
	}
	member := peer.Membership{Swarm: "s1", Node: "n1", Manager: true}
	if err := again.Update(func(s *state.State) { s.Membership = member }); err != nil {
		t.Fatal(err)
	}
	moved, err := state.Open(dir, "10000000aabbcc02")
	if err != nil {
		t.Fatal(err)
	}
	if moved.State().Key().Equal(first.State().Key()) {
		t.Error("a card moved to another board kept the first board's node key")
	}
	member.From = serial
	if got := moved.State().Membership; got != member {
		t.Errorf("a card moved to another board is at %+v, want %+v", got, member)
	}
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	f, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	want := peer.Membership{Swarm: "s1", Node: "n1"}
	change := func(s *state.State) { s.Membership = want }
	if err := f.Update(change); err != nil {
		t.Fatal(err)
	}
	again, err := state.Open(dir, serial)
	if err != nil || again.State().Membership != want {
		t.Errorf("%v, kept %+v, want %+v", err, again.State().Membership, want)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := again.Update(change); err != nil {
		t.Errorf("an update that changes nothing gives %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an update that changes nothing writes the file: %v", err)
	}
}

// What is changed in place is kept, too: the maps and lists of the state before are the same ones.
func TestUpdateInPlace(t *testing.T) {
	changes := map[string]func(*state.State){
		"a stack":      func(s *state.State) { s.Stacks["web"] = stacks.Mark{Swarm: "s1", Sum: "new"} },
		"a pin":        func(s *state.State) { s.Pins.Boards["10000000aabbcc02"] = peer.Fingerprint{2} },
		"a manager":    func(s *state.State) { s.Pins.OtherManagers[0] = peer.Fingerprint{3} },
		"a peer":       func(s *state.State) { s.Peers[0] = netip.MustParseAddr("10.0.0.2") },
		"the node key": func(s *state.State) { s.NodeKey[0]++ },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := state.Open(dir, serial)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Update(func(s *state.State) {
				s.Stacks = map[string]stacks.Mark{"web": {Swarm: "s1", Sum: "old"}}
				s.Pins = trust.Pins{Cluster: "pi", OtherManagers: []peer.Fingerprint{{1}},
					Boards: map[peer.Serial]peer.Fingerprint{"10000000aabbcc02": {1}}}
				s.Peers = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
			}); err != nil {
				t.Fatal(err)
			}
			if err := f.Update(change); err != nil {
				t.Fatal(err)
			}
			kept, err := state.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.State(), kept, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("the file has something else (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenMovesAnUnusableFileAside(t *testing.T) {
	for name, content := range map[string]string{
		"truncated": `{"version":1,"serial":"1000`,
		"empty":     ``,
		"newer":     `{"version":99,"serial":"10000000aabbcc01","node_key":""}`,
		"short key": `{"version":1,"serial":"10000000aabbcc01","node_key":"AAAA"}`,
		"node id": `{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",` +
			`"membership":{"node":"../x"}}`,
		"address": `{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",` +
			`"address":"10.0.0.1"}`,
		"peer": `{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",` +
			`"peers":["10.0.0.1","8.8.8.8"]}`,
		"no serial": `{"version":1,"node_key":"AAAA"}`,
		"huge":      strings.Repeat("x", 1<<20+1),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := state.Open(dir, serial)
			s := f.State()
			if !errors.Is(err, state.ErrUnusable) {
				t.Errorf("error %v, want ErrUnusable", err)
			}
			if len(s.Key()) == 0 || s.Serial != serial {
				t.Errorf("state %+v is not good to use", s.Serial)
			}
			kept, err := os.ReadFile(path + ".bad")
			if err != nil || string(kept) != content {
				t.Errorf("the old content is lost: %v", err)
			}
			if _, err := state.Open(dir, serial); err != nil {
				t.Errorf("the second start: %v", err)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	dir := t.TempDir()
	f, err := state.Open(dir, serial)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("169.254.7.8")
	if err := f.Update(func(s *state.State) { s.Address, s.Interface = addr, "eth0" }); err != nil {
		t.Fatal(err)
	}
	f, err = state.Open(dir, serial)
	if s := f.State(); err != nil || s.Address != addr || s.Interface != "eth0" {
		t.Errorf("%+v, %v", s, err)
	}
	f, err = state.Open(dir, "10000000aabbcc02")
	if s := f.State(); err != nil || s.Address.IsValid() {
		t.Errorf("on another board: %+v, %v", s, err)
	}
	if err := f.Update(func(s *state.State) {
		s.Address, s.Interface, s.Membership.Node = addr, "eth0",
			"n1"
	}); err != nil {
		t.Fatal(err)
	}
	f, err = state.Open(dir, serial)
	if s := f.State(); err != nil || s.Address != addr || s.Interface != "eth0" {
		t.Errorf("on another board, with its place in a swarm: %+v, %v", s, err)
	}
}

func TestOpenGoesOnWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := state.Open(filepath.Join(file, "below"), serial)
	if err == nil {
		t.Error("no error, but the state cannot have been written")
	}
	if len(f.State().Key()) == 0 {
		t.Error("no key to go on with")
	}
	join := func(s *state.State) { s.Membership.Node = "n1" }
	if err := f.Update(join); err == nil || f.State().Membership.Node != "n1" {
		t.Errorf("an update gives %v and %+v, want an error and the new state", err, f.State().Membership)
	}
	give := func(s *state.State) { s.Membership.Yields = true }
	if err := f.Commit(give); err == nil || f.State().Membership.Yields {
		t.Errorf("a commit gives %v and %+v, want an error and nothing new", err, f.State().Membership)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",` +
		`"peers":["169.254.7.8","10.0.0.1"]}`))
	f.Add([]byte(`{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`))
	f.Add([]byte(`{"version":1,"serial":"10000000aabbcc01","node_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",` +
		`"pins":{"cluster":"pi","manager":"00","boards":{"10000000aabbcc02":"00"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "state.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, _ := state.Open(dir, serial)
		s := file.State()
		if s.Serial != serial || len(s.Key()) == 0 || s.Pins.Validate() != nil ||
			peer.CheckRemembered(s.Peers) != nil {
			t.Errorf("not good to use: %q", b)
		}
	})
}
