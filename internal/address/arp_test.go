package address

import (
	"bytes"
	"net/netip"
	"testing"
)

func TestARP(t *testing.T) {
	want := arp{reply: true, hardware: mac{2, 0, 0, 0, 0, 7}, sender: netip.MustParseAddr("169.254.7.8"),
		target: netip.MustParseAddr("10.9.8.7")}
	wire := []byte{0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 7, 169, 254, 7, 8, 0, 0, 0, 0, 0, 0, 10, 9, 8, 7}
	if got := want.marshal(); !bytes.Equal(got, wire) {
		t.Errorf("marshal() = %v, want %v", got, wire)
	}
	if got, err := unmarshalARP(append(wire, 0, 0, 0)); err != nil || got != want { // Ethernet pads short packets
		t.Errorf("unmarshalARP() = %+v, %v", got, err)
	}
	for i, change := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:27] },
		func(b []byte) []byte { b[1] = 6; return b },
		func(b []byte) []byte { b[2] = 0x86; return b },
		func(b []byte) []byte { b[4] = 8; return b },
		func(b []byte) []byte { b[5] = 16; return b },
		func(b []byte) []byte { b[7] = 3; return b },
	} {
		if got, err := unmarshalARP(change(bytes.Clone(wire))); err == nil {
			t.Errorf("change %d: unmarshalARP() = %+v", i, got)
		}
	}
}

func FuzzARP(f *testing.F) {
	f.Add(arp{sender: netip.IPv4Unspecified(), target: netip.MustParseAddr("169.254.7.8")}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := unmarshalARP(b)
		if err != nil {
			return
		}
		if again, err := unmarshalARP(a.marshal()); err != nil || again != a {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
