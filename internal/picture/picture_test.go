package picture_test

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/picture"
)

var update = flag.Bool("update", false, "write the golden files in testdata anew")

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// class is a cluster in which something of everything is shown.
func class() picture.Picture {
	off := 7200.5
	addr := func(s ...string) (all []netip.Addr) {
		for _, a := range s {
			all = append(all, netip.MustParseAddr(a))
		}
		return all
	}
	const model = "Raspberry Pi 4 Model B Rev 1.4"
	p := picture.Picture{
		Version: picture.Version, Drawn: now, Cluster: "pi", Self: "10000000aabbcc05", Source: "pi-bbcc02",
		Doing: "This board is a worker in the swarm of pi-bbcc02.",
		Swarm: &picture.Swarm{
			ID: "nxfocrmkas0i9r920dd2ri0f9", Node: "xg42tbi2i5ihbtu1cnpuzxtz8", Managers: 1, Reachable: 1, Majority: true,
			CertDays: 90, RootEnds: now.AddDate(20, 0, 0), Pools: []netip.Prefix{netip.MustParsePrefix("10.128.0.0/16")},
		},
		Boards: []picture.Board{
			{Serial: "10000000aabbcc02", Name: "pi-bbcc02", Model: model, Addrs: addr("10.77.0.129", "169.254.83.187"),
				Node: "mzr1", At: netip.MustParseAddr("169.254.83.187"), Role: picture.Leader, State: picture.Ready, Engine: "26.1.5", Heard: now,
				Announced: true, Drained: true},
			{Serial: "10000000aabbcc05", Name: "pi-bbcc05", Model: model, Addrs: addr("10.77.0.130"),
				Node: "xg42tbi2i5ihbtu1cnpuzxtz8", Role: picture.Worker, State: picture.Ready, Engine: "26.1.5", Heard: now, Clock: &off},
			{Serial: "10000000aabbcc07", Name: "pi-bbcc07", Model: model, Addrs: addr("10.77.0.128"),
				Node: "my1b", Role: picture.Worker, State: picture.Down, Engine: "26.1.5", Heard: now.Add(-10 * time.Minute),
				Why: "Its agent has not been heard of for 10 min either: is it on, and on this network?"},
			{Serial: "10000000aabbcc08", Name: "pi-bbcc08", Addrs: addr("10.77.0.140"), State: picture.Out, Heard: now,
				Why: "Waiting for the Docker Engine: docker engine does not answer."},
		},
		Services: []picture.Service{
			{Name: "web", Image: "nginx:1", Wanted: 3, Running: 2, Tasks: []picture.Task{
				{ID: "t1", Slot: 1, Node: "mzr1", Board: "pi-bbcc02", State: "running", Since: now},
				{ID: "t2", Slot: 2, Node: "mzr1", Board: "pi-bbcc02", State: "running", Since: now},
				{ID: "t3", Slot: 3, Node: "xg42tbi2i5ihbtu1cnpuzxtz8", Board: "pi-bbcc05", State: "ready", Error: "creating vxlan interface: operation not supported", Since: now},
			}},
			{Name: "backup", Image: "alpine:3", Wanted: 1, Job: true, Tasks: []picture.Task{
				{ID: "t4", Slot: 1, Node: "mzr1", Board: "pi-bbcc02", State: "complete", Since: now},
			}},
		},
		Nearby: []picture.Nearby{{Serial: "10000000aabbcc09", Cluster: "class-b", Why: `It belongs to cluster "class-b".`}},
	}
	p.Judge()
	return p
}

// TestForm holds the form of JSON and of text to the files in testdata: others read both.
func TestForm(t *testing.T) {
	p := class()
	encoded, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var form any
	if err := json.Unmarshal(encoded, &form); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(form, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := p.Text(&text, now); err != nil {
		t.Fatal(err)
	}
	for path, got := range map[string]string{"testdata/v1.json": string(pretty) + "\n", "testdata/status.txt": text.String()} {
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs; go test ./internal/picture -update writes it (-want +got):\n%s", path, diff)
		}
	}
	back, err := picture.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(encoded) {
		t.Errorf("a picture that was read is another one: %s, %v", again, err)
	}
}

