package peer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

func TestSound(t *testing.T) {
	good := peer.Claim{
		Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Manager, Swarm: "vks8kx0b2e3l", Node: "n0de", Hostname: "kitchen",
		Model: "Raspberry Pi 4 Model B Rev 1.1", Machine: "7d3f0a8c2b914e55", Engine: "7d3f0a8c2b914e56", Peers: "192.168.1.20",
		Trouble: say.Words("Wörter"), Waits: say.Text{Code: "a-b", En: "more", Es: "más"}, Contents: peer.Contents{Nodes: 3,
			Services: 1},
		Nodes: 3, Ready: 2,
	}
	if got := good.Sound(); got != good {
		t.Errorf("a valid claim is changed:\n%s", cmp.Diff(good, got))
	}
	tests := []struct {
		name         string
		change, want func(*peer.Claim)
	}{
		{"hostname that is not UTF-8", func(c *peer.Claim) { c.Hostname = "k\xfcche" },
			func(c *peer.Claim) { c.Hostname = "" }},
		{"hostname of NULs", func(c *peer.Claim) { c.Hostname = "\x00\x00\x00\x00\x00\x00\x00\x00" },
			func(c *peer.Claim) { c.Hostname = "" }},
		{"hostname with a tab", func(c *peer.Claim) { c.Hostname = "my\tpi" }, func(c *peer.Claim) { c.Hostname = "" }},
		{"hostname of 129 bytes", func(c *peer.Claim) { c.Hostname = strings.Repeat("a", 129) },
			func(c *peer.Claim) { c.Hostname = "" }},
		{"model of a firmware", func(c *peer.Claim) { c.Model = "Pi \xff\x00" + strings.Repeat("x", 200) },
			func(c *peer.Claim) { c.Model = "Pi ? " + strings.Repeat("x", 123) }},
		{"words of an engine", func(c *peer.Claim) { c.Trouble = say.Words("a\nb\x1b[2J\x7f") },
			func(c *peer.Claim) { c.Trouble = say.Words("a;b [2J ") }},
		{"many words", func(c *peer.Claim) { c.Waits = say.Words(strings.Repeat("ü", peer.TroubleMax)) },
			func(c *peer.Claim) { c.Waits = say.Words(strings.Repeat("ü", peer.TroubleMax/2)) }},
		{"swarm", func(c *peer.Claim) { c.Swarm = "VKS8" }, func(c *peer.Claim) { c.Swarm = "" }},
		{"node", func(c *peer.Claim) { c.Node = "../x" }, func(c *peer.Claim) { c.Node = "" }},
		{"managed swarm", func(c *peer.Claim) { c.Manages = "VKS8" }, func(c *peer.Claim) { c.Manages = "" }},
		{"marks", func(c *peer.Claim) { c.Machine, c.Engine = "x", strings.Repeat("0", 17) },
			func(c *peer.Claim) { c.Machine, c.Engine = "", "" }},
		{"peers", func(c *peer.Claim) { c.Peers = "8.8.8.8" }, func(c *peer.Claim) { c.Peers = "" }},
		{"contents", func(c *peer.Claim) { c.Contents = peer.Contents{Nodes: -1, Configs: 1 << 30} },
			func(c *peer.Claim) { c.Contents = peer.Contents{Configs: 1_000_000} }},
		{"nodes", func(c *peer.Claim) { c.Nodes, c.Ready = 2, 3 }, func(c *peer.Claim) { c.Nodes, c.Ready = 2, 2 }},
	}
	for _, tt := range tests {
		given, want := good, good
		tt.change(&given)
		tt.want(&want)
		if given.Validate() == nil {
			t.Errorf("%s: the claim is valid as it is", tt.name)
		}
		got := given.Sound()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Whatever a board is told, the others understand what it says.
func FuzzSound(f *testing.F) {
	f.Add("k\xfcche", "Pi\x00", "no\nsuch", "swarm", "00", "10.0.0.1", -1, 1)
	f.Fuzz(func(t *testing.T, hostname, model, trouble, id, mark, peers string, n, ready int) {
		c := peer.Claim{
			Serial: "10000000aabbcc01", Cluster: "pi", State: peer.Worker, Hostname: hostname, Model: model, Trouble: say.Words(trouble), Waits: say.Words(model + trouble),
			Swarm: id, Node: mark, Machine: mark, Engine: id, Peers: peers, Nodes: n, Ready: ready,
			Contents: peer.Contents{Nodes: ready, Services: n, Secrets: n, Configs: ready},
		}
		valid := c.Validate() == nil
		s := c.Sound()
		if err := s.Validate(); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if valid && s != c || s.Sound() != s {
			t.Errorf("%+v is changed to %+v, and that to %+v", c, s, s.Sound())
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back peer.Claim
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s is read as %+v, %v", text, back, err)
		}
	})
}
