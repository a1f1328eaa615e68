package swarm

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pi-agent/pi-agent/internal/dockerd"
)

// infoWith is what an engine says that is in no swarm, with more fields.
func infoWith(fields string) string { return strings.Replace(inactive, "{", "{"+fields+",", 1) }

// What an engine tells by itself is known before it is asked for anything.
func TestExcludedByInfo(t *testing.T) {
	for fields, want := range map[string]*Setting{
		`"LiveRestoreEnabled":true`: ErrLiveRestore,
		`"SecurityOptions":["name=seccomp,profile=builtin","name=rootless","name=cgroupns"]`: ErrRootless,
		`"DockerRootDir":"/var/snap/docker/common/var-lib-docker"`:                           ErrSnap,
		`"DockerRootDir":"/mnt/ssd/docker","SecurityOptions":["name=apparmor"]`:              nil,
		`"FirewallBackend":{"Driver":"iptables"}`:                                            nil,
		`"FirewallBackend":{"Driver":"nftables"}`:                                            nil, // it may make no rules
	} {
		d := serve(t, &stub{answers: map[string]func(http.ResponseWriter,
			*http.Request){"GET /info": reply(infoWith(fields))}})
		if s := status(t, d); s.Excluded != want {
			t.Errorf("%s: %v, want %v", fields, s.Excluded, want)
		}
	}
}

// What an engine refuses is known from then on, until it says otherwise or was out of reach.
func TestExcludedByRefusal(t *testing.T) {
	const (
		nftables = "--firewall-backend=nftables is incompatible with swarm mode"
		store    = "--cluster-store and --cluster-advertise daemon configurations are incompatible with swarm mode"
		isNft    = `"FirewallBackend":{"Driver":"nftables+firewalld"}`
	)
	tests := []struct {
		name, refusal, fields, later string
		want, then                   *Setting
	}{
		{"nftables", nftables, isNft, isNft, ErrNftables, ErrNftables},
		{"nftables, set right since", nftables, isNft, `"FirewallBackend":{"Driver":"iptables"}`, ErrNftables, nil},
		{"cluster-store", store, `"ServerUnused":1`, `"ServerUnused":1`, ErrClusterStore, ErrClusterStore},
		{"live-restore, off since", "--live-restore daemon configuration is incompatible with swarm mode",
			`"LiveRestoreEnabled":true`, `"LiveRestoreEnabled":false`, ErrLiveRestore, nil},
	}
	for _, tt := range tests {
		s := &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
			"POST /swarm/init": refusal(500, tt.refusal), "POST /swarm/join": refusal(500,
				tt.refusal), "GET /info": reply(infoWith(tt.fields)),
		}}
		d := serve(t, s)
		wantErr(t, tt.name+": Init", d.Init(t.Context(), InitRequest{Advertise: netip.MustParseAddr("10.77.0.11")}), tt.want)
		wantErr(t, tt.name+": Join", d.Join(t.Context(), JoinRequest{
			Advertise: netip.MustParseAddr("10.77.0.11"), Token: someToken,
			Managers: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.1:2377"), netip.MustParseAddrPort("10.77.0.2:2377")},
		}), ErrExcluded)
		if n := s.count("POST /swarm/join"); n != 1 {
			t.Errorf("%s: %d managers were tried, which changes nothing", tt.name, n)
		}
		if got := status(t, d).Excluded; got != tt.want {
			t.Errorf("%s: the status says %v, want %v", tt.name, got, tt.want)
		}
		s.mu.Lock()
		s.answers["GET /info"] = reply(infoWith(tt.later))
		s.mu.Unlock()
		if got := status(t, d).Excluded; got != tt.then {
			t.Errorf("%s: later the status says %v, want %v", tt.name, got, tt.then)
		}
		d.note(ErrUnreachable)
		if got := status(t, d).Excluded; tt.name == "cluster-store" && got != nil {
			t.Errorf("%s: after a restart the status says %v", tt.name, got)
		}
	}
}

func TestHindering(t *testing.T) {
	for file, want := range map[string]string{
		`{}`:                               "",
		`{"live-restore": true}`:           "live-restore",
		`{"live-restore": false}`:          "",
		`{"firewall-backend": "nftables"}`: "firewall-backend",
		`{"firewall-backend": "iptables"}`: "",
		`{"firewall-backend": "nftables", "iptables": false}`:                           "iptables",
		`{"firewall-backend": "nftables", "features": {"swarm-nftables": true}}`:        "",
		`{"cluster-store": "consul://10.0.0.1:8500", "cluster-advertise": "eth0:2376"}`: "cluster-store",
		`{"iptables": false, "ip-forward": false}`:                                      "iptables ip-forward",
		`{"iptables": true, "bridge": "none", "icc": false, "userland-proxy": false, "ip6tables": false, "ip-masq": false,
			"userns-remap": "default", "swarm-default-advertise-addr": "eth0", "default-address-pools": []}`: "",
		`{"live-restore": true,`: "",
	} {
		root := fstest.MapFS{"etc/docker/daemon.json": &fstest.MapFile{Data: []byte(file)}}
		var names []string
		for _, s := range Hindering(dockerd.Read(root, "")) {
			names = append(names, s.Name)
			if s.Text.En == "" || s.Remedy.En == "" || strings.HasSuffix(s.Remedy.En, ".") {
				t.Errorf("%s: %q, %q", s.Name, s.Text, s.Remedy)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	snap := "ExecStart={ path=/snap/docker/2963/bin/dockerd ; argv[]=/snap/docker/2963/bin/dockerd ; }"
	if all := Hindering(dockerd.Read(fstest.MapFS{}, snap)); len(all) != 1 || all[0] != ErrSnap {
		t.Errorf("the snap: %v", all)
	}
}
