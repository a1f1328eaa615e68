package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogin runs what takes logins and connections from the boot partition on directories of the test.
func TestLogin(t *testing.T) {
	script, err := os.ReadFile("root/usr/lib/pi-image/login")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		files, want map[string]string // below /boot/firmware, and below the root
	}{
		{"nothing", map[string]string{"config.txt": "x"}, map[string]string{"boot/firmware/config.txt": "x"}},
		{"as documented", map[string]string{"authorized_keys": "ssh-ed25519 A\r\n", "home.nmconnection": "[wifi]\r\n"},
			map[string]string{
				"boot/firmware/authorized_keys": "ssh-ed25519 A\r\n", "home/pi/.ssh/authorized_keys": "ssh-ed25519 A\n\n",
				"etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD: ALL\n", "etc/NetworkManager/system-connections/home.nmconnection": "[wifi]\n",
			}},
		{"from Windows", map[string]string{"authorized_keys.txt": "ssh-ed25519 A", "My Home.nmconnection.txt": "[wifi]",
			"._x.nmconnection": "x"},
			map[string]string{
				"boot/firmware/authorized_keys.txt": "ssh-ed25519 A", "home/pi/.ssh/authorized_keys": "ssh-ed25519 A\n",
				"etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD: ALL\n", "etc/NetworkManager/system-connections/My Home.nmconnection": "[wifi]",
				"boot/firmware/._x.nmconnection": "x",
			}},
		{"both", map[string]string{"AUTHORIZED_KEYS": "ssh-ed25519 A", "authorized_keys.TXT": "ssh-ed25519 B",
			"HOME.NMCONNECTION": "[wifi]"},
			map[string]string{
				"boot/firmware/AUTHORIZED_KEYS": "ssh-ed25519 A", "boot/firmware/authorized_keys.TXT": "ssh-ed25519 B",
				"home/pi/.ssh/authorized_keys": "ssh-ed25519 A\nssh-ed25519 B\n", "etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD: ALL\n",
				"etc/NetworkManager/system-connections/HOME.nmconnection": "[wifi]",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, bin := t.TempDir(), t.TempDir()
			for _, dir := range []string{"boot/firmware", "etc/sudoers.d", "etc/NetworkManager/system-connections", "home/pi"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range tt.files {
				put(t, filepath.Join(root, "boot/firmware", name), text, 0o600)
			}
			// There is no user pi here.
			put(t, filepath.Join(bin, "id"), "#!/bin/sh\n", 0o700)
			put(t, filepath.Join(bin, "install"), `#!/bin/sh
for arg; do
	shift
	case $arg in -o | -g | pi) ;; *) set -- "$@" "$arg" ;; esac
done
exec /usr/bin/install "$@"
`, 0o700)
			text := string(script)
			for _, dir := range []string{"/boot/firmware", "/etc/", "/home/"} {
				text = strings.ReplaceAll(text, dir, root+dir)
			}
			cmd := exec.Command("sh", "-c", text)
			cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := map[string]string{}
			err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				got[strings.TrimPrefix(path, root+"/")] = string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for path, text := range tt.want {
				if got[path] != text {
					t.Errorf("%s is %q, want %q", path, got[path], text)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("there is %q, want %q", got, tt.want)
			}
		})
	}
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
