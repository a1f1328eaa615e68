package prepare

import (
	"path/filepath"
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
		{"taken, and too long with its domain", "kitchen." + long[:50], "kitchen." + long[:50], "kitchen-bbcc01"},
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

// Boots of a board: what it is called then, with what is kept from before and the name that is found taken.
func TestDecideName(t *testing.T) {
	const own = "pi-bbcc01"
	kitchen := given{serial, "kitchen", "kitchen-bbcc01"}
	tests := []struct {
		name, old, taken string
		kept             given
		want             string
		keep             given
	}{
		{"not UTF-8", "k\xfcche", "", given{}, own, given{}},
		{"eight NULs", "\x00\x00\x00\x00\x00\x00\x00\x00", "", given{}, own, given{}},
		{"a tab", "my\tpi", "", given{}, own, given{}},
		{"a space", "my pi", "", given{}, own, given{}},
		{"129 bytes", strings.Repeat("a", 129), "", given{}, own, given{}},
		{"UTF-8", "küche", "", given{}, own, given{}},
		{"an order to a terminal", "a\x1b[2J", "", given{}, own, given{}},
		{"dots only", "..", "", given{}, own, given{}},
		{"a dash in front", "-rf", "", given{}, own, given{}},
		{"with an underscore", "my_pi", "", given{}, "my_pi", given{}},
		{"taken", "kitchen", "kitchen", given{}, kitchen.Name, kitchen},
		{"and not reset", kitchen.Name, "kitchen", kitchen, kitchen.Name, kitchen},
		{"reset at the next boot", "kitchen", "", kitchen, kitchen.Name, kitchen},
		{"reset in other letters", "Kitchen", "", kitchen, kitchen.Name, kitchen},
		{"reset, and still asked for", "kitchen", "kitchen", kitchen, kitchen.Name, kitchen},
		{"a person gives another", "attic", "", kitchen, "attic", kitchen},
		{"which is taken, too", "attic", "attic", kitchen, "attic-bbcc01", given{serial, "attic", "attic-bbcc01"}},
		{"two boards with the same six digits", "raspberrypi", own, given{}, serial.Instance(),
			given{serial, own, serial.Instance()}},
		{"reset to that of the image", "raspberrypi", "", given{serial, own, serial.Instance()}, serial.Instance(),
			given{serial, own, serial.Instance()}},
	}
	for _, tt := range tests {
		name, keep := decideName(tt.old, tt.taken, tt.kept, serial)
		if name != tt.want || keep != tt.keep {
			t.Errorf("%s: %q is called %q and keeps %v, want %q and %v", tt.name, tt.old, name, keep, tt.want, tt.keep)
		}
		if again, same := decideName(name, tt.taken, keep, serial); again != name || same != keep {
			t.Errorf("%s: %q becomes %q, and then %q", tt.name, tt.old, name, again)
		}
	}
}

func TestGivenIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "name.json")
	want := given{serial, "kitchen", "kitchen-bbcc01"}
	if got := readGiven(path, serial); got != (given{}) {
		t.Errorf("without a file it is %v", got)
	}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	if got := readGiven(path, serial); got != want {
		t.Errorf("%v is read, want %v", got, want)
	}
	if got := readGiven(path, "10000000aabbcc02"); got != (given{}) {
		t.Errorf("a copied card calls another board %v", got)
	}
}

// Whatever a board is called and whatever is kept, it gets a name that it can have, and keeps it.
func FuzzDecideName(f *testing.F) {
	f.Add("kitchen", "kitchen", []byte(`{"serial":"10000000aabbcc01","taken":"kitchen","name":"kitchen-bbcc01"}`))
	f.Add("k\xfcche", "", []byte(`{"serial":"10000000aabbcc01","taken":"pi-bbcc01","name":"pi bbcc01"}`))
	f.Add("a."+strings.Repeat("b", 62), "a", []byte("{"))
	f.Fuzz(func(t *testing.T, old, taken string, kept []byte) {
		name, keep := decideName(old, taken, parseGiven(kept, serial), serial)
		if !usable(name) {
			t.Errorf("%q is called %q", old, name)
		}
		if again, _ := decideName(name, "", keep, serial); again != name {
			t.Errorf("%q becomes %q, and then %q", old, name, again)
		}
		text := inHosts([]byte(old+"\n"+taken), name, isFactory)
		if again := inHosts(text, name, isFactory); string(again) != string(text) {
			t.Errorf("done twice %q is %q", text, again)
		}
	})
}

