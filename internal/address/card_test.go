package address

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shown is an interface as /sys shows it, and what is not in there.
type shown struct {
	name string
	// of its directory: "device", "wireless", "tun_flags", "lower_eth0", "master br0", "DEVTYPE=bridge", "type 65534"
	files   string
	addr    string // empty is none
	metric  int    // of its default route; 0 is none
	carrier bool
}

// up is an interface with a connection, and none of the rest.
func up(name, files string) shown { return shown{name: name, files: files, carrier: true} }

func (s shown) at(addr string) shown    { s.addr = addr; return s }
func (s shown) gateway(m int) shown     { s.metric = m; return s }
func (s shown) unplugged() shown        { s.carrier = false; return s }
func (s shown) index(all []shown) int   { return slices.Index(all, s) + 2 }
func (s shown) with(files string) shown { s.files += " " + files; return s }

// sysOf makes a /sys that shows the interfaces.
func sysOf(t *testing.T, all []shown) string {
	t.Helper()
	root := t.TempDir()
	for _, s := range all {
		dir := filepath.Join(root, "class/net", s.name)
		must(t, os.MkdirAll(dir, 0o755))
		uevent := fmt.Sprintf("INTERFACE=%s\nIFINDEX=%d\n", s.name, s.index(all))
		kind := "1"
		for words := strings.Fields(s.files); len(words) > 0; words = words[1:] {
			path := filepath.Join(dir, words[0])
			switch word := words[0]; {
			case strings.HasPrefix(word, "DEVTYPE="):
				uevent = word + "\n" + uevent
			case word == "type":
				kind, words = words[1], words[1:]
			case word == "master":
				must(t, os.Symlink("../"+words[1], path))
				words = words[1:]
			case word == "tun_flags":
				must(t, os.WriteFile(path, []byte("0x1002\n"), 0o644))
			case strings.HasPrefix(word, "lower_"):
				must(t, os.Symlink("../"+strings.TrimPrefix(word, "lower_"), path))
			default:
				must(t, os.Mkdir(path, 0o755))
			}
		}
		must(t, os.WriteFile(filepath.Join(dir, "uevent"), []byte(uevent), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "type"), []byte(kind+"\n"), 0o644))
	}
	return root
}

// nicsOf are the interfaces as a kernel with that /sys has them.
func nicsOf(root string, all []shown, bare bool) []nic {
	var found []nic
	for _, s := range all {
		c := nic{
			Choice: Choice{Link: Link{Name: s.name, Index: s.index(all)}}, card: readCard(root, s.name, s.index(all)),
			up: true, carrier: s.carrier, multicast: true, metric: -1, bare: bare,
		}
		if s.addr != "" {
			c.Addr = netip.MustParseAddr(s.addr)
		}
		if s.metric > 0 {
			c.metric = s.metric
		}
		found = append(found, c)
	}
	return found
}

