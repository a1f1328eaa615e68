package picture_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
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
		Version: picture.Version, Drawn: now, Cluster: "pi", Self: "10000000aabbcc05", Interface: "eth0", Source: "pi-bbcc02",
		Doing: say.Worker.With("pi-bbcc02").Dot(),
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
				Why: say.DownUnheard.With(10 * time.Minute)},
			{Serial: "10000000aabbcc08", Name: "pi-bbcc08", Addrs: addr("10.77.0.140"), State: picture.Out, Heard: now,
				Why: say.EngineWait.With(say.EngineSilent.With()).Dot()},
		},
		Services: []picture.Service{
			{Name: "web", Image: "nginx:1", Wanted: 3, Running: 2, Tasks: []picture.Task{
				{ID: "t1", Slot: 1, Node: "mzr1", Board: "pi-bbcc02", State: "running", Since: now},
				{ID: "t2", Slot: 2, Node: "mzr1", Board: "pi-bbcc02", State: "running", Since: now},
				{ID: "t3", Slot: 3, Node: "xg42tbi2i5ihbtu1cnpuzxtz8", Board: "pi-bbcc05", State: "ready",
					Error: "creating vxlan interface: operation not supported", ErrorBoard: "pi-bbcc05", Since: now},
			}},
			{Name: "backup", Image: "alpine:3", Wanted: 1, Job: true, Tasks: []picture.Task{
				{ID: "t4", Slot: 1, Node: "mzr1", Board: "pi-bbcc02", State: "complete", Since: now},
			}},
		},
		StackErrors: []say.Text{say.StackRefused.With("blog",
			"/etc/pi-agent/stacks/blog.yml:6: services.blog.ports must be a list")},
		StackAdvice: []say.Text{say.StackLacks.With("home", "home", "devices and privileged", "/etc/pi-agent/stacks/home.yml",
			8)},
		Nearby: []picture.Nearby{{Serial: "10000000aabbcc09", Cluster: "class-b",
			Why: say.OtherCluster.With("class-b")}},
	}
	p.Judge()
	p.Warnings = append(p.Warnings, picture.Warning{
		Text:   say.PortTaken.With(2377, "tcp", "nc (7)", say.ForManagers.With()),
		Remedy: say.Join("", say.StopProgram.With(), say.ThenRestart.With()), Trouble: true, Port: "2377/tcp",
	})
	return p
}

func textOf(t *testing.T, p picture.Picture) string {
	t.Helper()
	var text strings.Builder
	if err := p.Text(&text, now); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// classroom is a cluster of 30 boards, of which some are in trouble.
func classroom() picture.Picture {
	p := picture.Picture{
		Version: picture.Version, Drawn: now, Cluster: "room-12", Keyed: true, Self: "10000000aabbcc10", Source: "pi-bbcc01",
		Swarm: &picture.Swarm{ID: "nxfocrmkas0i9r920dd2ri0f9", Node: "n16", Managers: 3, Reachable: 2, Majority: true,
			CertDays: 1825},
		Services: []picture.Service{
			{Name: "web", Image: "nginx:1.27-alpine", Wanted: 60}, {Name: "visualizer", Image: "dockersamples/visualizer:latest",
				Wanted: 1},
			{Name: "whoami", Image: "traefik/whoami:v1.10", Wanted: 4},
		},
	}
	for i := range 30 {
		serial := peer.Serial(fmt.Sprintf("10000000aabbcc%02x", i+1))
		b := picture.Board{
			Serial: serial, Name: serial.Name(), Model: "Raspberry Pi 4 Model B Rev 1.4", Node: fmt.Sprintf("n%d",
				i+1), Role: picture.Worker,
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 168, 178,
				byte(101 + i)})}, State: picture.Ready, Engine: "26.1.5", Heard: now,
		}
		switch i {
		case 0:
			b.Role = picture.Leader
		case 1, 2:
			b.Role = picture.Manager
		case 5:
			b.Drained, b.Model = true, "Raspberry Pi Zero 2 W Rev 1.0"
		case 8:
			b.Name, b.Model = "teacher", "Raspberry Pi 5 Model B Rev 1.0"
		case 11:
			off := -3600.0
			b.Clock = &off
		case 13:
			b.Why = say.Unicast.With()
		case 20:
			b.Heard = now.Add(-25 * time.Minute) // its agent does not run
		case 27, 28, 29:
			b.Node, b.Role, b.State, b.Engine = "", "", picture.Out, ""
			b.Why = say.EngineWait.With(say.EngineSilent.With()).Dot()
		}
		if i == 2 || i == 22 || i == 23 {
			b.State, b.Heard = picture.Down, now.Add(-time.Duration(i)*time.Hour)
			b.Why = say.DownUnheard.With(time.Duration(i) * time.Hour)
		}
		p.Boards = append(p.Boards, b)
		for s, n := range []int{2, i / 29, i % 2 * (30 - i) / 23} {
			for range n {
				if b.State == picture.Ready {
					p.Services[s].Running++
					p.Services[s].Tasks = append(p.Services[s].Tasks,
						picture.Task{Slot: p.Services[s].Running, Node: b.Node, Board: b.Name, State: "running"})
				}
			}
		}
	}
	p.Judge()
	return p
}