func TestAliases(t *testing.T) {
	const text = "127.0.0.1 localhost\n127.0.1.1 pi1.example.org Pi1 web # attic\n10.0.0.7 attic.example.org attic\n::1 " +
		"pi1.lan k\xfcche pi1 web\n0.0.0.0 pi1"
	for name, want := range map[string]string{
		"pi1": "pi1.example.org web pi1.lan", "pi1.example.org": "Pi1 web", "attic": "attic.example.org", "localhost": "", "": "", "10.0.0.7": "",
	} {
		if got := strings.Join(aliases(text, name), " "); got != want {
			t.Errorf("%q is also %q, want %q", name, got, want)
		}
	}
}

func TestInHosts(t *testing.T) {
	outdated := func(label string) bool { return isFactory(label) || label == "kitchen" }
	const head = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost # raspberrypi\n"
	tests := []struct{ name, text, want string }{
		{"as in an image", head + "127.0.1.1\traspberrypi\n", head + "127.0.1.1\tpi-bbcc01\n"},
		{"with aliases", head + "127.0.1.1  raspberrypi.lan raspberrypi web # mine\nff02::1 x\n",
			head + "127.0.1.1\tpi-bbcc01.lan pi-bbcc01 web # mine\nff02::1 x\n"},
		{"of cloud-init", "# manage_etc_hosts\n127.0.1.1 raspberrypi raspberrypi\n127.0.0.1 localhost\n",
			"# manage_etc_hosts\n127.0.1.1\tpi-bbcc01\n127.0.0.1 localhost\n"},
		{"with the name of another board", "127.0.1.1 kitchen.lan kitchen\n", "127.0.1.1\tpi-bbcc01.lan pi-bbcc01\n"},
		{"both names", "127.0.1.1 kitchen\n127.0.1.1 pi-bbcc01\n", "127.0.1.1\tpi-bbcc01\n127.0.1.1 pi-bbcc01\n"},
		{"where the others are", "10.0.0.1 kitchen\n127.0.1.1 pi-bbcc01\n", "10.0.0.1 kitchen\n127.0.1.1 pi-bbcc01\n"},
		{"done already", head + "127.0.1.1 pi-bbcc01\n", head + "127.0.1.1 pi-bbcc01\n"},
		{"at another address", "10.0.0.7 PI-bbcc01 # fixed\n", "10.0.0.7 PI-bbcc01 # fixed\n"},
		{"in a comment only", "127.0.1.1 # pi-bbcc01\n", "127.0.1.1 # pi-bbcc01\n127.0.1.1\tpi-bbcc01\n"},
		{"another name there", "127.0.1.1 raspberrypi2\n", "127.0.1.1 raspberrypi2\n127.0.1.1\tpi-bbcc01\n"},
		{"localhost there", "127.0.1.1 localhost\n", "127.0.1.1 localhost\n127.0.1.1\tpi-bbcc01\n"},
		{"other addresses stay", "10.0.0.1 raspberrypi\n127.0.1.1 raspberrypi",
			"10.0.0.1 raspberrypi\n127.0.1.1\tpi-bbcc01\n"},
		{"of Windows", "127.0.1.1 raspberrypi\r\n", "127.0.1.1\tpi-bbcc01\n"},
		{"no line", "127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\tpi-bbcc01\n"},
		{"empty", "", "127.0.1.1\tpi-bbcc01\n"},
	}
	for _, tt := range tests {
		got := string(inHosts([]byte(tt.text), "pi-bbcc01", outdated))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if again := string(inHosts([]byte(got), "pi-bbcc01", outdated)); again != got {
			t.Errorf("%s: done twice it is %q", tt.name, again)
		}
	}
	if got, want := string(inHosts([]byte("127.0.1.1 kitchen.lan\n"), "kitchen-bbcc01.lan",
		outdated)), "127.0.1.1\tkitchen-bbcc01.lan\n"; got != want {
		t.Errorf("a name with a domain: %q, want %q", got, want)
	}
	if got, want := string(inHosts(nil, "hall.lan", outdated)), "127.0.1.1\thall.lan hall\n"; got != want {
		t.Errorf("a new name with a domain: %q, want %q", got, want)
	}
}
