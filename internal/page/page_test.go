package page

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap/zaptest"

	"github.com/pi-agent/pi-agent/internal/picture"
)

// pipes is a network of one server, without sockets, so that its time may be virtual.
type pipes struct {
	calls chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// site is a Server, its browser, and what it shows.
type site struct {
	client  *http.Client
	stop    func()
	drawn   atomic.Int32
	shown   atomic.Pointer[picture.Picture]
	browser *http.Transport
	bodies  []io.Closer // of streams
}

// newSite starts a server that ends with the test. Inside synctest, a goroutine that it leaves behind fails the test.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	s.shown.Store(class())
	server := &Server{
		Picture: func(context.Context) picture.Picture { s.drawn.Add(1); return *s.shown.Load() },
		Names:   func() []string { return []string{"pi-bbcc02"} }, Log: zaptest.NewLogger(t),
	}
	p := pipes{make(chan net.Conn), make(chan struct{})}
	s.browser = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case p.calls <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	s.client = &http.Client{Transport: s.browser}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.serve(ctx, p) }()
	s.stop = func() {
		cancel()
		for _, b := range s.bodies {
			_ = b.Close() // most often again
		}
		s.browser.CloseIdleConnections()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return s
}

func (s *site) get(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s *site) text(t *testing.T, url string, header ...string) (string, *http.Response) {
	t.Helper()
	res := s.get(t, url, header...)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(b), res
}

func class() *picture.Picture {
	off, now := -7200.5, time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	p := &picture.Picture{
		Drawn: now, Cluster: "pi", Self: "10000000aabbcc02", Source: "pi-bbcc02",
		Swarm: &picture.Swarm{ID: "s", Managers: 1, Reachable: 1, Majority: true, RootEnds: now.AddDate(20, 0, 0)},
		Boards: []picture.Board{
			{Serial: "10000000aabbcc02", Name: "pi-bbcc02", Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.129")}, Node: "n2",
				Role: picture.Leader, State: picture.Ready, Heard: now},
			{Serial: "10000000aabbcc05", Name: `pi"\5`, Node: "n5", Role: picture.Worker, State: picture.Down, Clock: &off,
				Heard: now},
		},
		Services: []picture.Service{{Name: "web", Wanted: 4, Running: 3,
			Tasks: []picture.Task{{ID: "t", Slot: 1, Node: "n2", Board: "pi-bbcc02", State: "running"}}}},
	}
	p.Judge()
	return p
}

func TestPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		defer s.stop()
		for file, kind := range map[string]string{
			"": "text/html", "page.css": "text/css", "page.js": "text/javascript", "words.js": "text/javascript", "icon.svg": "image/svg+xml", "metrics": "text/plain",
		} {
			text, res := s.text(t, "http://10.77.0.129:7380/"+file)
			if res.StatusCode != http.StatusOK || len(text) < 100 || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) {
				t.Errorf("/%s: %s, %d bytes of %s", file, res.Status, len(text), res.Header.Get("Content-Type"))
			}
			for name, want := range headers {
				if got := res.Header.Get(name); got != want {
					t.Errorf("/%s: %s is %q, want %q", file, name, got, want)
				}
			}
		}
		if s.drawn.Load() != 1 {
			t.Errorf("%d pictures were drawn for the metrics", s.drawn.Load())
		}
		for accept, lang := range map[string]string{"": "en", "es-MX,es;q=0.9,en;q=0.8": "es",
			"fr, en-GB;q=0.5, es;q=0.4": "en", "de": "en"} {
			if text, _ := s.text(t, "http://localhost/", "Accept-Language", accept); !strings.Contains(text,
				`<html lang="`+lang+`">`) {
				t.Errorf("Accept-Language %q is not answered in %q", accept, lang)
			}
		}
		if _, res := s.text(t, "http://evil.example/events"); res.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("another name: %s", res.Status)
		}
		if _, res := s.text(t, "http://localhost/web/page.js"); res.StatusCode != http.StatusNotFound {
			t.Errorf("another file: %s", res.Status)
		}
		res, err := s.client.Post("http://localhost/", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST: %s, %v", res.Status, err)
		}
	})
}

