package peer_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

func TestParseSerial(t *testing.T) {
	tests := []struct {
		in, want string // an empty want means an error
	}{
		{"00000000f0a1b2c3\x00", "00000000f0a1b2c3"},
		{"10000000AABBCC01", "10000000aabbcc01"},
		{"ee14f78c1312ce93\n", "ee14f78c1312ce93"},
		{"f0a1b2c3", "00000000f0a1b2c3"},
		{"m0123456789abcde", "m0123456789abcde"},
		{"", ""}, {"\x00", ""}, {"0000000000000000", ""}, {"0", ""},
		{"unknown", ""}, {"10000000aabbcc011", ""}, {"m0123", ""}, {"mzzzzzzzzzzzzzzz", ""},
		{strings.Repeat("a", 1<<16), ""},
	}
	for _, tt := range tests {
		got, err := peer.ParseSerial(tt.in)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParseSerial(%.40q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestDerivedSerialsSortLast(t *testing.T) {
	derived := peer.DeriveSerial("7d3f0a8c2b914e55a0b1c2d3e4f50617\n")
	if got, err := peer.ParseSerial(string(derived)); err != nil || got != derived {
		t.Fatalf("ParseSerial(%q) = %q, %v", derived, got, err)
	}
	if !derived.Derived() || peer.Serial("ffffffffffffffff").Derived() {
		t.Error("Derived is wrong")
	}
	all := []peer.Serial{derived, "ee14f78c1312ce93", "10000000aabbcc01", "ffffffffffffffff", "00000000f0a1b2c3"}
	slices.Sort(all)
	want := []peer.Serial{"00000000f0a1b2c3", "10000000aabbcc01", "ee14f78c1312ce93", "ffffffffffffffff", derived}
	if !slices.Equal(all, want) {
		t.Errorf("sorted %v, want %v", all, want)
	}
	if got, want := peer.Serial("10000000aabbcc01").Name(), "pi-bbcc01"; got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
}

func TestClaimValidate(t *testing.T) {
	good := peer.Claim{Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Manager, Swarm: "vks8kx0b2e3l",
		Model: "Raspberry Pi 4 Model B Rev 1.1"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*peer.Claim)
		word   string // must be in the error
	}{
		{"no serial", func(c *peer.Claim) { c.Serial = "" }, "serial"},
		{"serial not normal", func(c *peer.Claim) { c.Serial = "AABBCC01" }, "normal form"},
		{"cluster", func(c *peer.Claim) { c.Cluster = "Class A" }, "cluster"},
		{"long cluster", func(c *peer.Claim) { c.Cluster = strings.Repeat("a", 33) }, "cluster"},
		{"tag", func(c *peer.Claim) { c.Tag = "geheim" }, "tag"},
		{"machine", func(c *peer.Claim) { c.Machine = "7d3f0a8c2b914e55a0b1c2d3e4f50617" }, "machine"},
		{"engine", func(c *peer.Claim) { c.Engine = "SECRET" }, "engine"},
		{"state", func(c *peer.Claim) { c.State = "king" }, "state"},
		{"swarm", func(c *peer.Claim) { c.Swarm = "a b" }, "swarm"},
		{"node", func(c *peer.Claim) { c.Node = "../x" }, "node"},
		{"model", func(c *peer.Claim) { c.Model = strings.Repeat("x", 129) }, "model"},
		{"trouble", func(c *peer.Claim) { c.Trouble = say.Words(strings.Repeat("x", peer.TroubleMax+1)) }, "trouble"},
		{"waits", func(c *peer.Claim) { c.Waits = say.Words(strings.Repeat("x", peer.TroubleMax+1)) }, "waits"},
		{"trouble in lines", func(c *peer.Claim) { c.Trouble = say.Words("a\nb") }, "trouble"},
		{"contents", func(c *peer.Claim) { c.Contents.Secrets = -1 }, "contents"},
		{"more ready than there are", func(c *peer.Claim) { c.Nodes, c.Ready = 2, 3 }, "3 of 2 nodes"},
		{"too many contents", func(c *peer.Claim) { c.Contents.Nodes = 1_000_001 }, "contents"},
		{"hostname", func(c *peer.Claim) { c.Hostname = "a\x1b[2J" }, "hostname"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.word) {
				t.Errorf("Validate() = %v, want an error that names %q", err, tt.word)
			}
		})
	}
}

func FuzzClaim(f *testing.F) {
	f.Add([]byte(`{"serial":"10000000aabbcc01","cluster":"pi","state":"blank","clock":"2026-11-23T07:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c peer.Claim
		if json.Unmarshal(b, &c) != nil || c.Validate() != nil {
			return
		}
		if len(c.Serial) != 16 || len(c.Cluster) > 32 || len(c.Hostname) > 128 {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}

// Boards tell each other their sentences in every language, and boards that know English only understand them, too.
func TestSentencesOfAClaim(t *testing.T) {
	c := peer.Claim{
		Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Waiting,
		Trouble: say.Locked.With(), Waits: say.Words("no route to host"),
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var old struct{ Trouble, Waits string }
	if err := json.Unmarshal(text, &old); err != nil || old.Trouble != c.Trouble.En || old.Waits != c.Waits.En {
		t.Errorf("%+v, %v", old, err)
	}
	var read peer.Claim
	if err := json.Unmarshal(text, &read); err != nil || read != c || read.Validate() != nil {
		t.Errorf("%+v, %v, want %+v", read, err, c)
	}
	if err := json.Unmarshal([]byte(`{"trouble": "no", "waits_es": "x"}`), &read); err != nil ||
		read.Trouble != say.Words("no") || !read.Waits.IsZero() {
		t.Errorf("%+v, %v", read, err)
	}
	c.Waits.Code = "</script>"
	if err := c.Validate(); err == nil {
		t.Error("a code that is none is taken")
	}
}