func TestChooseBySys(t *testing.T) {
	eth0 := up("eth0", "device")
	wlan0 := up("wlan0", "device wireless DEVTYPE=wlan")
	docker0 := up("docker0", "DEVTYPE=bridge lower_veth1a2b3c4").at("172.17.0.1")
	veth := up("veth1a2b3c4", "master docker0")
	port := eth0.with("master br0")
	br0 := up("br0", "DEVTYPE=bridge lower_eth0")
	vlan := up("eth0.10", "DEVTYPE=vlan lower_eth0")
	type test struct {
		name       string
		all        []shown
		want, home string
		link       string // name of the choice
		why        string // or the error
	}
	tests := []test{
		{"a card", []shown{eth0.at("192.168.1.7").gateway(100), docker0, veth}, "", "", "eth0", ""},
		{"a card without an address", []shown{eth0, docker0, veth}, "", "", "eth0", ""},
		{"a radio beside an empty socket", []shown{eth0.unplugged(), wlan0}, "", "", "wlan0", ""},
		{"the default route is the radio's", []shown{eth0.at("10.0.0.2"), wlan0.at("192.168.1.7").gateway(600)}, "", "",
			"wlan0", ""},
		{"an empty socket beside a VPN", []shown{eth0.unplugged(), up("zt7abcdef", "tun_flags").at("10.147.17.5").gateway(1)},
			"", "", "",
			"eth0 has no cable, or nothing is at its other end"},
		{"nothing but a VPN", []shown{up("zt7abcdef", "tun_flags").at("10.147.17.5").gateway(1)}, "", "", "",
			"there is no network interface that leads to other boards, only zt7abcdef; see interface in pi-agent.toml"},
		{"a VPN that is named", []shown{eth0.at("192.168.1.7"), up("zt7abcdef", "tun_flags").at("10.147.17.5")}, "zt7abcdef",
			"", "zt7abcdef", ""},
		{"a VPN with a name of its own", []shown{eth0, up("office", "tun_flags").at("10.8.0.2").gateway(50)}, "", "", "eth0",
			""},
		{"a VPN that was used before", []shown{eth0, up("zt7abcdef", "tun_flags").at("10.147.17.5")}, "", "zt7abcdef", "eth0",
			""},

		{"a port of a bridge", []shown{port, br0.at("192.168.1.7").gateway(100)}, "", "", "br0", "it is made of eth0"},
		{"nobody has an address", []shown{port, br0}, "", "", "br0", "it is made of eth0"},
		{"the port has kept its address", []shown{port.at("192.168.1.7").gateway(100), br0}, "", "", "br0",
			"it is made of eth0"},
		{"the swarm was made on the port", []shown{port, br0.at("192.168.1.7")}, "", "eth0", "br0", "it is made of eth0"},
		{"the swarm was made on the bridge, which is gone", []shown{eth0}, "", "br0", "eth0", ""},
		{"the swarm was made on the bridge, which has a container left",
			[]shown{eth0, up("veth1a2b3c4", "master br0"),
				up("br0", "DEVTYPE=bridge lower_veth1a2b3c4")}, "", "br0", "eth0", ""},
		{"the settings name the port", []shown{port, br0, wlan0.at("192.168.1.8")}, "eth0", "", "br0", "it is made of eth0"},
		{"a bridge that is not forwarding yet", []shown{port, br0.unplugged()}, "", "eth0", "",
			"br0 has no port that is connected yet"},
		{"a bridge with containers, too",
			[]shown{port, up("vethabc", "master br0"), br0.with("lower_vethabc"), docker0, veth}, "", "", "br0",
			"it is made of eth0"},
		{"a bridge with the name of a program",
			[]shown{eth0.with("master docker0"), up("docker0", "DEVTYPE=bridge lower_eth0")}, "", "",
			"docker0", "it is made of eth0"},
		{"a bridge of containers with a name of its own",
			[]shown{up("mynet", "DEVTYPE=bridge lower_veth1a2b3c4").at("172.30.0.1"),
				up("veth1a2b3c4", "master mynet"), eth0}, "", "", "eth0", ""},
		{"a bridge without ports", []shown{up("br0", "DEVTYPE=bridge").at("10.9.0.1").unplugged(), eth0}, "", "", "eth0", ""},
		{"the radio beside a bridge", []shown{port, br0, wlan0.at("192.168.1.8").gateway(600)}, "", "eth0", "br0",
			"it is made of eth0"},
		{"the master is not there", []shown{port, wlan0}, "", "", "wlan0", ""},
		{"the master of the one that is named is not there", []shown{port, wlan0}, "eth0", "", "",
			"eth0 is a port of br0, which is not there; see interface in pi-agent.toml"},
		{"an Open vSwitch", []shown{eth0.with("master ovs-system"),
			up("ovs-system", "DEVTYPE=openvswitch lower_eth0").unplugged(),
			up("lan", "").at("192.168.1.7")}, "", "", "lan", ""},
		{"a VRF", []shown{eth0.with("master blue"), up("blue", "DEVTYPE=vrf lower_eth0")}, "", "", "",
			"there is no network interface that leads to other boards, only blue, eth0 (a port of blue); see interface in " +
				"pi-agent.toml"},
		{"the settings name what is in a VRF", []shown{eth0.with("master blue"), up("blue", "DEVTYPE=vrf lower_eth0")},
			"eth0", "", "eth0", ""},
		{"the settings name a port of a bridge without a connection", []shown{port, br0.unplugged(), wlan0}, "eth0", "", "",
			"eth0 is a port of br0, and br0 has no port that is connected yet"},
		{"a ring of masters", []shown{up("a", "device master b"), up("b", "device master a")}, "a", "a", "",
			"a is a port of b, which is not there; see interface in pi-agent.toml"},

		{"a bond", []shown{eth0.with("master bond0"), up("eth1", "device master bond0"),
			up("bond0", "DEVTYPE=bond lower_eth1 lower_eth0")}, "", "", "bond0", "it is made of eth0 and eth1"},
		{"the swarm was made before the bond",
			[]shown{eth0.with("master bond0"), up("bond0", "DEVTYPE=bond lower_eth0").at("192.168.1.7")},
			"", "eth0", "bond0", "it is made of eth0"},
		{"a bridge on a bond", []shown{eth0.with("master bond0"), up("bond0", "DEVTYPE=bond lower_eth0 master br0"),
			up("br0", "DEVTYPE=bridge lower_bond0")}, "", "eth0", "br0", "it is made of bond0"},
		{"a team", []shown{eth0.with("master team0"), up("team0", "lower_eth0")}, "", "", "team0", "it is made of eth0"},

		{"a VLAN with the address", []shown{eth0, vlan.at("192.168.10.7")}, "", "", "eth0.10", ""},
		{"a VLAN with the default route", []shown{eth0.at("192.168.1.7"), vlan.at("192.168.10.7").gateway(400)}, "", "",
			"eth0.10", ""},
		{"a VLAN beside the address", []shown{eth0.at("192.168.1.7"), vlan.at("192.168.10.7")}, "", "", "eth0", ""},
		{"a VLAN without an address, such as Docker makes", []shown{vlan, eth0}, "", "", "eth0", ""},
		{"a bridge on a VLAN", []shown{eth0, vlan.with("master br10"),
			up("br10", "DEVTYPE=bridge lower_eth0.10").at("192.168.10.7")},
			"", "", "br10", "it is made of eth0.10"},
		{"the swarm was made before the VLAN", []shown{eth0, vlan.at("192.168.10.7")}, "", "eth0", "eth0", ""},
		{"a macvlan", []shown{up("mac0", "DEVTYPE=macvlan lower_eth0").at("192.168.1.9"), eth0}, "", "", "eth0", ""},

		{"a gadget and nothing else", []shown{up("usb0", "device DEVTYPE=gadget").at("10.55.0.1")}, "", "", "usb0", ""},
		{"a gadget beside an empty socket", []shown{eth0.unplugged(), up("usb0", "device DEVTYPE=gadget").at("10.55.0.1")},
			"", "", "usb0",
			"eth0 has no cable, or nothing is at its other end"},
		{"a container's own", []shown{up("eth0", "").at("172.17.0.2").gateway(1)}, "", "", "eth0", ""},
		{"a modem", []shown{eth0, up("wwan0", "device DEVTYPE=wwan").at("10.64.0.1").gateway(700)}, "", "", "eth0", ""},
	}
	for _, other := range []shown{
		up("zt7abcdef", "tun_flags"), up("ztks5abcde", ""), up("tailscale0", "type 65534 tun_flags"), up("wg0",
			"DEVTYPE=wireguard type 65534"),
		up("lxdbr0", "DEVTYPE=bridge"), up("lxcbr0", "DEVTYPE=bridge"), up("incusbr0", "DEVTYPE=bridge"), up("podman0",
			"DEVTYPE=bridge"),
		up("cni-podman0", "DEVTYPE=bridge"), up("virbr0", "DEVTYPE=bridge"), up("docker0", "DEVTYPE=bridge"),
		up("docker_gwbridge", "DEVTYPE=bridge"), up("br-5f0c1e2d3a4b", "DEVTYPE=bridge"), up("hassio", "DEVTYPE=bridge"),
		up("veth1a2b3c4", ""), up("flannel.1", "DEVTYPE=vxlan"), up("cni0", "DEVTYPE=bridge"), up("cali1a2b3c4d5e6", ""),
		up("cilium_host", ""), up("vxlan.calico", "DEVTYPE=vxlan"), up("weave", "DEVTYPE=bridge"), up("kube-ipvs0", ""),
		up("tun0", "tun_flags type 65534"), up("tap0", "tun_flags"), up("vnet0", "tun_flags"), up("usb0", "device"),
		up("usb0", "device DEVTYPE=gadget"), up("bnep0", "device DEVTYPE=bluetooth"), up("dummy0", ""), up("can0",
			"device type 280"),
	} {
		other = other.at("10.99.0.1").gateway(1)
		tests = append(tests, test{"a card without an address beside " + other.name, []shown{other, eth0}, "", "", "eth0",
			""})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(nicsOf(sysOf(t, tt.all), tt.all, true), tt.want, tt.home)
			if said := got.Why + words(err); got.Name != tt.link || said != tt.why {
				t.Errorf("choose() = %q, %q, want %q, %q", got.Name, said, tt.link, tt.why)
			}
		})
	}
}

// TestReadCardOfAnother holds that nothing is believed of an interface in another network namespace, or that is not
// there.
func TestReadCardOfAnother(t *testing.T) {
	root := sysOf(t, []shown{up("eth0", "device master br0 DEVTYPE=wlan lower_x")})
	if c := readCard(root, "eth0", 2); c.master != "br0" || !c.device || c.kind != "wlan" ||
		!slices.Equal(c.lower, []string{"x"}) {
		t.Errorf("%+v", c)
	}
	for name, c := range map[string]card{
		"another index": readCard(root, "eth0", 3), "no interface": readCard(root, "eth1",
			3), "no sysfs": readCard(root+"/no", "eth0", 2),
	} {
		if c.master != "" || c.device || c.kind != "" || c.lower != nil || c.foreign {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