// A table wraps on no screen of 100 columns. Sentences may: a line is one of them, for whoever looks for a word.
func TestTablesAreNarrow(t *testing.T) {
	lines := 0
	for line := range strings.Lines(textOf(t, classroom())) {
		if !strings.HasPrefix(line, "! ") && !strings.HasPrefix(line, "- ") {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("%d columns: %s", n, line)
			}
			lines++
		}
	}
	if lines < 30 {
		t.Errorf("%d lines for 30 boards", lines)
	}
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
	many, err := classroom().Encode() // what the page is tried with
	if err != nil {
		t.Fatal(err)
	}
	for path, got := range map[string]string{
		"testdata/v1.json": string(pretty) + "\n", "testdata/status.txt": textOf(t, p),
		"testdata/classroom.txt": textOf(t, classroom()), "testdata/classroom.json": string(many) + "\n",
	} {
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

// What keeps a board from any swarm is said once, as the trouble that it is.
// Parsers quote what they were given, which a manager may have made long.
func TestDecodeIsBrief(t *testing.T) {
	_, err := picture.Decode(fmt.Appendf(nil, `{"version":1,"drawn":"%s"}`, strings.Repeat("ä", 10_000)))
	if err == nil || len(err.Error()) > 600 || !utf8.ValidString(err.Error()) {
		t.Errorf("%d bytes: %.80v", len(err.Error()), err)
	}
}

func TestOwnTrouble(t *testing.T) {
	const deaf = "This board does not hear its own announcements: put that right."
	p := picture.Picture{
		Drawn: now, Cluster: "pi", Self: "10000000aabbcc05", Doing: say.Words(deaf), Needs: true,
		Boards: []picture.Board{{Serial: "10000000aabbcc05", Name: "pi-bbcc05", State: picture.Out, Heard: now,
			Why: say.Words(deaf)}},
	}
	for why, want := range map[string]string{
		deaf: "", "": "",
		"Its last attempt failed: no route.": "! pi-bbcc05 is not in the swarm. Its last attempt failed: no route.\n",
	} {
		p.Boards[0].Why = say.Words(why)
		p.Judge()
		text := textOf(t, p)
		if table := "! " + deaf + "\n\n  BOARD"; !strings.HasPrefix(text, table) || strings.Count(text, deaf) != 1 ||
			!strings.HasSuffix(text, want) ||
			strings.Contains(text, "\n- ") || want == "" && strings.Contains(text, "\n! ") {
			t.Errorf("with %q: %s", why, text)
		}
		if !p.Trouble() || p.Warnings[0].Text.En != deaf {
			t.Errorf("with %q: %+v", why, p.Warnings)
		}
	}
	p.Needs, p.Doing, p.Boards[0].Why = false, say.Words("Looking for other boards."), say.Words("Looking for other boards.")
	p.Judge()
	if text := textOf(t, p); !strings.HasPrefix(text, p.Doing.En) {
		t.Errorf("where nothing is wrong: %s", text)
	}
}

// A picture of whatever size stays within its bounds, and what other boards say does not move the cursor.
func TestBounds(t *testing.T) {
	p := class()
	evil := "\x1b[2J\t\u202e" + strings.Repeat("x", 10_000)
	for range 3000 {
		p.Boards = append(p.Boards,
			picture.Board{Name: "pi", State: picture.Down, Why: say.Words(evil), Addrs: make([]netip.Addr, 100)})
		p.Services[0].Tasks = append(p.Services[0].Tasks, picture.Task{State: "failed", Error: evil})
		p.Nearby = append(p.Nearby, picture.Nearby{Serial: "1", Why: say.Words("no")})
	}
	encoded, err := p.Encode()
	if err != nil || len(encoded) > picture.Max {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	// JSON writes each of these characters in six bytes, and many boards may all be strangers.
	p = class()
	p.Doing, p.Cluster = say.Words(strings.Repeat("<", 10_000)), strings.Repeat("&", 10_000)
	for i := range 300 {
		long := strings.Repeat("<", 2000)
		p.Boards = append(p.Boards, picture.Board{Name: long, Model: long, State: picture.Out, Why: say.Words(fmt.Sprint(i) + long)})
		p.Nearby = append(p.Nearby, picture.Nearby{Serial: "1", Cluster: long, Why: say.Words(long)})
		p.Warnings = append(p.Warnings, picture.Warning{Text: say.Words(long), Remedy: say.Words(long)})
	}
	encoded, err = p.Encode()
	if err != nil || len(encoded) > picture.Max {
		t.Errorf("%d bytes of hostile boards, %v", len(encoded), err)
	}
	if read, err := picture.Decode(encoded); err != nil || len(read.Boards) != 256 || len(read.Warnings) < 300 {
		t.Errorf("%d boards, %d warnings, %v", len(read.Boards), len(read.Warnings), err)
	}
	p = class()
	for range 3000 {
		p.StackErrors, p.StackAdvice = append(p.StackErrors, say.Words(evil)), append(p.StackAdvice, say.Words(evil))
	}
	p.Judge()
	encoded, err = p.Encode()
	if err != nil || len(encoded) > 50_000 {
		t.Errorf("%d bytes with what is wrong with stacks, %v", len(encoded), err)
	}
	p = class()
	p.Boards[0].Why, p.StackErrors, p.Services[0].Tasks[0].Error = say.Words("x"+strings.Repeat("ä",
		300)), []say.Text{say.Words(strings.Repeat("日", 300))}, strings.Repeat("🍓", 300)
	encoded, err = p.Encode()
	if err != nil || strings.ContainsRune(string(encoded), '\ufffd') || strings.Contains(string(encoded), `\ufffd`) {
		t.Errorf("a character is cut in two, %v: %s", err, encoded)
	}
	p = class()
	p.Boards[0].Name, p.Warnings[0].Text = evil, say.Words(evil)
	if text := textOf(t, p); strings.ContainsAny(text, "\x1b\u202e\t") {
		t.Errorf("%q", text)
	}
}

// TestWarnings changes a cluster in which all is well.
func TestWarnings(t *testing.T) {
	well := func() picture.Picture {
		p := class()
		p.Boards, p.Services, p.StackErrors, p.StackAdvice, p.Swarm.CertDays = p.Boards[:2], nil, nil, nil, 1825
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
			p.Boards[1].Why = say.Words("Looking for other boards.")
		}, "pi-bbcc05 is not in the swarm. Looking", true},
		{"the agent needs help", func(p *picture.Picture) { p.Needs = true }, "This board is a worker", true},
		{"a board is down", func(p *picture.Picture) { p.Boards[0].State = picture.Down }, "pi-bbcc02 is down.", true},
		{"a board has a handicap", func(p *picture.Picture) { p.Boards[0].Why = say.Words("No multicast.") },
			"pi-bbcc02: No multicast.", false},
		{"all boards have the same one", func(p *picture.Picture) {
			p.Boards[0].Why, p.Boards[1].Why = say.Words("No multicast."), say.Words("No multicast.")
		},
			"pi-bbcc02, pi-bbcc05: No multicast.", false},
		{"a swarm that is lost", func(p *picture.Picture) {
			p.Source, p.Swarm.Lost, p.Needs, p.Doing = "", true, true, say.Words("It is lost.")
		},
			"It is lost.", true},
		{"what the agent needs help with is said of another board, too", func(p *picture.Picture) {
			p.Source, p.Swarm.Lost, p.Needs, p.Doing = "", true, true, say.Words("It is lost.")
			p.Boards[0].State, p.Boards[0].Why = picture.Out, say.Words("It is lost.")
		}, "It is lost.", true},
		{"no manager", func(p *picture.Picture) { p.Source = "" }, "No manager of the swarm answers", true},
		{"no majority", func(p *picture.Picture) { p.Source, p.Swarm.Leaderless = "", true },
			"The managers of the swarm have no majority", true},
		{"a manager is gone", func(p *picture.Picture) { p.Swarm.Reachable = 2 }, "2 of 3 managers are reachable.", true},
		{"1 manager", func(p *picture.Picture) {
			p.Swarm.Managers, p.Swarm.Reachable, p.Boards[1].Role = 1, 1,
				picture.Worker
		},
			"1 manager: if pi-bbcc02 fails", false},
		{"1 manager of 3 boards", func(p *picture.Picture) {
			p.Swarm.Managers, p.Swarm.Reachable, p.Boards[1].Role = 1, 1, picture.Worker
			p.Boards = append(p.Boards, p.Boards[1])
		}, "1 manager: if pi-bbcc02 fails", false},
		{"2 managers", func(p *picture.Picture) { p.Swarm.Managers, p.Swarm.Reachable = 2, 2 },
			"2 managers: if pi-bbcc02 or pi-bbcc05", false},
		{"certificates", func(p *picture.Picture) { p.Swarm.CertDays = 90 },
			"Certificates of the nodes are valid for 90 days", false},
		{"authority", func(p *picture.Picture) { p.Swarm.RootEnds = now.AddDate(0, 1, 0) },
			"The certificate authority of the swarm ends on 2026-12-23", true},
		{"clock", func(p *picture.Picture) { off := -10800.0; p.Boards[0].Clock = &off },
			"The clock of pi-bbcc02 is 3 h behind.", false},
		{"a service", func(p *picture.Picture) { p.Services = class().Services },
			"web runs 2 of 3 tasks: creating vxlan interface", true},
		{"another service", func(p *picture.Picture) {
			p.Services = []picture.Service{{Name: "web", Wanted: 2, Running: 1,
				Tasks: []picture.Task{{Error: "no suitable node"}}}}
		}, "web runs 1 of 2 tasks: no suitable node.", true},
		{"an image that is not there", func(p *picture.Picture) {
			p.Services = []picture.Service{{Name: "web", Wanted: 3, Running: 1, Tasks: []picture.Task{
				{State: "running", Board: "pi-bbcc02"},
				{State: "preparing", Board: "pi-bbcc02", Error: "No such image: nginx:nope@sha256:0", ErrorBoard: "pi-bbcc05"},
				{State: "rejected", Board: "pi-bbcc06", Error: "No such image: nginx:nope@sha256:0"},
			}}}
		}, "web runs 1 of 3 tasks: there is no image nginx:nope on pi-bbcc05, pi-bbcc06.", true},
		{"two reasons", func(p *picture.Picture) {
			p.Services = []picture.Service{{Name: "web", Wanted: 2, Tasks: []picture.Task{
				{State: "rejected", Board: "pi-bbcc02", Error: "No such image: nginx:nope"},
				{State: "failed", Board: "pi-bbcc05", Error: "task: non-zero exit (1)"},
			}}}
		}, "web runs 0 of 2 tasks: there is no image nginx:nope on pi-bbcc02: task: non-zero exit (1) on pi-bbcc05.", true},
		{"an image that comes", func(p *picture.Picture) {
			p.Services = []picture.Service{{Name: "web", Image: "nginx:1", Wanted: 1,
				Tasks: []picture.Task{{State: "preparing", Board: "pi-bbcc02"}}}}
		}, "web runs 0 of 1 tasks: nginx:1 is being fetched on pi-bbcc02.", true},
		{"a job", func(p *picture.Picture) { p.Services = class().Services[1:] }, "", false},
		{"a stack", func(p *picture.Picture) { p.StackErrors = class().StackErrors }, "Stack blog is not deployed: /etc/",
			true},
		{"advice on a stack", func(p *picture.Picture) { p.StackAdvice = class().StackAdvice },
			"Stack home: service home runs without devices", false},
	}
	said := map[string]bool{}
	played := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			played++
			p := well()
			tt.change(&p)
			p.Judge()
			for _, w := range p.Warnings {
				said[w.Text.Code], said[w.Remedy.Code] = true, true
			}
			if tt.want == "" && len(p.Warnings) == 0 {
				return
			}
			if len(p.Warnings) != 1 || tt.want == "" || !strings.HasPrefix(p.Warnings[0].Text.En, tt.want) ||
				p.Trouble() != tt.trouble {
				t.Errorf("warnings %+v, want one that begins %q, trouble %v", p.Warnings, tt.want, tt.trouble)
			}
		})
	}
	if played < len(tests) || t.Failed() { // only some were asked for
		return
	}
	// and seen in the cases above
	within := []string{"know-no-image", "know-task-fault", "know-task-fault-on", "know-fetching"}
	for _, code := range say.Codes("know-") {
		if !said[code] && !slices.Contains(within, code) {
			t.Errorf("no case warns of %s", code)
		}
	}
}
