package board_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// files makes a root from names and contents.
func files(pairs ...string) fs.FS {
	root := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		root[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return root
}

const (
	tree  = "proc/device-tree/serial-number"
	model = "proc/device-tree/model"
	cpu   = "proc/cpuinfo"
	id    = "etc/machine-id"
	boot  = "proc/sys/kernel/random/boot_id"
)

func TestRead(t *testing.T) {
	const machineID = "7d3f0a8c2b914e55a0b1c2d3e4f50617\n"
	derived, mark := peer.DeriveSerial(machineID), peer.Mark("machine", strings.TrimSpace(machineID))
	tests := []struct {
		name       string
		root       fs.FS
		configured peer.Serial
		want       board.Board
	}{
		{"Pi 1", files(tree, "000000003d1d1c36\x00", model, "Raspberry Pi Model B Rev 2\x00", id, machineID), "",
			board.Board{Machine: mark, Serial: "000000003d1d1c36", SerialFrom: "the device tree",
				Model: "Raspberry Pi Model B Rev 2"}},
		{"Pi 3", files(tree, "00000000f0a1b2c3\x00", model, "Raspberry Pi 3 Model B Plus Rev 1.3\x00"), "",
			board.Board{Serial: "00000000f0a1b2c3", SerialFrom: "the device tree",
				Model: "Raspberry Pi 3 Model B Plus Rev 1.3"}},
		{"Pi 4", files(tree, "10000000aabbcc01\x00", model, "Raspberry Pi 4 Model B Rev 1.1\x00"), "",
			board.Board{Serial: "10000000aabbcc01", SerialFrom: "the device tree", Model: "Raspberry Pi 4 Model B Rev 1.1"}},
		{"Pi 5", files(tree, "ee14f78c1312ce93\x00", model, "Raspberry Pi 5 Model B Rev 1.0\x00"), "",
			board.Board{Serial: "ee14f78c1312ce93", SerialFrom: "the device tree", Model: "Raspberry Pi 5 Model B Rev 1.0"}},
		{"Pi 2 with cpuinfo only", files(cpu, "processor\t: 0\n\nHardware\t: BCM2835\nRevision\t: a01041\n"+
			"Serial\t\t: 00000000c5d6e7f8\nModel\t\t: Raspberry Pi 2 Model B Rev 1.1\n"), "",
			board.Board{Serial: "00000000c5d6e7f8", SerialFrom: "/proc/cpuinfo", Model: "Raspberry Pi 2 Model B Rev 1.1"}},
		{"cpuinfo once for each core", files(cpu, "processor\t: 0\nSerial\t\t: 710863a7e933002c\n\n"+
			"processor\t: 1\nSerial\t\t: 710863a7e933002c\n"), "",
			board.Board{Serial: "710863a7e933002c", SerialFrom: "/proc/cpuinfo", Model: "unknown"}},
		{"all zero in the tree, real in cpuinfo", files(tree, "0000000000000000\x00", cpu, "Serial : 339e7785ac4ed3d6\n"), "",
			board.Board{Serial: "339e7785ac4ed3d6", SerialFrom: "/proc/cpuinfo", Model: "unknown"}},
		{"not hexadecimal", files(tree, "unknown\x00", id, machineID), "",
			board.Board{Machine: mark, Serial: derived, SerialFrom: "the machine id", Model: "unknown"}},
		{"one vendor serial for all boards", files(tree, "c3d9b8674f4b94f6\x00", id, machineID), "",
			board.Board{Machine: mark, Serial: derived, SerialFrom: "the machine id", Model: "unknown"}},
		{"a derived form is not a board's own", files(tree, "m0123456789abcde\x00", id, machineID), "",
			board.Board{Machine: mark, Serial: derived, SerialFrom: "the machine id", Model: "unknown"}},
		{"PC", files(id, machineID, "sys/class/dmi/id/product_name", "OptiPlex 7010\n"), "",
			board.Board{Machine: mark, Serial: derived, SerialFrom: "the machine id", Model: "OptiPlex 7010"}},
		{"settings win", files(tree, "10000000aabbcc01\x00", model, "X\x1b[2J"+strings.Repeat("y", 100)), "00000000000000ab",
			board.Board{Serial: "00000000000000ab", SerialFrom: "the settings", Model: "X[2J" + strings.Repeat("y", 60)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := board.Read(tt.root, tt.configured)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	const remedy = `set serial = "..." in /etc/pi-agent/pi-agent.toml`
	for name, root := range map[string]fs.FS{
		"nothing":    files(),
		"first boot": files(id, "uninitialized\n"),
		"cut short":  files(id, "7d3f0a8c\n"),
	} {
		if b, err := board.Read(root, ""); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %+v, %v; want an error with the remedy", name, b, err)
		}
	}
}
