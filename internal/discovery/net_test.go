package discovery

import (
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
)

const soon = 8 * time.Second // start of a process included

// managerB is how board B shows once it is a manager, blankBAt how it shows at another address.
var managerB = strings.ReplaceAll(blankB, "blank", "manager")

func blankBAt(addr string) string { return strings.ReplaceAll(blankB, addrB, addr) }

func TestNetWithoutDefaultRoute(t *testing.T) {
	t.Parallel()
	needRoot(t)
	sw, hostA, hostB := newSwitch(t), newHost(t, "a"), newHost(t, "b")
	a := hostA.board(serialA, hostA.plug(sw, "eth0", addrA+"/24"))
	a.sees(soon)
	b := hostB.board(serialB, hostB.plug(sw, "eth0", addrB+"/24"))
	a.sees(soon, blankB)
	b.sees(soon, blankA)
	for _, p := range []*process{a, b} {
		if p.tell(order{}).SelfHeard.IsZero() {
			t.Errorf("%s does not hear itself", p.h.name)
		}
	}
	manager := claimFor(serialB, peer.Manager)
	b.tell(order{Claim: &manager})
	a.sees(2*announceGap, managerB)
	b.stop()
	a.sees(time.Second)
}

// A board that asks hears of one that has announced itself long ago, also without any route, and keeps no files open
// for it.
func TestNetAsking(t *testing.T) {
	t.Parallel()
	needRoot(t)
	sw, hostA, hostB := newSwitch(t), newHost(t, "a"), newHost(t, "b")
	a := hostA.board(serialA, hostA.plug(sw, "eth0", addrA+"/24"))
	<-time.After(3 * announceGap) // it has announced itself twice
	hostA.sh("ip link set eth0 down")
	hostB.board(serialB, hostB.plug(sw, "eth0", addrB+"/24"))
	<-time.After(3 * announceGap)
	hostA.sh("ip link set eth0 up")
	a.sees(0)
	before := a.openFiles()
	a.tell(order{Asking: true})
	a.sees(soon, blankB)
	eventually(t, soon, func() error {
		if a.tell(order{}).Asked.Index == 0 {
			return errorsIn(map[string][]string{"a": {"the answers to its survey"}})
		}
		return nil
	})
	if after := a.openFiles(); after > before {
		t.Errorf("%d files are open after the questions, %d before", after, before)
	}
}

// Any program finds the boards with a one-shot question, which hashicorp/mdns answers.
func TestNetOneShotQuestion(t *testing.T) {
	t.Parallel()
	needRoot(t)
	sw, hostA, hostB := newSwitch(t), newHost(t, "a"), newHost(t, "b")
	linkA := hostA.plug(sw, "eth0", addrA+"/24")
	hostA.sh("ip route add default via 192.0.2.254") // without which the library's client does not ask
	hostB.board(serialB, hostB.plug(sw, "eth0", addrB+"/24")).sees(soon)
	eventually(t, soon, func() error {
		if got := strings.Join(hostA.query(linkA), ", "); got != serialB.Instance()+" "+addrB+":2378" {
			return errorsIn(map[string][]string{got: {addrB + ":2378"}})
		}
		return nil
	})
}

func TestNetAvahi(t *testing.T) {
	t.Parallel()
	needRoot(t, "avahi-daemon", "avahi-browse", "dbus-daemon")
	sw, before, after, other := newSwitch(t), newHost(t, "before"), newHost(t, "after"), newHost(t, "other")
	linkA := before.plug(sw, "eth0", addrA+"/24")
	linkB := after.plug(sw, "eth0", addrB+"/24")
	other.plug(sw, "eth0", "192.0.2.3/24")
	other.avahi()
	before.avahi()
	a := before.board(serialA, linkA)
	b := after.board(serialB, linkB)
	after.avahi()
	a.sees(soon, blankB)
	b.sees(soon, blankA)
	for _, h := range []*host{other, before, after} {
		eventually(t, 20*time.Second, func() error {
			seen := h.browse()
			return errorsIn(map[string][]string{
				seen[serialA.Instance()]: {serialA.Instance() + ".local", addrA, " 2378 ",
					`"v=1"`, `"serial=` + string(serialA) + `"`, `"cluster=pi"`, `"state=blank"`},
				seen[serialB.Instance()]: {serialB.Instance() + ".local", addrB, " 2378 "},
			})
		})
	}
	manager := claimFor(serialB, peer.Manager)
	b.tell(order{Claim: &manager})
	a.sees(2*announceGap, managerB)
	if got := other.browse()[serialB.Instance()]; !strings.Contains(got, `"state=manager"`) {
		t.Errorf("avahi on another host has %q, want the new state", got)
	}
	b.stop()
	eventually(t, 10*time.Second, func() error {
		if got := other.browse()[serialB.Instance()]; got != "" {
			return errorsIn(map[string][]string{"": {"no " + got}})
		}
		return nil
	})
}

