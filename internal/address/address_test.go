package address

import (
	"net/netip"
	"testing"
)

// usable returns an interface that lacks nothing, changed by change.
func usable(name string, index int, change ...func(*nic)) nic {
	c := nic{
		Choice: Choice{Link: Link{Name: name, Index: index, Addr: netip.AddrFrom4([4]byte{192, 168, 1, byte(index)})}},
		up:     true, carrier: true, multicast: true, metric: -1,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func down(c *nic)        { c.up, c.carrier = false, false }
func unplugged(c *nic)   { c.carrier = false }
func noMulticast(c *nic) { c.multicast = false }
func noAddr(c *nic)      { c.Addr = netip.Addr{} }
func lonely(c *nic)      { c.lonely = true }
func radio(c *nic)       { c.wireless = true }

func metric(m int) func(*nic) { return func(c *nic) { c.metric = m } }

func TestChoose(t *testing.T) {
	lo := usable("lo", 1, lonely)
	tests := []struct {
		name string
		all  []nic
		want string
		link string // name of the choice
		err  string
	}{
		{"one", []nic{lo, usable("eth0", 2)}, "", "eth0", ""},
		{"default route", []nic{lo, usable("eth0", 2), usable("eth1", 3, metric(100))}, "", "eth1", ""},
		{"default route of the radio", []nic{usable("eth0", 2), usable("wlan0", 3, radio, metric(600))},
			"", "wlan0", ""},
		{"lower metric", []nic{usable("wlan0", 2, radio, metric(600)), usable("eth0", 3, metric(100))},
			"", "eth0", ""},
		{"metric 0", []nic{usable("eth0", 2, metric(100)), usable("eth1", 3, metric(0))}, "", "eth1", ""},
		{"wired", []nic{usable("wlan0", 2, radio), usable("eth0", 3)}, "", "eth0", ""},
		{"wired at one metric", []nic{usable("wlan0", 2, radio, metric(0)), usable("eth0", 3, metric(0))},
			"", "eth0", ""},
		{"older", []nic{usable("eth1", 3), usable("eth0", 2)}, "", "eth0", ""},
		{"settings", []nic{usable("eth0", 2, metric(0)), usable("wlan0", 3, radio)}, "wlan0", "wlan0", ""},
		{"settings name a tunnel", []nic{usable("eth0", 2), usable("wg0", 3, lonely)}, "wg0", "wg0", ""},
		{"the next when the first has no address", []nic{usable("eth0", 2, noAddr), usable("wlan0", 3, radio)},
			"", "wlan0", ""},
		{"the next when the first is unplugged", []nic{usable("eth0", 2, unplugged), usable("wlan0", 3, radio)},
			"", "wlan0", ""},
		{"containers", []nic{
			usable("docker0", 2), usable("docker_gwbridge", 3), usable("br-5f0c1e", 4), usable("veth12ab", 5), usable("tun0", 6),
			usable("tailscale0", 7, lonely), usable("eth0", 8),
		}, "", "eth0", ""},
		{"a bridge of the owner", []nic{usable("br0", 2)}, "", "br0", ""},
		{"settings name one of another program", []nic{usable("eth0", 2, metric(0)), usable("zt7abcdef", 3)},
			"zt7abcdef", "zt7abcdef", ""},

		{"nothing", nil, "", "", "there is no network interface"},
		{"nothing but lo", []nic{lo}, "", "", "there is no network interface"},
		{"nothing but containers", []nic{lo, usable("zt7abcdef", 3), usable("docker0", 2)}, "", "",
			"there is no network interface that leads to other boards, only docker0, zt7abcdef; see interface in pi-agent.toml"},
		{"nothing of that name", []nic{lo}, "eth7", "", "there is no network interface"},
		{"not there", []nic{lo, usable("wlan0", 3, radio), usable("eth0", 2), usable("docker0", 4)}, "eth7", "",
			`there is no interface "eth7", only eth0, wlan0; see interface in pi-agent.toml`},
		{"down", []nic{usable("eth0", 2, down)}, "", "", "eth0 is not up"},
		{"no cable", []nic{usable("eth0", 2, unplugged, noAddr)}, "", "",
			"eth0 has no cable, or nothing is at its other end"},
		{"no radio", []nic{usable("wlan0", 2, unplugged, radio)}, "", "", "wlan0 is connected to no wireless network"},
		{"no multicast", []nic{usable("eth0", 2, noMulticast)}, "", "",
			"eth0 cannot do multicast, which finding other boards needs"},
		{"no address", []nic{usable("eth0", 2, noAddr)}, "", "", "eth0 has no IPv4 address yet"},
		{"settings name one without address", []nic{usable("eth0", 2), usable("eth1", 3, noAddr)}, "eth1", "",
			"eth1 has no IPv4 address yet"},
		{"the first of two", []nic{usable("wlan0", 2, radio, down), usable("eth0", 3, noAddr)}, "", "",
			"eth0 has no IPv4 address yet"},
		{"the one that is nearly there", []nic{usable("eth0", 2, unplugged, noAddr), usable("wlan0", 3, radio, noAddr)},
			"", "", "wlan0 has no IPv4 address yet"},
		{"wired when nothing is connected", []nic{usable("wlan0", 2, radio, unplugged), usable("eth0", 3, unplugged)},
			"", "", "eth0 has no cable, or nothing is at its other end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(tt.all, tt.want, "")
			if said := words(err); got.Name != tt.link || said != tt.err {
				t.Errorf("choose() = %q, %q, want %q, %q", got.Name, said, tt.link, tt.err)
			}
		})
	}
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