func TestOurs(t *testing.T) {
	names := []string{"pi-bbcc02", "Class-Pi", "", "pi1.example.org"}
	domains := func() []string {
		return searched("domain old.example.com\nsearch school.example.net Lan.example.net. com Router. app es\n")
	}
	for host, want := range map[string]bool{
		"10.77.0.129:7380": true, "[fe80::1]:7380": true, "[fe80::1]": true, "localhost:7380": true, "pi-bbcc02": true, "PI-bbcc02.local.:7380": true,
		"class-pi.lan": true, "class-pi.home.arpa": true,
		// The board's own full name, and the names that it goes by on its network.
		"pi1.example.org": true, "PI1.Example.ORG.:7380": true, "pi1.local": true, "pi1": true, "pi1.fritz.box": true,
		"pi-bbcc02.fritz.box": true, "pi-bbcc02.home": true, "pi-bbcc02.localdomain": true, "pi-bbcc02.internal": true,
		"pi-bbcc02.home.lan": true, "pi-bbcc02.room-12.home.arpa": true, "pi-bbcc02.speedport.ip": true, "pi-bbcc02-2.local": true,
		"pi-bbcc02.unifi": true, "PI-bbcc02.UniFi:7380": true, "pi1.unifi": true, "pi-bbcc02.dlink": true, "pi-bbcc02.router": true,
		"pi-bbcc02.school.example.net": true, "pi-bbcc02.lan.example.net": true,
		// What somebody else may have made.
		"pi1.example.com": false, "pi1.example.org.evil.example": false, "example.org": false, "pi2.example.org": false, "pi-bbcc02.example.org": false,
		"pi-bbcc02.box": false, "pi-bbcc02.evil.box": false, "pi-bbcc02.my.fritz.box": false, "fritz.box": false, "pi-bbcc02.com": false,
		"unifi": false, "pi2.unifi": false, "pi-bbcc02.evil.unifi": false, "pi-bbcc02.unifi.evil.example": false,
		"pi-bbcc02.gateway": false, "pi-bbcc02.evil.router": false, "router": false, "pi-bbcc02.app": false, "pi-bbcc02.es": false,
		"evil.school.example.net": false, "pi-bbcc02.evil.school.example.net": false, "pi-bbcc02.old.example.com": false,
		"pi-bbcc02.local.evil.example": false, "pi-bbcc02.evillocal": false, "pi-bbcc02.evil.arpa": false, "pi-bbcc02-2.lan": false,
		"pi-bbcc02-evil.local": false, "pi-bbcc02-.local": false, "pi-bbcc02..local": false, "pi-bbcc02.": true, "pi-bbcc02..": false,
		"evil.example:7380": false, "pi-bbcc02.evil.example": false, "class-pi.com": false, "": false, ":7380": false, ".local": false, "pi": false,
		"10.77.0.129.evil.example": false, "localhost.evil.example": false,
	} {
		if got := ours(host, names, domains); got != want {
			t.Errorf("ours(%q) = %v", host, got)
		}
	}
}

