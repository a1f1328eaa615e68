package dockerd

import (
	"testing"
	"testing/fstest"
	"unicode/utf16"
)

// The engine takes a daemon.json with a byte order mark, in UTF-8 or UTF-16, as PowerShell and Notepad write it.
func TestReadWithAByteOrderMark(t *testing.T) {
	const text = `{"data-root": "/mnt/ssd/docker", "firewall-backend": "nftables", "live-restore": true}`
	var le []byte
	for _, c := range utf16.Encode([]rune("\ufeff" + text)) {
		le = append(le, byte(c), byte(c>>8))
	}
	for name, file := range map[string][]byte{"UTF-8 with BOM": []byte("\ufeff" + text), "UTF-16": le} {
		s := Read(fstest.MapFS{"etc/docker/daemon.json": {Data: file}}, "")
		if s.Root("") != "/mnt/ssd/docker" || !s.Is("firewall-backend", "nftables") || !s.Is("live-restore", true) {
			t.Errorf("%s: root %s, nftables %v, live-restore %v", name, s.Root(""), s.Is("firewall-backend", "nftables"),
				s.Is("live-restore", true))
		}
	}
}
