// Package board finds out which Raspberry Pi this is, and how long it has been running.
package board

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Board is who this board is.
type Board struct {
	Serial     peer.Serial
	SerialFrom string // where the serial was found, in words
	Model      string // such as "Raspberry Pi 4 Model B Rev 1.1", or "unknown"
	Machine    string // peer.Mark of the machine id; empty when there is none
}

// The files that tell, below the root of the file system.
const (
	treeSerial = "proc/device-tree/serial-number"
	treeModel  = "proc/device-tree/model"
	cpuinfo    = "proc/cpuinfo"
	machineID  = "etc/machine-id"
	dmiProduct = "sys/class/dmi/id/product_name"
)

// fixed are serials that a vendor gave to all its boards, which is as good as none.
var fixed = map[peer.Serial]bool{"c3d9b8674f4b94f6": true} // Rockchip, in some images

// machineIDForm is a machine id of machine-id(5); an image that was never started has "uninitialized" or nothing there.
var machineIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Read finds out who this board is from the files below root. A serial from the settings wins, if there is one. The
// error names the remedy for a board that has nothing by which it can be told from others.
func Read(root fs.FS, configured peer.Serial) (Board, error) {
	b := Board{Model: model(root)}
	id := text(root, machineID)
	if !machineIDForm.MatchString(id) {
		id = ""
	}
	b.Machine = peer.Mark("machine", id)
	if configured != "" {
		b.Serial, b.SerialFrom = configured, "the settings"
		return b, nil
	}
	for _, source := range []struct {
		name string
		read func() string
	}{
		{"the device tree", func() string { return text(root, treeSerial) }},
		{"/proc/cpuinfo", func() string { return fromCPUInfo(root, "Serial") }},
	} {
		if s, err := peer.ParseSerial(source.read()); err == nil && !s.Derived() && !fixed[s] {
			b.Serial, b.SerialFrom = s, source.name
			return b, nil
		}
	}
	if id != "" {
		b.Serial, b.SerialFrom = peer.DeriveSerial(id), "the machine id"
		return b, nil
	}
	return Board{}, errors.New("this board has no serial number and no /etc/machine-id: " +
		`set serial = "..." in /etc/pi-agent/pi-agent.toml`)
}

// modelMax bounds the name of a model, in bytes.
const modelMax = 64

// model is what kind of board this is, or "unknown".
func model(root fs.FS) string {
	for _, m := range []string{text(root, treeModel), fromCPUInfo(root, "Model"), text(root, dmiProduct)} {
		if m = strings.Map(printable, m); m != "" {
			return m[:min(len(m), modelMax)]
		}
	}
	return "unknown"
}

// printable drops what firmware may have left in a name and what no label or log should have.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// text is the content of a file without the NUL and space around it; empty when there is none.
func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(bytes.Trim(b, "\x00\r\n\t "))
}

// fromCPUInfo is the first value of a key in /proc/cpuinfo. Newer 64-bit kernels print Serial once for each core.
func fromCPUInfo(root fs.FS, key string) string {
	b, err := fs.ReadFile(root, cpuinfo)
	if err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		k, v, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// String implements fmt.Stringer.
func (b Board) String() string {
	return fmt.Sprintf("%s, serial %s from %s", b.Model, b.Serial, b.SerialFrom)
}
