package prepare

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/peer"
)

const serial = peer.Serial("10000000aabbcc01")

func TestNameFor(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct{ name, old, taken, want string }{
		{"image", "raspberrypi", "", "pi-bbcc01"},
		{"image in capitals", "RaspberryPi", "", "pi-bbcc01"},
		{"image with domain", "raspberrypi.local", "", "pi-bbcc01"},
		{"none", "", "", "pi-bbcc01"},
		{"image, and another board is still called so", "raspberrypi", "raspberrypi", "pi-bbcc01"},
		{"given by a human", "kitchen", "", "kitchen"},
		{"like an image", "raspberrypi-2", "", "raspberrypi-2"},
		{"another one is taken", "kitchen", "attic", "kitchen"},
		{"taken", "kitchen", "kitchen", "kitchen-bbcc01"},
		{"taken in other letters", "kitchen", "Kitchen", "kitchen-bbcc01"},
		{"taken with domain", "kitchen.lan", "kitchen.lan", "kitchen-bbcc01.lan"},
		{"taken twice", "kitchen-bbcc01", "kitchen-bbcc01", "kitchen-bbcc01"},
		{"taken and long", long, long, long[:56] + "-bbcc01"},
		{"own and taken", "pi-bbcc01", "pi-bbcc01", "pi-10000000aabbcc01"},
		{"own, whole and taken", "pi-10000000aabbcc01", "pi-10000000aabbcc01", "pi-10000000aabbcc01"},
	}
	for _, tt := range tests {
		got := nameFor(tt.old, tt.taken, serial)
		if got != tt.want {
			t.Errorf("%s: nameFor(%q, %q) = %q, want %q", tt.name, tt.old, tt.taken, got, tt.want)
		}
		if label, _, _ := strings.Cut(got, "."); len(label) > labelMax {
			t.Errorf("%s: %q has a label of more than %d bytes", tt.name, got, labelMax)
		}
	}
}

func TestInHosts(t *testing.T) {
	const head = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost # raspberrypi\n"
	tests := []struct{ name, text, want string }{
		{"as in an image", head + "127.0.1.1\traspberrypi\n", head + "127.0.1.1\tpi-bbcc01\n"},
		{"with aliases", head + "127.0.1.1  raspberrypi.lan raspberrypi web # mine\nff02::1 x\n",
			head + "127.0.1.1\tpi-bbcc01.lan pi-bbcc01 web # mine\nff02::1 x\n"},
		{"done already", head + "127.0.1.1 pi-bbcc01\n", head + "127.0.1.1 pi-bbcc01\n"},
		{"another name there", "127.0.1.1 raspberrypi2\n", "127.0.1.1 raspberrypi2\n127.0.1.1\tpi-bbcc01\n"},
		{"other addresses stay", "10.0.0.1 raspberrypi\n127.0.1.1 raspberrypi", "10.0.0.1 raspberrypi\n127.0.1.1\tpi-bbcc01\n"},
		{"no line", "127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\tpi-bbcc01\n"},
		{"empty", "", "127.0.1.1\tpi-bbcc01\n"},
	}
	for _, tt := range tests {
		got := string(inHosts([]byte(tt.text), "raspberrypi", "pi-bbcc01"))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if again := string(inHosts([]byte(got), "raspberrypi", "pi-bbcc01")); again != got {
			t.Errorf("%s: done twice it is %q", tt.name, again)
		}
	}
}
