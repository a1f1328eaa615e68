package doctor

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

const certificatePath = "var/lib/docker/" + certificateName

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// certificate is one of a node, valid in that time.
func certificate(t *testing.T, from, to time.Time) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// over is a route to a network.
func over(device, to string, metric int) address.Route {
	return address.Route{To: netip.MustParsePrefix(to), Device: device, Metric: metric}
}

// routes are what Patient.Routes returns.
func routes(all ...address.Route) func() ([]address.Route, error) {
	return func() ([]address.Route, error) { return all, nil }
}

// body is a board on which all is well, in a swarm with another one. Its files can be changed by path.
func body(t *testing.T) (*Patient, fstest.MapFS) {
	t.Helper()
	off := 0.2
	at := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	root := fstest.MapFS{}
	for path, text := range map[string]string{
		"var/lib/dpkg/status":                              "Package: docker-cli\nStatus: install ok installed\n\nPackage: docker.io\nStatus: install ok installed\nVersion: 26.1.5+dfsg1-9+b9\n",
		"var/lib/dpkg/info/docker.io.list":                 "/.\n/usr/sbin\n/usr/sbin/dockerd\n",
		"run/docker.pid":                                   "612",
		certificatePath:                                    string(certificate(t, now.AddDate(0, -1, 0), now.AddDate(5, 0, 0))),
		"proc/sys/kernel/osrelease":                        "6.12.47+rpt-rpi-2712\n",
		"proc/filesystems":                                 "nodev\tproc\n\text4\n",
		"lib/modules/6.12.47+rpt-rpi-2712/modules.dep":     "kernel/drivers/net/vxlan/vxlan.ko.xz: x\nkernel/net/netfilter/ipvs/ip_vs.ko.xz: y\nkernel/net/bridge/br-netfilter.ko.xz:\n",
		"lib/modules/6.12.47+rpt-rpi-2712/modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/fs/overlayfs/overlay.ko\n",
		"sys/module/vxlan/refcnt":                          "1\n",
		"sys/fs/cgroup/cgroup.controllers":                 "cpu io memory pids\n",
		"sys/class/net/wlan0/phy80211/name":                "phy0\n",
		throttledPath:                                      "0\n",
	} {
		root[path] = &fstest.MapFile{Data: []byte(text)}
	}
	root["proc/612/exe"] = &fstest.MapFile{Data: []byte("/usr/sbin/dockerd"), Mode: fs.ModeSymlink}
	p := &Patient{
		Root: root, Now: now, LinkLocal: true,
		Engine: swarm.Status{State: swarm.Active, NodeID: "me", Addr: at("169.254.1.5"), Version: "26.1.5"},
		Link:   address.Choice{Link: address.Link{Name: "wlan0", Addr: at("10.77.0.5"), Stable: at("169.254.1.5")}},
		Picture: picture.Picture{
			Self: "10000000aabbcc05", Doing: say.Words("This board is a worker in the swarm of pi-bbcc02."), Source: "pi-bbcc02",
			Swarm: &picture.Swarm{ID: "s", Node: "me", Pools: []netip.Prefix{netip.MustParsePrefix("10.201.0.0/16")}},
			Boards: []picture.Board{
				{Serial: "10000000aabbcc02", Name: "pi-bbcc02", Role: picture.Leader, State: picture.Ready, At: at("169.254.1.2"),
					Addrs: []netip.Addr{at("10.77.0.2")}, Announced: true, Clock: &off},
				{Serial: "10000000aabbcc05", Name: "pi-bbcc05", Role: picture.Worker, State: picture.Ready, At: at("169.254.1.5"), Announced: true},
				{Serial: "10000000aabbcc07", Name: "pi-bbcc07", Role: picture.Worker, State: picture.Down, At: at("169.254.1.7")},
			},
		},
		Routes:    routes(over("wlan0", "10.77.0.0/24", 100), over("wlan0", "169.254.0.0/16", 0)),
		Strangers: func() []ports.Holder { return nil },
		Has:       func(a netip.Addr) (bool, error) { return a == at("169.254.1.5"), nil },
		Synced:    func() (bool, error) { return true, nil },
		Free:      func(string) (free, total uint64, err error) { return 20 << 30, 29 << 30, nil },
		Probe: func(_ context.Context, network string, a netip.AddrPort) error {
			switch {
			case a.Addr() != at("169.254.1.2"):
				t.Errorf("%s %s was asked", network, a)
			case network == "udp" && a.Port() == 4789:
				return syscall.ECONNREFUSED // no container uses it
			}
			return nil
		},
		Reached: func(context.Context) (map[string]map[string]string, error) {
			return map[string]map[string]string{"pi-bbcc02": {}}, nil
		},
		Run: func(_ context.Context, name string, args ...string) (string, error) {
			if got := name + " " + strings.Join(args, " "); got != "iw dev wlan0 get power_save" {
				t.Errorf("%s was run", got)
			}
			return "Power save: off\n", nil
		},
	}
	return p, root
}

