package stacks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file that is there for a person may not be there for the agent, which has a user of its own and sees no homes.
func TestReadRemedy(t *testing.T) {
	dir := t.TempDir()
	link := func(name, to string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const missing, denied = "open it: no such file or directory", "open it: permission denied"
	hides := func(in, dir string) string {
		return "the agent sees nothing in " + in + ": put the file itself into " + dir + ", not a link"
	}
	away := link("away", "../away.env")
	for _, c := range []struct{ dir, path, said, want string }{
		{"/class", "/class/web.env", missing, "put the file there"},
		{"/class", "/class/web.env", denied,
			"let the agent read it: sudo chgrp pi-agent /class/web.env && sudo chmod g+r /class/web.env"},
		{"/class", "/class/sub", "read /class/sub: is a directory", "name a file in it"},
		{"/class", "/class/web.env", "open it: input/output error", ""},
		{"/class", "/home/pi/web.env", denied, hides("/home", "/class")},
		{"/class", "/root/web.env", denied, hides("/root", "/class")},
		{"/class", "/tmp/web.env", missing, hides("/tmp", "/class")},
		{"/class", "/home/pi/sub", "read /home/pi/sub: is a directory", "name a file in it"},
		{"/home/pi", "/home/pi/web.env", missing, "put the file there"}, // the Compose file was read there
		{dir, link("home", "/home/pi/web.env"), denied, hides("/home", dir)},
		{dir, away, missing, "it is a link to " + filepath.Join(filepath.Dir(dir), "away.env") + ": put the file there"},
	} {
		if got := readRemedy(c.dir, c.path, c.said); got != c.want {
			t.Errorf("readRemedy(%q, %q, %q) = %q, want %q", c.dir, c.path, c.said, got, c.want)
		}
	}
}

// A link counts as the file that it leads to, and relative names in it start from the link, as they do for Docker.
func TestLinkedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		real, linked := filepath.Join(t.TempDir(), "real.yml"), filepath.Join(c.dir, "web.yml")
		c.write(real, "services: {web: {image: nginx, env_file: sub/web.env}}\n")
		if err := os.MkdirAll(filepath.Join(c.dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, linked); err != nil {
			t.Fatal(err)
		}
		deploy := "stack deploy --compose-file " + linked + " web"
		want(t, c.wait(time.Minute), deploy)
		c.write(real, "services: {web: {image: httpd, env_file: sub/web.env}}\n")
		want(t, c.wait(2*patient.Stack), deploy)
		c.write(filepath.Join(c.dir, "sub", "web.env"), "A=1\n")
		want(t, c.wait(2*patient.Stack), deploy)

		if err := os.Remove(real); err != nil {
			t.Fatal(err)
		}
		c.said()
		want(t, c.wait(time.Minute))
		if got, want := c.said(), linked+" is not deployed: stat "+linked+": no such file or directory: it is a link to "+real+": put the file there."; got != want {
			t.Errorf("said %q, want %q once", got, want)
		}
	})
}

// Between the look at a file and its deployment a person may change it: Docker reads what is there by then, and it is
// deployed again, for nobody knows which of the two it was.
func TestFileThatChangesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCard(t)
		c.write(c.boot, "services: {web: {image: nginx}}\n")
		c.meanwhile(func() { c.write(c.boot, "services: {web: {image: httpd}}\n") })
		deploy := "stack deploy --compose-file " + c.boot + " stack"
		want(t, c.wait(time.Minute), deploy, deploy)
		want(t, c.wait(time.Hour))

		c.write(c.boot, "services: {web: {image: mariadb}}\n")
		c.meanwhile(func() {
			if err := os.Remove(c.boot); err != nil {
				t.Error(err)
			}
		})
		want(t, c.wait(time.Minute), deploy)
		if got := c.r.Problems(); len(got) > 0 {
			t.Errorf("the problems are %q without a file", got)
		}
		if got := c.said(); strings.Contains(got, "not deployed") {
			t.Errorf("said %q", got)
		}
	})
}
