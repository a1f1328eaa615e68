//go:build image

package image

import (
	"os/exec"
	"strings"
	"testing"
)

// rootOffset is where the image of a card has its ext4 partition, in bytes.
const rootOffset = "541065216"

// TestCard looks at an image before any board has booted from it: nothing is there that every board must have for
// itself, there is no password, and it has the updates of Debian from nowhere else.
func TestCard(t *testing.T) {
	image := card(t, "PI_AGENT_IMAGE")
	debugfs := func(command string) string {
		t.Helper()
		var said strings.Builder
		c := exec.CommandContext(t.Context(), "debugfs", "-R", command, image+"?offset="+rootOffset)
		c.Stderr = &said
		out, err := c.Output()
		// It says its version there, and what is wrong; a file that is not there is no failure.
		_, complaint, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, said.String())
		}
		return string(out) + complaint
	}
	list := func(dir string) (names []string) { // none when it is not there
		t.Helper()
		for line := range strings.Lines(debugfs("ls -p " + dir)) { // /inode/mode/uid/gid/name/size/
			if f := strings.Split(line, "/"); len(f) == 8 && f[5] != "." && f[5] != ".." && f[1] != "0" {
				names = append(names, f[5])
			}
		}
		return names
	}
	for _, dir := range []string{"/var/lib/docker", "/var/lib/pi-agent"} {
		if got := list(dir); len(got) > 0 {
			t.Errorf("%s has %q", dir, got)
		}
	}
	if ssh := list("/etc/ssh"); len(ssh) == 0 || strings.Contains(strings.Join(ssh, " "), "ssh_host_") {
		t.Errorf("/etc/ssh has %q", ssh)
	}
	for path, want := range map[string]string{
		"/etc/machine-id":          "",
		"/var/lib/dbus/machine-id": "/var/lib/dbus/machine-id: File not found by ext2_lookup",
		"/etc/apt/sources.list": "deb http://deb.debian.org/debian trixie main non-free-firmware\n" +
			"deb http://deb.debian.org/debian trixie-updates main non-free-firmware\n" +
			"deb http://deb.debian.org/debian-security trixie-security main non-free-firmware\n",
	} {
		if got := debugfs("cat " + path); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := list("/etc/apt/sources.list.d"); len(got) > 0 {
		t.Errorf("/etc/apt/sources.list.d has %q", got)
	}
	users := 0
	for line := range strings.Lines(debugfs("cat /etc/shadow")) {
		f := strings.Split(line, ":")
		if users++; len(f) < 2 || f[1] != "*" && f[1] != "!" && f[1] != "!*" {
			t.Errorf("%s has a password, or needs none", f[0])
		}
	}
	if users < 10 {
		t.Errorf("%d users", users)
	}
}