func TestSearched(t *testing.T) {
	for text, want := range map[string]string{
		"nameserver 192.168.178.1\nsearch fritz.box\n": "fritz.box",
		"search lan\n": "",
		"# search a.example\n;search b.example\n": "",
		"search a.example b.example\nsearch\n":    "a.example b.example",
		"search a.example\ndomain C.example.\n":   "c.example",
		"search . .. com. .com de\n":              "",
		"search Gateway. gateways app es\n":       "gateway",
		"":                                        "",
	} {
		if got := strings.Join(searched(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if got := Domains(path); got != nil {
		t.Errorf("without a file: %q", got)
	}
	if err := os.WriteFile(path, []byte("search school.example.net"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Domains(path); len(got) != 1 || got[0] != "school.example.net" {
		t.Errorf("%q", got)
	}
}

// No name in a domain that somebody else has opens the page, whatever the board is called and the network says.
func FuzzOurs(f *testing.F) {
	f.Add("pi-bbcc02.", "pi1.example.org", "search school.example.net")
	f.Add("[::1]:80", "", "domain .")
	f.Fuzz(func(t *testing.T, host, name, resolver string) {
		domains := func() []string { return searched(resolver) }
		ours(host, []string{name}, domains)
		evil := host + ".evil.example"
		of := func(d string) bool { return strings.HasSuffix(canonical(d), "evil.example") }
		if !of(name) && !slices.ContainsFunc(domains(), of) && ours(evil, []string{name}, domains) {
			t.Errorf("%q opens the page of %q", evil, name)
		}
	})
}

// stream reads what a page is told.
type stream struct {
	res   *http.Response
	lines *bufio.Scanner
}

// next is the next event and its data.
func (s stream) next(t *testing.T) (event, data string) {
	t.Helper()
	for s.lines.Scan() {
		switch name, value, _ := strings.Cut(s.lines.Text(), ": "); name {
		case "event":
			event = value
		case "data":
			data = value
		case "":
			return event, data
		}
	}
	t.Fatalf("the stream ends: %v", s.lines.Err())
	return "", ""
}

func (s *site) stream(t *testing.T) stream {
	t.Helper()
	res := s.get(t, "http://localhost/events")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, picture.Max)
	s.bodies = append(s.bodies, res.Body)
	return stream{res, lines}
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		defer s.stop()
		time.Sleep(time.Hour)
		if n := s.drawn.Load(); n != 0 {
			t.Errorf("%d pictures were drawn though nobody looks", n)
		}
		a, b := s.stream(t), s.stream(t)
		for _, st := range []stream{a, b} {
			event, data := st.next(t)
			p, err := picture.Decode([]byte(data))
			if event != "picture" || err != nil || len(p.Boards) != 2 {
				t.Errorf("the first event is %q, %v", event, err)
			}
		}
		begun := time.Now()
		if event, _ := a.next(t); event != "beat" || time.Since(begun) != beat {
			t.Errorf("%q after %v, want a beat after %v", event, time.Since(begun), beat)
		}
		if event, _ := b.next(t); event != "beat" {
			t.Errorf("the other stream has %q", event)
		}
		later := class()
		later.Drawn, later.Boards[0].Heard, later.Boards[1].Heard = time.Now(), time.Now(), time.Now() // is no news
		s.shown.Store(later)
		if event, _ := a.next(t); event != "beat" {
			t.Errorf("what changes all the time is sent: %q", event)
		}
		if event, _ := b.next(t); event != "beat" {
			t.Errorf("the other stream has %q", event)
		}
		moved := class()
		moved.Services[0].Tasks[0].Board = "pi-bbcc05"
		s.shown.Store(moved)
		begun = time.Now()
		if event, data := a.next(t); event != "picture" || !strings.Contains(data, `"board":"pi-bbcc05"`) ||
			time.Since(begun) > pace {
			t.Errorf("a task that moved: %q after %v", event, time.Since(begun))
		}
		if event, _ := b.next(t); event != "picture" {
			t.Errorf("the other stream has %q", event)
		}
		if n, most := s.drawn.Load(), int32(2*beat/pace)+3; n > most {
			t.Errorf("%d pictures were drawn for two pages, want at most %d", n, most)
		}
		for _, st := range []stream{a, b} {
			if err := st.res.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(pace)
		before := s.drawn.Load()
		time.Sleep(time.Hour)
		if n := s.drawn.Load(); n != before {
			t.Errorf("%d pictures were drawn after the last page was closed", n-before)
		}
	})
}

// A page that is asleep does not hold what a small board needs, and no more pages are served than it can.
func TestStreamBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		defer s.stop()
		all := make([]stream, streams)
		for i := range all {
			all[i] = s.stream(t)
			all[i].next(t)
		}
		if text, res := s.text(t, "http://localhost/events"); res.StatusCode != http.StatusServiceUnavailable ||
			res.Header.Get("Retry-After") == "" {
			t.Errorf("one page more: %s %s", res.Status, text)
		}
		time.Sleep(time.Minute) // none of them reads a beat: the pipe takes none
		st := s.stream(t)
		if event, _ := st.next(t); event != "picture" {
			t.Errorf("after the others slept: %q", event)
		}
	})
}

// TestMetrics holds the metrics to the rules of Prometheus, by its own linter.
func TestMetrics(t *testing.T) {
	var b strings.Builder
	writeMetrics(&b, *class())
	problems, err := promlint.New(strings.NewReader(b.String())).Lint()
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		"pi_agent_boards{state=\"ready\"} 1\n", "pi_agent_boards{state=\"down\"} 1\n", "pi_agent_boards{state=\"out\"} 0\n", "pi_agent_troubles 2\n",
		"pi_agent_managers_reachable 1\n", "pi_agent_service_tasks_wanted{service=\"web\"} 4\n", "pi_agent_service_tasks_running{service=\"web\"} 3\n",
		`pi_agent_clock_offset_seconds{board="pi\"\\5",serial="10000000aabbcc05"} -7200.5` + "\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// The page has nothing from elsewhere, and nothing that its own headers forbid.
func TestFiles(t *testing.T) {
	files, err := os.ReadDir("web")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range files {
		b, err := os.ReadFile(path.Join("web", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
		text := strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", "")
		if found := regexp.MustCompile(`https?://[a-z]|@import|innerHTML|<style|style="|onclick|<script>`).FindString(text); found != "" {
			t.Errorf("%s has %q", f.Name(), found)
		}
	}
	if total > 56<<10 {
		t.Errorf("the page has %d bytes", total)
	}
}