// TestEveryField holds the file that others read to learn the form of JSON to the type.
func TestEveryField(t *testing.T) {
	text, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(of.Elem())
		case reflect.Struct:
			for i := range of.NumField() {
				name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
				if name == "" {
					continue // it is a time or an address
				}
				if !strings.Contains(string(text), strconv.Quote(name)+":") {
					t.Errorf("v1.json lacks %s of %s", name, of)
				}
				look(of.Field(i).Type)
			}
		}
	}
	look(reflect.TypeFor[picture.Picture]())
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":2}`: "version 2", `{"version":`: "not understood", ``: "not understood", `{}`: "version 0",
		strings.Repeat(" ", picture.Max) + "{}": "at most",
	} {
		if _, err := picture.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

// A picture of whatever size stays within its bounds, and what other boards say does not move the cursor.
func TestBounds(t *testing.T) {
	p := class()
	evil := "\x1b[2J\t\u202e" + strings.Repeat("x", 10_000)
	for range 3000 {
		p.Boards = append(p.Boards, picture.Board{Name: "pi", State: picture.Down, Why: evil, Addrs: make([]netip.Addr, 100)})
		p.Services[0].Tasks = append(p.Services[0].Tasks, picture.Task{State: "failed", Error: evil})
		p.Nearby = append(p.Nearby, picture.Nearby{Serial: "1", Why: "no"})
	}
	encoded, err := p.Encode()
	if err != nil || len(encoded) > picture.Max {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	p = class()
	p.Boards[0].Name, p.Warnings[0].Text = evil, evil
	var text strings.Builder
	if err := p.Text(&text, now); err != nil || strings.ContainsAny(text.String(), "\x1b\u202e\t") {
		t.Errorf("%q, %v", text.String(), err)
	}
}

// TestWarnings changes a cluster in which all is well.
func TestWarnings(t *testing.T) {
	well := func() picture.Picture {
		p := class()
		p.Boards, p.Services, p.Swarm.CertDays = p.Boards[:2], nil, 1825
		p.Boards[1].Role, p.Boards[1].Clock, p.Swarm.Managers, p.Swarm.Reachable = picture.Manager, nil, 3, 3
		return p
	}
	tests := []struct {
		name    string
		change  func(*picture.Picture)
		want    string // the beginning of the one warning; empty for none
		trouble bool
	}{
		{"all is well", func(*picture.Picture) {}, "", false},
		{"in no swarm", func(p *picture.Picture) {
			p.Swarm, p.Boards[1].State, p.Boards[0].Role, p.Boards[0].State = nil, picture.Out, "", picture.Ready
			p.Boards[1].Why = "Looking for other boards."
		}, "pi-bbcc05 is not in the swarm. Looking", true},
		{"the agent needs help", func(p *picture.Picture) { p.Needs = true }, "This board is a worker", true},
		{"a board is down", func(p *picture.Picture) { p.Boards[0].State = picture.Down }, "pi-bbcc02 is down.", true},
		{"a board has a handicap", func(p *picture.Picture) { p.Boards[0].Why = "No multicast." }, "pi-bbcc02: No multicast.", false},
		{"no manager", func(p *picture.Picture) { p.Source = "" }, "No manager of the swarm answers", true},
		{"no majority", func(p *picture.Picture) { p.Source, p.Swarm.Leaderless = "", true }, "The managers of the swarm have no majority", true},
		{"a manager is gone", func(p *picture.Picture) { p.Swarm.Reachable = 2 }, "2 of 3 managers are reachable.", true},
		{"1 manager", func(p *picture.Picture) { p.Swarm.Managers, p.Swarm.Reachable, p.Boards[1].Role = 1, 1, picture.Worker },
			"1 manager: if pi-bbcc02 fails", false},
		{"2 managers", func(p *picture.Picture) { p.Swarm.Managers, p.Swarm.Reachable = 2, 2 }, "2 managers: if pi-bbcc02 or pi-bbcc05", false},
		{"certificates", func(p *picture.Picture) { p.Swarm.CertDays = 90 }, "Certificates of the nodes are valid for 90 days", false},
		{"authority", func(p *picture.Picture) { p.Swarm.RootEnds = now.AddDate(0, 1, 0) }, "The certificate authority of the swarm ends on 2026-12-23", true},
		{"clock", func(p *picture.Picture) { off := -10800.0; p.Boards[0].Clock = &off }, "The clock of pi-bbcc02 is 3 h behind.", false},
		{"a service", func(p *picture.Picture) { p.Services = class().Services }, "web runs 2 of 3 tasks: creating vxlan interface", true},
		{"a job", func(p *picture.Picture) { p.Services = class().Services; p.Services[0].Job = true }, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := well()
			tt.change(&p)
			p.Judge()
			if tt.want == "" && len(p.Warnings) == 0 {
				return
			}
			if len(p.Warnings) != 1 || tt.want == "" || !strings.HasPrefix(p.Warnings[0].Text, tt.want) || p.Trouble() != tt.trouble {
				t.Errorf("warnings %+v, want one that begins %q, trouble %v", p.Warnings, tt.want, tt.trouble)
			}
		})
	}
	p := class()
	if text := p.Warnings[2].Remedy; !strings.Contains(text, "linux-modules-extra-raspi") {
		t.Errorf("a kernel without vxlan: %q", text)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 90 * time.Second: "90 s", 10 * time.Minute: "10 min", 3 * time.Hour: "3 h", 90 * 24 * time.Hour: "90 days",
	} {
		if got := picture.Ago(d); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
}
