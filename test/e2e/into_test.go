package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestIntoImage puts the package and a key into an image that is laid out as that of Raspberry Pi OS: a FAT partition
// with the files of cloud-init, and another one that nothing may touch.
func TestIntoImage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"mcopy", "mkfs.fat", "sfdisk"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	const key = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP"
	const template = "#cloud-config\n\n# hostname: raspberrypi\nssh_pwauth: false\n"
	const cmdline = "console=tty1 root=PARTUUID=1234-02 rootwait"
	deb := filepath.Join(t.TempDir(), "pi-agent_arm64.deb")
	write := func(name, text string) {
		t.Helper()
		must(t, os.WriteFile(name, []byte(text), 0o644))
	}
	write(deb, "a package")

	// image has a FAT partition from 8 MiB on, and 1 MiB of something behind it.
	image := func(t *testing.T, userData string) (path string) {
		t.Helper()
		dir := t.TempDir()
		path = filepath.Join(dir, "raspios.img")
		files := map[string]string{"cmdline.txt": cmdline + "\n", "meta-data": "instance_id: rpios-image\n"}
		if userData != "" {
			files["user-data"] = userData
		}
		script := `truncate -s 48M "$1" &&
			printf 'label: dos\nstart=8MiB, size=39MiB, type=c\nstart=47MiB, type=83\n' | sfdisk --quiet "$1" &&
			mkfs.fat -C -F 16 "$1.fat" $((39*1024)) >/dev/null && dd if="$1.fat" of="$1" bs=1M seek=8 conv=notrunc status=none &&
			yes | head -c 1M | dd of="$1" bs=1M seek=47 conv=notrunc status=none`
		here(t, "sh", "-c", script, "sh", path)
		for name, text := range files {
			write(filepath.Join(dir, name), text)
			here(t, "mcopy", "-i", path+"@@8M", filepath.Join(dir, name), "::")
		}
		return path
	}
	into := func(image, key string) (string, error) {
		c := exec.CommandContext(t.Context(), "../../packaging/image/into", image, deb)
		c.Env = append(os.Environ(), "KEY="+key)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	read := func(t *testing.T, image, name string) string {
		t.Helper()
		return here(t, "mcopy", "-i", image+"@@8M", "::"+name, "-")
	}

	t.Run("as it was downloaded", func(t *testing.T) {
		image := image(t, template)
		for range 2 { // once more changes nothing
			if out, err := into(image, key); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			data := read(t, image, "user-data")
			if !strings.HasPrefix(data, template) || strings.Count(data, "\nruncmd:\n") != 1 ||
				strings.Count(data, "/boot/firmware/pi-agent.deb") != 1 {
				t.Errorf("user-data is\n%s", data)
			}
			for name, want := range map[string]string{"pi-agent.key": key, "pi-agent.deb": "a package",
				"cmdline.txt": cmdline + " cgroup_enable=memory"} {
				if got := read(t, image, name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		}
		if rest := here(t, "sh", "-c", `tail -c 1M "$1" | tr -d 'y\n' | wc -c`, "sh", image); rest != "0" {
			t.Errorf("%s bytes of the other partition were changed", rest)
		}
	})
	t.Run("with a fresh key", func(t *testing.T) {
		image := image(t, template)
		if out, err := into(image, ""); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := read(t, image, "pi-agent.key"); len(got) != len(key) || got == key {
			t.Errorf("the key is %q", got)
		}
	})
	t.Run("with what is no key", func(t *testing.T) {
		image := image(t, template)
		if out, err := into(image, "too short"); err == nil || !strings.Contains(out, "KEY is no cluster key") {
			t.Errorf("a bad key: %v, says %q", err, out)
		}
		if data := read(t, image, "user-data"); data != strings.TrimSpace(template) {
			t.Errorf("user-data is\n%s", data)
		}
	})
	for name, data := range map[string]string{"with commands of its own": template + "runcmd:\n- [ls]\n",
		"without cloud-init": ""} {
		t.Run(name, func(t *testing.T) {
			image := image(t, data)
			before, err := os.ReadFile(image)
			must(t, err)
			if out, err := into(image, key); err == nil || !strings.Contains(out, "user-data") {
				t.Errorf("%s: %v, says %q", name, err, out)
			}
			if after, err := os.ReadFile(image); err != nil || string(after) != string(before) {
				t.Errorf("the image was changed: %v", err)
			}
		})
	}
}