func find(all []Result, check string) *Result {
	for i := range all {
		if all[i].Check == check {
			return &all[i]
		}
	}
	return nil
}

// wellChecks are the checks that a board passes on which all is well.
var wellChecks = []string{
	"agent", "engine", "settings of docker", "package", "certificate", "module vxlan", "module ip_vs", "module overlay",
	"module br_netfilter", "memory cgroup", "clock", "clocks of boards", "name", "serial", "network", "swarm address",
	"169.254 route", "overlay pool", "networks of docker", "Wi-Fi power save", "multicast", "multicast of peers", "programs at ports",
	"port 2378/tcp",
	"port 2377/tcp", "port 7946/tcp", "port 7946/udp", "port 4789/udp", "own ports", "disk", "power supply",
}

func TestWell(t *testing.T) {
	p, _ := body(t)
	all := Examine(t.Context(), p)
	for i, r := range all {
		if i >= len(wellChecks) || r.Check != wellChecks[i] || r.Verdict != Pass || r.Text == "" || r.Remedy != "" || r.Fix != nil {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if len(all) != len(wellChecks) || Failed(all) {
		t.Errorf("%d checks, want %d", len(all), len(wellChecks))
	}
	var b strings.Builder
	if err := Text(&b, all); err != nil || !strings.HasSuffix(b.String(), "\n31 passed, 0 warned, 0 failed, 0 skipped.\n") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestIll(t *testing.T) {
	write := func(path, text string) func(*Patient, fstest.MapFS) {
		return func(_ *Patient, root fstest.MapFS) { root[path] = &fstest.MapFile{Data: []byte(text)} }
	}
	remove := func(paths ...string) func(*Patient, fstest.MapFS) {
		return func(_ *Patient, root fstest.MapFS) {
			for _, path := range paths {
				delete(root, path)
			}
		}
	}
	patient := func(change func(*Patient)) func(*Patient, fstest.MapFS) {
		return func(p *Patient, _ fstest.MapFS) { change(p) }
	}
	noRoutes := patient(func(p *Patient) { p.Routes = func() ([]address.Route, error) { return nil, syscall.EPERM } })
	probe := func(network string, number uint16, err error) func(*Patient, fstest.MapFS) {
		return patient(func(p *Patient) {
			p.Probe = func(_ context.Context, n string, a netip.AddrPort) error {
				if n == network && a.Port() == number {
					return err
				}
				return nil
			}
		})
	}
	clock := func(off float64) func(*Patient, fstest.MapFS) {
		return patient(func(p *Patient) { p.Picture.Boards[0].Clock = &off })
	}
	free := func(n uint64, err error) func(*Patient, fstest.MapFS) {
		return patient(func(p *Patient) { p.Free = func(string) (uint64, uint64, error) { return n, 29 << 30, err } })
	}
	reached := func(by string, shut map[string]string, err error) func(*Patient, fstest.MapFS) {
		return patient(func(p *Patient) {
			p.Reached = func(context.Context) (map[string]map[string]string, error) {
				if by == "" {
					return nil, err
				}
				return map[string]map[string]string{by: shut}, err
			}
		})
	}
	daemon := func(text string) func(*Patient, fstest.MapFS) {
		return func(p *Patient, root fstest.MapFS) {
			root["etc/docker/daemon.json"] = &fstest.MapFile{Data: []byte(text)}
			p.Setup = dockerd.Read(root, "")
		}
	}
	link := func(program string) func(*Patient, fstest.MapFS) {
		return func(_ *Patient, root fstest.MapFS) {
			root["proc/612/exe"] = &fstest.MapFile{Data: []byte(program), Mode: fs.ModeSymlink}
		}
	}
	const modulesDep = "lib/modules/6.12.47+rpt-rpi-2712/modules.dep"
	tests := []struct {
		check   string
		change  func(*Patient, fstest.MapFS)
		verdict Verdict
		text    string
	}{
		{"agent", patient(func(p *Patient) { p.Agent = errors.New("no such file") }), Fail, "no such file"},
		{"agent", patient(func(p *Patient) { p.Picture.Needs, p.Picture.Doing = true, say.Words("There are two swarms.") }), Fail, "two swarms"},
		{"engine", patient(func(p *Patient) { p.EngineErr = swarm.ErrUnreachable }), Fail, "does not answer"},
		{"engine", patient(func(p *Patient) { p.EngineErr = swarm.ErrNoPermission }), Skip, "sudo"},
		{"engine", patient(func(p *Patient) { p.Engine.Version = "19.03.15" }), Fail, "too old"},
		{"engine", patient(func(p *Patient) { p.Engine.Version = "old" }), Fail, "too old"},
		{"engine", patient(func(p *Patient) { p.Engine.State, p.Engine.Error = swarm.Failed, "certificate" }), Fail, "certificate"},
		{"settings of docker", patient(func(p *Patient) { p.Engine.Excluded = swarm.ErrLiveRestore }), Fail, `Docker has "live-restore" on`},
		{"settings of docker", patient(func(p *Patient) { p.Engine.Excluded = swarm.ErrSnap }), Fail, "Docker is installed as a snap"},
		{"settings of docker", daemon(`{"firewall-backend": "nftables"}`), Fail, `"firewall-backend" set to "nftables"`},
		{"settings of docker", func(p *Patient, root fstest.MapFS) {
			p.EngineErr = swarm.ErrUnreachable // which it is for that very reason
			daemon(`{"live-restore": true}`)(p, root)
		}, Fail, `"live-restore" on`},
		{"settings of docker", daemon(`{"iptables": false}`), Warn, `"iptables" off`},
		{"package", link("/usr/local/bin/dockerd"), Warn, "the engine is another one, /usr/local/bin/dockerd,"},
		{"package", func(p *Patient, root fstest.MapFS) {
			delete(root, "run/docker.pid") // as others than root see it
			p.Setup.Program = "/opt/docker/dockerd"
		}, Warn, "/opt/docker/dockerd"},
		{"package", patient(func(p *Patient) { p.Engine.Version = "20.10.24+dfsg1" }), Warn, "version 26.1.5+dfsg1-9+b9, and the engine that runs is still 20.10.24"},
		{"package", func(p *Patient, root fstest.MapFS) {
			delete(root, "run/docker.pid")
			p.Engine.Version = "29.7.2"
		}, Warn, "runs is 29.7.2: it is another one, or from before an upgrade"},
		{"package", write("var/lib/dpkg/status", "Package: docker-ce\nStatus: hold ok installed\n"), Warn, "docker-ce is held back"},
		{"package", write("var/lib/dpkg/status", "Package: docker.io\nStatus: deinstall ok config-files\n"), Warn, "no package"},
		{"package", remove("var/lib/dpkg/status"), Skip, "no list"},
		{"certificate", remove(certificatePath), Skip, "sudo"},
		{"certificate", write(certificatePath, "nonsense"), Fail, "cannot be read"},
		{"certificate", write(certificatePath, string(certificate(t, now.AddDate(-1, 0, 0), now.AddDate(0, 0, -3)))), Fail, "ended, 3 days ago"},
		{"certificate", write(certificatePath, string(certificate(t, now.AddDate(-1, 0, 0), now.AddDate(0, 0, 7)))), Warn, "ends in 7 days"},
		{"certificate", write(certificatePath, string(certificate(t, now.Add(3*time.Hour), now.AddDate(5, 0, 0)))), Fail, "clock is behind"},
		{"module vxlan", func(_ *Patient, root fstest.MapFS) {
			delete(root, "sys/module/vxlan/refcnt")
			root[modulesDep] = &fstest.MapFile{Data: []byte("kernel/net/netfilter/ipvs/ip_vs.ko.xz:\n")}
		}, Fail, "overlay networks"},
		{"module ip_vs", write(modulesDep, "kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz:\n"), Fail, "published ports"},
		{"module br_netfilter", write(modulesDep, ""), Fail, "containers"},
		{"module overlay", write("lib/modules/6.12.47+rpt-rpi-2712/modules.builtin", ""), Fail, "images"},
		{"module ip_vs", remove(modulesDep, "lib/modules/6.12.47+rpt-rpi-2712/modules.builtin"), Skip, "does not tell"},
		{"kernel", remove("proc/sys/kernel/osrelease"), Skip, "which it is"},
		{"memory cgroup", write("sys/fs/cgroup/cgroup.controllers", "cpu io pids\n"), Warn, "have it off"},
		{"memory cgroup", func(_ *Patient, root fstest.MapFS) {
			delete(root, "sys/fs/cgroup/cgroup.controllers")
			root["proc/cgroups"] = &fstest.MapFile{Data: []byte("#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t83\t0\n")}
		}, Warn, "have it off"},
		{"clock", patient(func(p *Patient) { p.Now, p.Built = time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC), now }), Fail, "1970-01-01"},
		{"clock", patient(func(p *Patient) { p.Synced = func() (bool, error) { return false, nil } }), Warn, "no time server"},
		{"clock", patient(func(p *Patient) { p.Synced = func() (bool, error) { return false, syscall.EPERM } }), Skip, "does not say"},
		{"clocks of boards", clock(-10800), Fail, "pi-bbcc02 is 3 h behind"},
		{"clocks of boards", clock(90), Warn, "pi-bbcc02 is 90 s ahead"},
		{"name", patient(func(p *Patient) { p.Picture.Boards[0].Name = "PI-bbcc05" }), Warn, "10000000aabbcc02"},
		{"serial", patient(func(p *Patient) { p.Picture.Boards[0].Serial = p.Picture.Self }), Fail, "Two boards"},
		{"network", patient(func(p *Patient) { p.LinkErr = errors.New("eth0 has no cable") }), Fail, "no cable"},
		{"swarm address", patient(func(p *Patient) { p.Has = func(netip.Addr) (bool, error) { return false, nil } }), Fail, "does not have"},
		{"swarm address", patient(func(p *Patient) { p.Has = func(netip.Addr) (bool, error) { return false, syscall.EPERM } }), Skip, "not known"},
		{"swarm address", patient(func(p *Patient) {
			p.Engine.Manager, p.Engine.Addr = true, netip.MustParseAddr("10.77.0.5")
			p.Has = func(netip.Addr) (bool, error) { return true, nil }
		}), Warn, "10.77.0.5"},
		{"169.254 route", patient(func(p *Patient) { p.Routes = routes(over("usb0", "169.254.0.0/16", 0)) }), Fail, "routed over usb0"},
		{"169.254 route", patient(func(p *Patient) { p.Routes = routes(over("wlan0", "10.77.0.0/24", 100)) }), Fail, "no route"},
		{"169.254 route", noRoutes, Skip, "cannot be read"},
		{"overlay pool", patient(func(p *Patient) { p.Picture.Swarm.Pools = []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")} }), Fail, "10.77.0.0/24"},
		{"overlay pool", patient(func(p *Patient) { p.Picture.Swarm.Pools = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }), Warn, "10.77.0.0/24"},
		{"overlay pool", noRoutes, Skip, "cannot be read"},
		{"networks of docker", patient(func(p *Patient) {
			p.Routes = routes(over("wlan0", "10.77.0.0/24", 100), over("docker0", "10.77.0.0/16", 0))
		}), Fail, "docker0 of Docker is 10.77.0.0/16, and 10.77.0.0/24 is reached over wlan0."},
		{"networks of docker", noRoutes, Skip, "cannot be read"},
		{"Wi-Fi power save", patient(func(p *Patient) {
			p.Run = func(context.Context, string, ...string) (string, error) { return "Power save: on\n", nil }
		}), Warn, "loses announcements"},
		{"Wi-Fi power save", patient(func(p *Patient) {
			p.Run = func(context.Context, string, ...string) (string, error) { return "", errors.New("no iw") }
		}), Skip, "no iw"},
		{"multicast", patient(func(p *Patient) { p.Picture.Boards[1].Announced = false }), Fail, "do not arrive"},
		{"multicast", patient(func(p *Patient) { p.Agent = errors.New("gone") }), Skip, "does not answer"},
		{"multicast of peers", patient(func(p *Patient) { p.Picture.Boards[0].Announced = false }), Warn, "pi-bbcc02"},
		{"programs at ports", patient(func(p *Patient) {
			p.Strangers = func() []ports.Holder { return []ports.Holder{{Port: ports.All[2], PID: 77, Program: "nc"}} }
		}), Fail, "Port 7946/tcp is taken by nc (77), and is needed for news between nodes."},
		{"programs at ports", patient(func(p *Patient) { // as the agent has seen it
			p.Picture.Warnings = []picture.Warning{{Text: say.Words("Port 2377/tcp is taken by x.service, and is needed."), Remedy: say.Words("Stop it."), Port: "2377/tcp"}}
		}), Fail, "taken by x.service"},
		{"port 2378/tcp", probe("tcp", 2378, syscall.ECONNREFUSED), Fail, "pi-bbcc02 (connection refused)"},
		{"port 2378/tcp", patient(func(p *Patient) { // a board that is heard, and in no swarm for it is not reached
			p.Picture.Swarm, p.Picture.Boards[2] = nil, picture.Board{Serial: "10000000aabbcc07", Name: "pi-bbcc07", State: picture.Out,
				Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.7")}, Announced: true}
			p.Probe = func(_ context.Context, _ string, a netip.AddrPort) error {
				if a == netip.MustParseAddrPort("10.77.0.7:2378") {
					return errors.New("no answer")
				}
				return nil
			}
		}), Fail, "pi-bbcc07 (no answer)"},
		{"port 7946/tcp", probe("tcp", 7946, ports.ErrStranger), Fail, "is taken on pi-bbcc02 (another program answers there)."},
		{"own ports", reached("pi-bbcc02", map[string]string{"port 7946/tcp": ports.ErrStranger.Error()}, nil), Fail, "Taken are port 7946/tcp to pi-bbcc02"},
		{"port 2377/tcp", probe("tcp", 2377, errors.New("no answer")), Fail, "pi-bbcc02 (no answer)"},
		{"port 7946/tcp", probe("tcp", 7946, errors.New("no answer")), Fail, "pi-bbcc02"},
		{"port 7946/udp", probe("udp", 7946, syscall.ECONNREFUSED), Fail, "pi-bbcc02"},
		{"port 4789/udp", probe("udp", 4789, syscall.EPERM), Fail, "pi-bbcc02"},
		{"own ports", reached("pi-bbcc02", map[string]string{"port 7946/tcp": "no answer"}, nil), Fail, "Shut are port 7946/tcp to pi-bbcc02 (no answer)."},
		{"own ports", reached("", nil, nil), Skip, "No other board"},
		{"own ports", reached("", nil, errors.New("only root may do that")), Skip, "only root"},
		{"disk", patient(func(p *Patient) {
			p.DataRoot = "/mnt/ssd/docker"
			p.Free = func(path string) (uint64, uint64, error) {
				if path != "/mnt/ssd/docker" {
					return 0, 0, errors.New(path)
				}
				return 1 << 20, 29 << 30, nil
			}
		}), Fail, "/mnt/ssd/docker has 1 MB left"},
		{"certificate", patient(func(p *Patient) { p.DataRoot = "/mnt/ssd/docker" }), Skip, "sudo"},
		{"certificate", func(p *Patient, root fstest.MapFS) {
			p.DataRoot = "/mnt/ssd/docker"
			root["mnt/ssd/docker/"+certificateName] = &fstest.MapFile{Data: []byte("nonsense")}
		}, Fail, "cannot be read"},
		{"disk", free(500<<20, nil), Warn, "500 MB left of 29.0 GB"},
		{"disk", free(1<<20, nil), Fail, "1 MB left"},
		{"disk", free(0, fs.ErrPermission), Skip, "not known"},
		{"power supply", write(throttledPath, "0x50005\n"), Fail, "too low"},
		{"power supply", write(throttledPath, "50000\n"), Warn, "since the board"},
		{"power supply", write(throttledPath, "?\n"), Skip, "not understood"},
		{"power supply", func(_ *Patient, root fstest.MapFS) {
			delete(root, throttledPath)
			root["sys/class/hwmon/hwmon1/name"] = &fstest.MapFile{Data: []byte("rpi_volt\n")}
			root["sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = &fstest.MapFile{Data: []byte("1\n")}
		}, Fail, "too low"},
	}
	ill := map[string]bool{"kernel": true}
	for _, tt := range tests {
		t.Run(tt.check+" "+string(tt.verdict)+" "+tt.text, func(t *testing.T) {
			p, root := body(t)
			tt.change(p, root)
			all := Examine(t.Context(), p)
			r := find(all, tt.check)
			if r == nil || r.Verdict != tt.verdict || !strings.Contains(r.Text, tt.text) || (r.Remedy == "") != (tt.verdict == Skip) {
				t.Fatalf("%+v, want %s with %q and a remedy", r, tt.verdict, tt.text)
			}
			if tt.verdict == Fail && !Failed(all) {
				t.Error("it does not count as failed")
			}
		})
		if tt.verdict != Skip {
			ill[tt.check] = true
		}
	}
	for _, check := range wellChecks {
		if !ill[check] {
			t.Errorf("no test makes the check %q find anything", check)
		}
	}
}

// Whoever has a firewall is given the commands that open all ports, once, however many checks fail for it.
func TestFirewallCommands(t *testing.T) {
	p, _ := body(t)
	p.Picture.Boards[1].Announced = false
	p.Probe = func(context.Context, string, netip.AddrPort) error { return errors.New("no answer") }
	var b strings.Builder
	if err := Text(&b, Examine(t.Context(), p)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-> ufw: sudo ufw allow in on wlan0 to any port 2377,2378,7380,7946 proto tcp && " +
			"sudo ufw allow in on wlan0 to any port 4789,5353,7946 proto udp\n",
		"-> firewalld: sudo firewall-cmd --permanent --add-port=2377/tcp --add-port=2378/tcp --add-port=7380/tcp --add-port=7946/tcp " +
			"--add-port=4789/udp --add-port=5353/udp --add-port=7946/udp && sudo firewall-cmd --reload\n",
		"-> nft: sudo nft insert rule inet filter input iifname wlan0 tcp dport '{ 2377, 2378, 7380, 7946 }' accept && " +
			"sudo nft insert rule inet filter input iifname wlan0 udp dport '{ 4789, 5353, 7946 }' accept, and the same rules in /etc/nftables.conf\n",
	} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, b.String())
		}
	}
}

// Whoever may not use the engine, and whose certificate has ended, is told where to look.
func TestEngineRemedies(t *testing.T) {
	for _, tt := range []struct {
		err     error
		said    string
		verdict Verdict
		text    string
		remedy  string
	}{
		{swarm.ErrNoPermission, "", Skip, "Whoever may not use Docker cannot look at it: run sudo pi-agent doctor.", ""},
		{nil, "x509: certificate has expired or is not yet valid: current time is after", Fail, "", "pi-agent status says what becomes of it"},
		{nil, "error while loading TLS certificate in x: certificate has expired", Fail, "", "pi-agent status says what becomes of it"},
		{nil, "manager stopped: can't initialize raft node: no permission", Fail, "", "journalctl -u docker says more"},
		{nil, "x509: certificate has expired or is not yet valid: current time is before", Fail, "", "journalctl -u docker says more"},
	} {
		p, _ := body(t)
		p.EngineErr, p.Engine.State, p.Engine.Error = tt.err, swarm.Failed, tt.said
		got := checkEngine(t.Context(), p)
		if len(got) != 1 || got[0].Verdict != tt.verdict || got[0].Remedy != tt.remedy || !strings.HasSuffix(got[0].Text, tt.text) {
			t.Errorf("%v, %s: %+v", tt.err, tt.said, got)
		}
	}
}

// What does not apply is not told.
func TestDoesNotApply(t *testing.T) {
	p, root := body(t)
	p.Picture = picture.Picture{Self: "10000000aabbcc05", Boards: []picture.Board{{Serial: "10000000aabbcc05", Announced: true}}}
	p.LinkLocal, p.Engine.Addr = false, netip.Addr{}
	delete(root, "sys/class/net/wlan0/phy80211/name")
	delete(root, throttledPath)
	all := Examine(t.Context(), p)
	for _, check := range []string{
		"certificate", "clocks of boards", "swarm address", "169.254 route", "overlay pool", "Wi-Fi power save", "multicast of peers",
		"port 2378/tcp", "port 7946/udp", "own ports", "power supply",
	} {
		if r := find(all, check); r != nil {
			t.Errorf("%+v", r)
		}
	}
}

// TestThisBoard makes sure that a real kernel can be asked.
func TestThisBoard(t *testing.T) {
	var p Patient
	p.OnThisBoard()
	if free, total, err := p.Free("/"); err != nil || free == 0 || total < free {
		t.Errorf("free: %d of %d, %v", free, total, err)
	}
	if _, err := p.Synced(); err != nil {
		t.Errorf("synced: %v", err)
	}
	if has, err := p.Has(netip.MustParseAddr("127.0.0.1")); err != nil || !has {
		t.Errorf("has: %v, %v", has, err)
	}
	if _, err := p.Routes(); err != nil {
		t.Errorf("routes: %v", err)
	}
	if out, err := p.Run(t.Context(), "echo", "power"); err != nil || out != "power\n" {
		t.Errorf("run: %q, %v", out, err)
	}
	if _, err := p.Run(t.Context(), "no-such-command"); err == nil {
		t.Error("run: a command that is not there succeeds")
	}
}

// What helps with an address that has gone is what the agent says of it.
func TestSwarmAddressRemedy(t *testing.T) {
	for _, tt := range []struct {
		addr      string
		linkLocal bool
		want      string
	}{
		{"169.254.8.151", true, "sudo systemctl restart pi-agent, and see journalctl -u pi-agent"},
		{"169.254.8.151", false, `give address = "link-local" again`},
		{"10.77.0.5", true, "give it that address again, by a fixed lease in the router"},
		{"10.77.0.5", false, "give it that address again, by a fixed lease in the router"},
	} {
		p := &Patient{LinkLocal: tt.linkLocal, Has: func(netip.Addr) (bool, error) { return false, nil }}
		p.Engine.Addr = netip.MustParseAddr(tt.addr)
		if all := checkSwarmAddress(t.Context(), p); len(all) != 1 || all[0].Verdict != Fail || all[0].Remedy != tt.want {
			t.Errorf("%s, %v: %+v, want the remedy %q", tt.addr, tt.linkLocal, all, tt.want)
		}
	}
}

// TestLinkLocalRoute is about advice that cuts nobody off: the other boards are where the agent looks for them.
func TestLinkLocalRoute(t *testing.T) {
	linkLocal := func(device string, metric int) address.Route { return over(device, "169.254.0.0/16", metric) }
	tests := []struct {
		name, link   string
		routes       []address.Route
		agent        error
		verdict      Verdict
		text, remedy string
	}{
		{"the agent's own", "br0", []address.Route{linkLocal("br0", 0)}, nil, Pass, "169.254.0.0/16 is reached over br0.", ""},
		{"beside those of dhcpcd", "eth0", []address.Route{linkLocal("docker0", 205), linkLocal("eth0", 0), linkLocal("veth1a2b3c4", 207)}, nil, Pass,
			"169.254.0.0/16 is reached over eth0.", ""},
		{"a VPN has it", "eth0", []address.Route{linkLocal("zt7abcdef", 0)}, nil, Fail,
			"169.254.0.0/16 is routed over zt7abcdef, and the other boards are behind eth0.",
			`turn link-local addresses off on zt7abcdef, or give interface = "zt7abcdef" in pi-agent.toml`},
		{"left behind by an agent that is off", "br0", []address.Route{linkLocal("eth0", 0)}, errors.New("off"), Fail,
			"169.254.0.0/16 is routed over eth0, and the other boards are behind br0.",
			"sudo systemctl restart pi-agent, and see journalctl -u pi-agent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := body(t)
			p.Link.Name, p.Agent, p.Routes = tt.link, tt.agent, routes(tt.routes...)
			want := Result{Check: "169.254 route", Verdict: tt.verdict, Text: tt.text, Remedy: tt.remedy}
			if diff := cmp.Diff([]Result{want}, checkLinkLocalRoute(t.Context(), p), cmp.AllowUnexported(Result{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
