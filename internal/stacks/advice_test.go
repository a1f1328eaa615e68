package stacks

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pi-agent/pi-agent/internal/say"
)

// unsupported is what Docker 20.10 says of a file with all that it leaves out.
const unsupported = `Ignoring unsupported options: build, cgroup_parent, devices, domainname, external_links, ipc, links, mac_address, network_mode, pid, privileged, restart, security_opt, shm_size, userns_mode

Ignoring deprecated options:

container_name: Setting the container name is not supported.

expose: Exposing ports is unnecessary - services on the same network can access each other's containers on any port.

`

func TestIgnored(t *testing.T) {
	for said, want := range map[string][]string{
		"":          {},
		unsupported: usuallyIgnored,
		unsupported + "Since --detach=false was not specified, tasks will be created in the background.\n" +
			"In a future release, --detach=false will become the default.\n": usuallyIgnored,
		"image x could not be accessed on a registry to record its digest. Each node will access\n": {},
		"Ignoring unsupported options: devices, network_mode, privileged\n\n": {"devices",
			"network_mode", "privileged"},
	} {
		if diff := cmp.Diff(want, ignored(said)); diff != "" {
			t.Errorf("ignored(%q) (-want +got):\n%s", said, diff)
		}
	}
}

func TestAdviceOf(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"what does no harm",
			"services:\n  web:\n    image: nginx\n    build: .\n    restart: unless-stopped\n    container_name: web\n" +
				"    expose: [\"80\"]\n    links: [db]\n    network_mode: bridge\n    privileged: false\n", nil},
		{"the issue", "services:\n  home:\n    image: homeassistant\n    network_mode: host\n    privileged: true\n    " +
			"restart: unless-stopped\n" +
			"    devices:\n      - /dev/ttyUSB0:/dev/ttyUSB0\n",
			[]string{"Stack x: service home runs without devices, network_mode and privileged, which Docker ignores in a " +
				"swarm (x.yml:4)."}},
		{"two services", "services:\n  a: {pid: host}\n  b:\n    links: [\"a:db\"]\n", []string{
			"Stack x: service a runs without pid, which Docker ignores in a swarm (x.yml:2).",
			"Stack x: service b runs without links, which Docker ignores in a swarm (x.yml:4)."}},
		{"a template", "x-all: &all\n  privileged: true\nservices:\n  a:\n    <<: *all\n",
			[]string{"Stack x: service a runs without privileged, which Docker ignores in a swarm (x.yml:2)."}},
		{"what is to run once",
			"services:\n  a:\n    restart: \"no\"\n  b:\n    restart: on-failure:3\n  c:\n    restart: no\n", []string{
				"Stack x: service a is started again whenever it ends, for Docker ignores restart in a swarm (x.yml:3): write " +
					"deploy: {restart_policy: {condition: none}}.",
				"Stack x: service b is started again whenever it ends, for Docker ignores restart in a swarm (x.yml:5): write " +
					"deploy: {restart_policy: {condition: on-failure}}.",
				"Stack x: service c is started again whenever it ends, for Docker ignores restart in a swarm (x.yml:7): write " +
					"deploy: {restart_policy: {condition: none}}."}},
		{"its own before a template",
			"x-all: &all {restart: always, pid: host}\nservices:\n  a:\n    <<: *all\n    restart: \"no\"\n", []string{
				"Stack x: service a is started again whenever it ends, for Docker ignores restart in a swarm (x.yml:5): write " +
					"deploy: {restart_policy: {condition: none}}.",
				"Stack x: service a runs without pid, which Docker ignores in a swarm (x.yml:1)."}},
		{"a template that its own undoes", "x-all: &all {restart: \"no\"}\nservices: {a: {<<: *all, restart: always}}\n",
			nil},
		{"an option twice", "services:\n  a:\n    pid: host\n    pid: host\n", []string{
			"Stack x: service a runs without pid, which Docker ignores in a swarm (x.yml:3).",
			"Stack x: pid in line 3 of x.yml is there again in line 4, and only the last one counts."}},
		{"a key of two lines, twice", "? \"a\\nb\"\n: c\n? \"a\\nb\"\n: d\n",
			[]string{"Stack x: there is no service in x.yml.",
				"Stack x: a b in line 1 of x.yml is there again in line 3, and only the last one counts."}},
		{"a service twice", "services:\n  web:\n    image: nginx\n  web:\n    image: httpd\n",
			[]string{"Stack x: web in line 2 of x.yml is there again in line 4, and only the last one counts."}},
		{"two documents", "services:\n  web:\n    image: nginx\n---\nservices: {}\n",
			[]string{"Stack x: Docker reads x.yml only up to line 4: a second document begins there, or it is not indented as " +
				"the first line is."}},
		{"a first line that is indented", "  version: \"3.8\"\nservices:\n  web: {image: nginx}\n",
			[]string{"Stack x: there is no service in x.yml.",
				"Stack x: Docker reads x.yml only up to line 2: a second document begins there, or it is not indented as the " +
					"first line is."}},
		{"no services", "version: \"3.8\"\n", []string{"Stack x: there is no service in x.yml."}},
		{"services that are none", "services: [{pid: host}]\n", []string{"Stack x: there is no service in x.yml."}},
		{"no YAML", "services:\n\tweb:\n", nil},
		{"nothing", "", nil},
		{"a circle", "services: &a\n  b: *a\n  pid: host\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, say.English(advice("x", "x.yml", []byte(c.text), usuallyIgnored))); diff != "" {
				t.Errorf("advice() (-want +got):\n%s", diff)
			}
		})
	}
}
