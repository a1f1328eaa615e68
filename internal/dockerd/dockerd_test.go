package dockerd

import (
	"testing"
	"testing/fstest"
)

const (
	debian = "ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// " +
		"--containerd=/run/containerd/containerd.sock " +
		"$DOCKER_OPTS ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n" +
		"Environment=\nEnvironmentFiles=/etc/default/docker (ignore_errors=yes)\n"
	byHand = "ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// "
)

func board(files ...string) fstest.MapFS {
	root := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		root[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return root
}

const daemonJSON = "etc/docker/daemon.json"

func TestRoot(t *testing.T) {
	ssd := board(daemonJSON, `{"data-root": "/mnt/ssd/docker"}`)
	tests := []struct {
		name        string
		root        fstest.MapFS
		shown, last string
		want        string
	}{
		{"as the package makes it", board(), debian, "", "/var/lib/docker"},
		{"nothing is known", board(), "", "", "/var/lib/docker"},
		{"daemon.json", ssd, debian, "", "/mnt/ssd/docker"},
		{"daemon.json with more", board(daemonJSON, `{
  "log-driver": "journald", "data-root": "/mnt/ssd/docker/", "labels": ["a=b"], "features": {"x": true}
}`), debian, "", "/mnt/ssd/docker"},
		{"daemon.json of old", board(daemonJSON, `{"graph": "/mnt/usb"}`), debian, "", "/mnt/usb"},
		{"daemon.json, moved since", ssd, debian, "/var/lib/docker", "/mnt/ssd/docker"},
		{"daemon.json with user namespaces", ssd, debian, "/mnt/ssd/docker/165536.165536", "/mnt/ssd/docker/165536.165536"},
		{"user namespaces only", board(daemonJSON, `{"userns-remap": "default"}`), debian, "/var/lib/docker/165536.165536",
			"/var/lib/docker/165536.165536"},
		{"a name that begins alike", ssd, debian, "/mnt/ssd/docker2", "/mnt/ssd/docker"},
		{"daemon.json is broken", board(daemonJSON, `{"data-root": "/mnt/ssd/docker",}`), debian, "", "/var/lib/docker"},
		{"daemon.json is broken, and the engine has said it", board(daemonJSON, `{`), debian, "/mnt/ssd/docker",
			"/mnt/ssd/docker"},
		{"no text", board(daemonJSON, `{"data-root": 5}`), debian, "", "/var/lib/docker"},
		{"not absolute", board(daemonJSON, `{"data-root": "docker"}`), debian, "", "/var/lib/docker"},
		{"a line break", board(daemonJSON, `{"data-root": "/mnt\n/x"}`), debian, "", "/var/lib/docker"},
		{"flag", board(), byHand + "--data-root=/srv/docker ; ignore_errors=no }", "", "/srv/docker"},
		{"flag with a word", board(), byHand + "--data-root /srv/docker --debug ; ignore_errors=no }", "", "/srv/docker"},
		{"flag of old", board(), byHand + "-g /srv/docker ; }", "", "/srv/docker"},
		{"flag of old, with its value", board(), byHand + "-g/srv/docker ; }", "", "/srv/docker"},
		{"flag of old, with =", board(), byHand + "-g=/srv/docker ; }", "", "/srv/docker"},
		{"flag of old, after another", board(), byHand + "-Dg /srv/docker ; }", "", "/srv/docker"},
		{"flag of old, all in one", board(), byHand + "-Dg/srv/docker ; }", "", "/srv/docker"},
		{"flag of old, after one with a value", board(), byHand + "-l debug -H tcp://1.2.3.4 -g /srv/docker ; }", "",
			"/srv/docker"},
		{"flag of old that is long", board(), byHand + "--graph /srv/docker ; }", "", "/srv/docker"},
		{"a value that ends as the flag does", board(), byHand + "-Hg /srv/docker ; }", "", "/var/lib/docker"},
		{"a switch with a value of its own", board(), byHand + "-D=false -g/srv/docker ; }", "", "/srv/docker"},
		{"without a value", board(), byHand + "-g ; }", "", "/var/lib/docker"},
		{"an unknown flag before it", board(), byHand + "-xg /srv/docker ; }", "", "/var/lib/docker"},
		{"a single dash", board(), byHand + "- -g /srv/docker ; }", "", "/srv/docker"},
		{"no flag any more", board(), byHand + "-- -g /srv/docker ; }", "", "/var/lib/docker"},
		{"flag in quotes", board(), byHand + `"--data-root=/srv/my docker" ; }`, "", "/srv/my docker"},
		{"option of Debian", board("etc/default/docker", "# x\nDOCKER_OPTS=\"--dns 8.8.8.8 --data-root /mnt/usb\"\n"), debian,
			"", "/mnt/usb"},
		{"environment", board(), byHand + "--data-root=${D}/docker ; }\nEnvironment=\"X=1 2\" D=/mnt\n", "", "/mnt/docker"},
		{"another file", board("etc/other.json", `{"data-root": "/mnt/a"}`, daemonJSON, `{"data-root": "/mnt/b"}`),
			byHand + "--config-file /etc/other.json ; }", "", "/mnt/a"},
		{"what was said is no path", board(), debian, "docker\n", "/var/lib/docker"},
	}
	for _, tt := range tests {
		if got := Read(tt.root, tt.shown).Root(tt.last); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSettings(t *testing.T) {
	s := Read(board(daemonJSON,
		`{"iptables": false, "firewall-backend": "nftables", "features": {"swarm-nftables": true, "x": 1}}`),
		byHand+"--live-restore --ip-forward=false --tls=maybe ; }")
	for name, got := range map[string]bool{
		"iptables":         s.Is("iptables", false) && !s.Is("iptables", true) && s.Has("iptables"),
		"firewall-backend": s.Is("firewall-backend", "nftables") && !s.Is("firewall-backend", "iptables"),
		"live-restore":     s.Is("live-restore", true),
		"ip-forward":       s.Is("ip-forward", false) && !s.Is("ip-forward", true),
		"tls":              !s.Is("tls", true) && !s.Is("tls", false),
		"not set":          !s.Is("bridge", "none") && !s.Is("ip-masq", false) && !s.Has("ip-masq"),
		"feature":          s.Feature("swarm-nftables") && !s.Feature("x") && !s.Feature("y"),
		"program":          s.Program == "/usr/bin/dockerd",
	} {
		if !got {
			t.Errorf("%s is not read as it is set", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(debian, `{"data-root": "/mnt/ssd/docker"}`, "DOCKER_OPTS=\"-g /x\"")
	f.Add(byHand+`--data-root "/a b ; }`, `{"features": []}`, "=")
	f.Add("ExecStart=", `[]`, "A=$A")
	f.Fuzz(func(t *testing.T, shown, settings, env string) {
		s := Read(board(daemonJSON, settings, "etc/default/docker", env), shown)
		if root := s.Root(""); !plain(root) {
			t.Errorf("%q is no directory", root)
		}
		_ = s.Is("iptables", false) || s.Feature("x")
	})
}