// errorsIn returns an error for the first text that lacks one of its words.
func errorsIn(words map[string][]string) error {
	for text, all := range words {
		for _, w := range all {
			if !strings.Contains(text, w) {
				return &lacks{text, w}
			}
		}
	}
	return nil
}

type lacks struct{ text, word string }

func (l *lacks) Error() string { return "\"" + l.text + "\" lacks " + l.word }

func TestNetTwoInterfaces(t *testing.T) {
	t.Parallel()
	needRoot(t, "avahi-daemon", "dbus-daemon")
	lan1, lan2 := newSwitch(t), newSwitch(t)
	hostA, hostB, hostC := newHost(t, "a"), newHost(t, "b"), newHost(t, "c")
	a := hostA.board(serialA, hostA.plug(lan1, "eth0", addrA+"/24"))
	linkB := hostB.plug(lan1, "eth0", addrB+"/24")
	hostB.plug(lan2, "eth1", "198.51.100.2/24")
	linkC := hostC.plug(lan2, "eth0", "198.51.100.3/24")
	hostC.sh("ip route add default via 198.51.100.2")
	c := hostC.board("10000000aabbcc03", linkC)
	hostB.avahi() // listens on both, which opens mdns.Server's ears for both
	b := hostB.board(serialB, linkB)
	a.sees(soon, blankB)
	b.sees(soon, blankA) // and not c
	c.tell(order{Asking: true})
	eventually(t, soon, func() error {
		if c.tell(order{}).Asked.Index == 0 {
			return errorsIn(map[string][]string{"c": {"the answers to its survey"}})
		}
		return nil
	})
	c.sees(0) // b does not answer on the other LAN
}

func TestNetSecondAddressIsAnnounced(t *testing.T) {
	t.Parallel()
	needRoot(t)
	sw, hostA, hostB := newSwitch(t), newHost(t, "a"), newHost(t, "b")
	linkA := hostA.plug(sw, "eth0", addrA+"/24")
	hostB.plug(sw, "eth0", addrB+"/24")
	hostB.sh("ip addr add 169.254.7.7/16 dev eth0 scope link")
	a := hostA.board(serialA, linkA)
	hostB.board(serialB, hostB.link("eth0", "169.254.7.7/16"))
	a.sees(soon, blankBAt("169.254.7.7"))
}

func TestNetInterfaceComesBack(t *testing.T) {
	t.Parallel()
	needRoot(t)
	sw, hostA, hostB := newSwitch(t), newHost(t, "a"), newHost(t, "b")
	a := hostA.board(serialA, hostA.plug(sw, "eth0", addrA+"/24"))
	b := hostB.board(serialB, hostB.plug(sw, "eth0", addrB+"/24"))
	a.sees(soon, blankB)
	b.sees(soon, blankA)

	hostB.sh("ip link del eth0")
	gone := address.Link{}
	if got := text(b.tell(order{Link: &gone}).Hints); got != blankA {
		t.Errorf("without an interface b sees %q, want what it heard before", got)
	}
	again := hostB.plug(sw, "eth0", "192.0.2.9/24")
	manager := claimFor(serialA, peer.Manager)
	b.tell(order{Link: &again})
	a.tell(order{Claim: &manager})
	b.sees(soon, strings.ReplaceAll(blankA, "blank", "manager"))
	a.sees(soon, blankB, blankBAt("192.0.2.9")) // nobody could say goodbye for the old address

	hostB.sh("ip addr add 192.0.2.10/24 dev eth0")
	moved := hostB.link("eth0", "192.0.2.10/24")
	b.tell(order{Link: &moved})
	a.sees(soon, blankB, blankBAt("192.0.2.10")) // the old address is still there to say goodbye from

	hostB.sh("ip -4 addr flush dev eth0 && ip addr add 192.0.2.11/24 dev eth0")
	last := hostB.link("eth0", "192.0.2.11/24")
	b.tell(order{Link: &last})
	a.sees(soon, blankB, blankBAt("192.0.2.10"), blankBAt("192.0.2.11"))
	eventually(t, soon, func() error {
		if b.tell(order{}).SelfHeard.IsZero() {
			return errorsIn(map[string][]string{"b": {"its own announcement"}})
		}
		return nil
	})
}
