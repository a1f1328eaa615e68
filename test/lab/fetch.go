package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	mirror  = "http://deb.debian.org/debian"
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

var suiteForm = regexp.MustCompile(`^[a-z][a-z-]{1,30}$`)

// FetchEngine makes the engine of another Debian release available for Options.Engine, such as "trixie" for 26.1.5.
// It is downloaded once, verified by apt, and kept unpacked in the user's cache directory; the machine's own apt and
// packages stay as they are. runc remains the machine's own, for that of a newer release may want a newer C library.
func FetchEngine(ctx context.Context, suite string) (string, error) {
	if !suiteForm.MatchString(suite) {
		return "", fmt.Errorf("release %q: give a name such as trixie", suite)
	}
	return cached(suite, "engine-"+suite, func(tree string) error {
		work, err := os.MkdirTemp(filepath.Dir(tree), "fetch-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		if err := download(ctx, suite, work); err != nil {
			return fmt.Errorf("fetch the engine of %s: %w", suite, err)
		}
		return os.Rename(filepath.Join(work, "tree"), tree)
	})
}

// cached returns the path of what has this name in the lab's part of the user's cache directory, and makes it at first
// use. Of those with one lock, one is made at a time.
func cached(lockName, name string, create func(path string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	base := filepath.Join(cache, "pi-agent-lab")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	held, err := lock(filepath.Join(base, lockName+".lock"), os.O_CREATE, 0)
	if err != nil {
		return "", err
	}
	defer held.Close()
	path := filepath.Join(base, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	return path, create(path)
}

func download(ctx context.Context, suite, dir string) error {
	for _, sub := range []string{"lists/partial", "archives/partial", "tree"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	settings := fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "%[1]s/lists";
Dir::State::status "/dev/null";
Dir::Cache "%[1]s";
APT::Sandbox::User "root";
Acquire::Languages "none";
`, dir)
	source := fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, machineMirror(ctx), suite)
	for name, text := range map[string]string{"apt.conf": settings, "sources.list": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	run := func(argv ...string) error {
		c := exec.CommandContext(ctx, argv[0], argv[1:]...)
		c.Dir = dir
		c.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(dir, "apt.conf"))
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
		}
		return nil
	}
	if err := run("apt-get", "update", "--error-on=any"); err != nil {
		return err
	}
	if err := run("apt-get", "download", "docker.io", "containerd"); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range packages {
		if err := run("dpkg", "-x", deb, "tree"); err != nil {
			return err
		}
	}
	return nil
}

// machineMirror is where the machine itself gets Debian from.
func machineMirror(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)",
		"Created-By: Packages", "Label: Debian").Output()
	if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); first != "" {
		return first
	}
	return mirror // its lists were never fetched
}
