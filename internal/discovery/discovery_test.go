package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// lan is a link in memory. What one socket sends, all of them hear, the sender included.
type lan struct {
	cluster Cluster // of the boards that join; the zero Cluster is "pi" without a key

	mu      sync.Mutex
	sockets []*lanConn
	log     []sent
	lost    func() bool // whether a packet misses one receiver; nil is never
	openErr error
	sendErr func(from netip.Addr) error // nil sends everything
}

type sent struct {
	at   time.Time
	from netip.Addr
	msg  *dns.Msg
}

type lanConn struct {
	lan    *lan
	in     chan packet
	closed chan struct{}
	fail   chan error
}

func (l *lan) open(address.Link) (conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.openErr != nil {
		return nil, l.openErr
	}
	c := &lanConn{lan: l, in: make(chan packet, 1000), closed: make(chan struct{}), fail: make(chan error, 1)}
	l.sockets = append(l.sockets, c)
	return c, nil
}

func (l *lan) deliver(p packet) {
	for _, c := range l.sockets {
		if l.lost != nil && l.lost() {
			continue
		}
		select {
		case c.in <- p:
		default:
		}
	}
}

// inject delivers a packet that no socket of the lan sent.
func (l *lan) inject(from string, ttl int, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliver(packet{from: netip.MustParseAddrPort(from), ttl: ttl, data: data})
}

// since returns what addr has sent after start.
func (l *lan) since(start time.Time, addr string) []sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.log), func(s sent) bool {
		return s.at.Before(start) || s.from != netip.MustParseAddr(addr)
	})
}

func (c *lanConn) Receive() (packet, error) {
	select {
	case p := <-c.in:
		return p, nil
	case err := <-c.fail:
		return packet{}, err
	case <-c.closed:
		return packet{}, errors.New("closed")
	}
}

func (c *lanConn) Send(data []byte, from netip.Addr) error {
	msg := new(dns.Msg)
	if err := msg.Unpack(data); err != nil {
		return err
	}
	c.lan.mu.Lock()
	defer c.lan.mu.Unlock()
	if c.lan.sendErr != nil {
		if err := c.lan.sendErr(from); err != nil {
			return err
		}
	}
	c.lan.log = append(c.lan.log, sent{time.Now(), from, msg})
	c.lan.deliver(packet{from: netip.AddrPortFrom(from, mdnsPort), ttl: mdnsTTL, data: data})
	return nil
}

func (c *lanConn) Close() error {
	c.lan.mu.Lock()
	defer c.lan.mu.Unlock()
	close(c.closed)
	c.lan.sockets = slices.DeleteFunc(c.lan.sockets, func(o *lanConn) bool { return o == c })
	return nil
}

type fakeResponder struct{}

func (fakeResponder) Shutdown() error { return nil }

// board is a service on a lan.
type board struct {
	*Service
	lan   *lan
	addr  string
	own   map[netip.Addr]bool // addresses of the machine, besides the one of the link
	logs  *observer.ObservedLogs
	stop  context.CancelFunc
	ended chan error
}

func (l *lan) join(t *testing.T, serial peer.Serial, addr string) *board {
	t.Helper()
	b := &board{lan: l, addr: addr, own: map[netip.Addr]bool{}, ended: make(chan error, 1)}
	core, logs := observer.New(zap.InfoLevel)
	b.logs = logs
	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)).WithOptions(
		zap.WrapCore(func(c zapcore.Core) zapcore.Core { return zapcore.NewTee(c, core) }))
	cluster, claim := l.cluster, claimFor(serial, peer.Blank)
	if cluster.Name == "" {
		cluster.Name = claim.Cluster
	}
	claim.Cluster, claim.Tag = cluster.Name, cluster.Tag
	b.Service = newService(cluster, log, network{
		open:  l.open,
		serve: func(address.Link, mdns.Zone) (responder, error) { return fakeResponder{}, nil },
		local: func(a netip.Addr) (bool, error) { return b.own[a], nil },
		near:  theLink,
	})
	b.SetLink(linkAt(addr))
	b.SetClaim(claim)
	var ctx context.Context
	ctx, b.stop = context.WithCancel(t.Context())
	go func() { b.ended <- b.Run(ctx) }()
	<-b.Ready()
	return b
}

// theLink has the networks of the addresses in the tests.
func theLink(address.Link) ([]netip.Prefix, error) {
	return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.0.0/16")}, nil
}

func linkAt(addr string) address.Link {
	return address.Link{Name: "eth0", Index: 2, Addr: netip.MustParseAddr(addr)}
}

func (b *board) leave(t *testing.T) {
	t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func (b *board) sees() string { return text(b.Snapshot().Hints) }

// text writes hints such as "10000000aabbcc02 blank 192.0.2.2:2378".
func text(hints []Hint) string {
	var all []string
	for _, h := range hints {
		all = append(all, fmt.Sprintf("%s %s %s", h.Claim.Serial, h.Claim.State, h.Addr))
	}
	return strings.Join(all, ", ")
}

// hasChanged takes the signal, if there is one.
func (b *board) hasChanged() bool {
	select {
	case <-b.Changed():
		return true
	default:
		return false
	}
}

func pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func wantSees(t *testing.T, b *board, want string) {
	t.Helper()
	if got := b.sees(); got != want {
		t.Errorf("%s sees %q, want %q", b.addr, got, want)
	}
}

const (
	addrA, addrB = "192.0.2.1", "192.0.2.2"
	blankA       = "10000000aabbcc01 blank 192.0.2.1:2378"
	blankB       = "10000000aabbcc02 blank 192.0.2.2:2378"
)

func TestTwoBoardsFindEachOtherAndSayGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		pass(10 * time.Minute)
		if !a.hasChanged() {
			t.Error("no signal although the board heard itself")
		}
		if s := a.Snapshot(); s.SelfHeard.IsZero() || s.Hints != nil || s.Duplicates != nil {
			t.Errorf("alone: %+v", s)
		}
		b := l.join(t, serialB, addrB)
		pass(2 * time.Second)
		wantSees(t, a, blankB)
		wantSees(t, b, blankA) // without asking

		pass(10 * time.Minute)
		for len(l.since(time.Now().Add(-announceGap), addrB)) > 0 {
			pass(announceGap) // so that the rate limit is not in the way
		}
		a.hasChanged()
		start := time.Now()
		b.SetClaim(claimFor(serialB, peer.Manager))
		synctest.Wait()
		wantSees(t, a, strings.ReplaceAll(blankB, "blank", "manager"))
		if !a.hasChanged() || time.Since(start) != 0 {
			t.Error("a change is not announced at once")
		}

		pass(10 * time.Minute)
		if a.hasChanged() {
			t.Error("a signal although nothing has changed")
		}
		b.leave(t)
		synctest.Wait()
		wantSees(t, a, "")
		if !a.hasChanged() {
			t.Error("no signal after a goodbye")
		}
		a.leave(t)
	})
}

func TestChangesAreRateLimitedAndNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a, b := l.join(t, serialA, addrA), l.join(t, serialB, addrB)
		defer a.leave(t)
		defer b.leave(t)
		states := []peer.State{peer.Blank, peer.Electing, peer.Founding, peer.Manager, peer.Worker}
		start := time.Now()
		for i := range 200 {
			b.SetClaim(claimFor(serialB, states[i%len(states)]))
			pass(50 * time.Millisecond)
		}
		pass(announceGap)
		wantSees(t, a, strings.ReplaceAll(blankB, "blank", "worker"))
		all := l.since(start, addrB)
		for i := 1; i < len(all); i++ {
			if gap := all[i].at.Sub(all[i-1].at); gap < announceGap {
				t.Errorf("announced twice within %s", gap)
			}
		}
	})
}

func TestClaimThatDiffersInHelloFieldsIsNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		pass(10 * time.Second)
		start := time.Now()
		c := claimFor(serialA, peer.Blank)
		c.Hostname, c.Clock = "raspberrypi", time.Now()
		a.SetClaim(c)
		a.SetLink(linkAt(addrA))
		pass(5 * time.Second)
		if n := len(l.since(start, addrA)); n != 0 {
			t.Errorf("%d announcements of the same thing", n)
		}
	})
}

func TestSettledSwarmIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const boards, minutes = 20, 60
		l := &lan{}
		rng := rand.New(rand.NewPCG(1, 2))
		l.lost = func() bool { return rng.IntN(10) == 0 } // Wi-Fi
		for i := range boards {
			b := l.join(t, peer.Serial(fmt.Sprintf("10000000aabbcc%02x", i)), fmt.Sprintf("192.0.2.%d", i+1))
			defer b.leave(t)
		}
		pass(time.Minute)
		start := time.Now()
		pass(minutes * time.Minute)
		total := 0
		for i := range boards {
			n := len(l.since(start, fmt.Sprintf("192.0.2.%d", i+1)))
			if n > 4*minutes {
				t.Errorf("board %d sent %d packets in %d minutes, want at most 4 a minute", i, n, minutes)
			}
			total += n
		}
		t.Logf("%.2f packets a minute for each board", float64(total)/boards/minutes)
	})
}

func TestHintsExpireAndTTLIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		st := mustAnnounce(t, claimFor(serialB, peer.Blank), addrB)
		short, err := response(3*time.Second, st.answers()...)
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		l.inject(addrB+":5353", 255, short)
		pass(2999 * time.Millisecond)
		wantSees(t, a, blankB)
		a.hasChanged()
		pass(time.Millisecond)
		wantSees(t, a, "")
		if !a.hasChanged() {
			t.Error("no signal when a hint expired")
		}
	})
}

func TestBoardAtTwoAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a, b := l.join(t, serialA, addrA), l.join(t, serialB, addrB)
		defer a.leave(t)
		defer b.leave(t)
		data, err := mustAnnounce(t, claimFor(serialB, peer.Blank), "192.0.2.3").pack()
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		l.inject("192.0.2.3:5353", 255, data)
		synctest.Wait()
		wantSees(t, a, blankB+", "+strings.ReplaceAll(blankB, addrB, "192.0.2.3"))
		if got := b.Snapshot(); !slices.Equal(got.Duplicates, []netip.Addr{netip.MustParseAddr("192.0.2.3")}) ||
			b.sees() != blankA {
			t.Errorf("the board with the duplicate sees %+v", got)
		}
		pass(recordTTL)
		wantSees(t, a, blankB)
		if got := b.Snapshot().Duplicates; got != nil {
			t.Errorf("duplicates %v, want them forgotten", got)
		}
	})
}

func TestAddressChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a, b := l.join(t, serialA, addrA), l.join(t, serialB, addrB)
		defer a.leave(t)
		defer b.leave(t)
		pass(time.Minute)
		b.SetLink(linkAt("192.0.2.9"))
		pass(announceGap)
		wantSees(t, a, strings.ReplaceAll(blankB, addrB, "192.0.2.9"))
		if s := b.Snapshot(); s.Duplicates != nil || s.SelfHeard.IsZero() {
			t.Errorf("after the change: %+v", s)
		}
		b.SetLink(address.Link{})
		synctest.Wait()
		wantSees(t, a, "")
		wantSees(t, b, blankA) // kept until it expires
		if !b.Snapshot().SelfHeard.IsZero() {
			t.Error("SelfHeard outlives the link")
		}
		pass(recordTTL)
		wantSees(t, b, "")
	})
}

func TestStableAddressBesideTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a, b := l.join(t, serialA, addrA), l.join(t, serialB, addrB)
		defer a.leave(t)
		defer b.leave(t)
		pass(time.Minute)
		const stable = "169.254.7.8"
		both := linkAt(addrB)
		both.Stable = netip.MustParseAddr(stable)
		heard := b.Snapshot().SelfHeard
		b.SetLink(both)
		synctest.Wait()
		wantSees(t, a, blankBAt(stable)+", "+blankB)
		if s := b.Snapshot(); s.Duplicates != nil || s.SelfHeard.Before(heard) {
			t.Errorf("the board that got a second address: %+v, it was heard at %v", s, heard)
		}
		alone := address.Link{Name: both.Name, Index: both.Index, Stable: both.Stable}
		b.SetLink(alone) // there is no DHCP server any more
		pass(2 * recordTTL)
		wantSees(t, a, blankBAt(stable))
		wantSees(t, b, blankA)
	})
}

func TestOtherAddressOfThisMachineIsNoTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		a.own[netip.MustParseAddr("192.0.2.77")] = true
		data, err := mustAnnounce(t, claimFor(serialA, peer.Blank), "192.0.2.77").pack()
		if err != nil {
			t.Fatal(err)
		}
		l.inject("192.0.2.77:5353", 255, data)
		pass(time.Second)
		if s := a.Snapshot(); s.Duplicates != nil || s.SelfHeard.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

func TestQuestionsAreAnsweredByMulticast(t *testing.T) {
	tests := []struct {
		name, from string
		ttl        int
		change     func(*dns.Msg)
		want       int
	}{
		{"from a responder", "192.0.2.50:5353", 255, func(*dns.Msg) {}, 1},
		{"from this machine", addrA + ":5353", 255, func(*dns.Msg) {}, 1},
		{"for the kinds of service", "192.0.2.50:5353", 255, func(m *dns.Msg) { m.Question[0].Name = metaName }, 1},
		{"from a one-shot client, which the responder answers", "192.0.2.50:40000", 255, func(*dns.Msg) {}, 0},
		{"from beyond a router", "192.0.2.50:5353", 254, func(*dns.Msg) {}, 0},
		{"for another service", "192.0.2.50:5353", 255, func(m *dns.Msg) { m.Question[0].Name = "_ipp._tcp.local." }, 0},
		{"with another opcode", "192.0.2.50:5353", 255, func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lan{}
				a := l.join(t, serialA, addrA)
				defer a.leave(t)
				pass(2 * time.Second)
				start := time.Now()
				query := new(dns.Msg)
				query.SetQuestion(serviceName, dns.TypePTR)
				tt.change(query)
				data, err := query.Pack()
				if err != nil {
					t.Fatal(err)
				}
				for range 5 { // a burst is answered once
					l.inject(tt.from, tt.ttl, data)
				}
				pass(800 * time.Millisecond)
				all := l.since(start, addrA)
				if len(all) != tt.want {
					t.Fatalf("%d answers, want %d", len(all), tt.want)
				}
				if len(all) > 0 && all[0].at.Sub(start) < answerMin {
					t.Errorf("answered after %s", all[0].at.Sub(start))
				}
			})
		})
	}
}

func TestBadPacketsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		st := mustAnnounce(t, claimFor(serialB, peer.Blank), addrB)
		good, err := st.pack()
		if err != nil {
			t.Fatal(err)
		}
		later := st.answers()
		later[3].(*dns.TXT).Txt = []string{"v=2"}
		newer, err := response(recordTTL, later...)
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		a.hasChanged()
		l.inject(addrB+":5353", 254, good)
		l.inject(addrB+":5354", 255, good)
		l.inject("127.0.0.1:5353", 255, good)
		l.inject("203.0.113.2:5353", 255, good)
		l.inject("0.0.0.0:5353", 255, good)
		l.inject(addrB+":5353", 255, good[:40])
		l.inject(addrB+":5353", 255, nil)
		l.inject(addrB+":5353", 255, newer)
		l.inject(addrB+":5353", 255, newer)
		pass(time.Second)
		wantSees(t, a, "")
		if a.hasChanged() {
			t.Error("a signal although nothing was taken")
		}
		warnings := a.logs.FilterLevelExact(zap.WarnLevel).All()
		if len(warnings) != 1 || !strings.Contains(warnings[0].Message, `version "2"`) {
			t.Errorf("warnings %v, want one about the version", warnings)
		}
		l.inject(addrB+":5353", 255, good)
		synctest.Wait()
		wantSees(t, a, blankB)
	})
}

func TestFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		flood := func(n int, addr func(i int) string) {
			for i := range n {
				c := claimFor(peer.Serial(fmt.Sprintf("2%015x", i)), peer.Blank)
				data, err := mustAnnounce(t, c, addr(i)).pack()
				if err != nil {
					t.Fatal(err)
				}
				l.inject(addr(i)+":5353", 255, data)
				synctest.Wait()
			}
		}
		flood(20, func(int) string { return "192.0.2.66" })
		if n := len(a.Snapshot().Hints); n != hintsPerAddr {
			t.Errorf("%d hints of one address, want %d", n, hintsPerAddr)
		}
		flood(1000, func(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250+1) })
		pass(crowdGap)
		if n := len(a.Snapshot().Hints); n != hintsMax {
			t.Errorf("%d hints, want %d", n, hintsMax)
		}
		flood(1, func(int) string { return addrB })
		pass(crowdGap)
		if !slices.ContainsFunc(a.Snapshot().Hints, func(h Hint) bool { return h.Addr.Addr().String() == addrB }) {
			t.Error("the flood shuts a board out")
		}
		if n := a.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
			t.Errorf("%d warnings, want one", n)
		}
		pass(recordTTL)
		wantSees(t, a, "")
	})
}

// questions are those that were sent from addr after start.
func (l *lan) questions(start time.Time, addr string) []sent {
	return slices.DeleteFunc(l.since(start, addr), func(s sent) bool { return s.msg.Response })
}

func TestAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		pass(time.Minute)
		start := time.Now()
		if n := len(l.questions(time.Time{}, addrA)); n > 0 {
			t.Fatalf("asked %d times without being told to", n)
		}
		a.SetAsking(true)
		pass(10 * time.Minute)
		asked := l.questions(start, addrA)
		if len(asked) < 12 || !asked[0].at.Equal(start) {
			t.Fatalf("asked at %v from %v", asked, start)
		}
		for i := 1; i < len(asked); i++ {
			pause := min(surveyWait<<(i-1), askMax)
			got := asked[i].at.Sub(asked[i-1].at)
			if got < pause*7/8 || got > pause*9/8 {
				t.Errorf("pause %d is %s, want about %s", i, got, pause)
			}
			if q := asked[i].msg.Question; len(q) != 1 || q[0] != pointersOf(serviceName) {
				t.Errorf("asked %v, want for the service, by multicast", q)
			}
		}
		a.SetAsking(false)
		pass(10 * time.Minute)
		if len(l.questions(start, addrA)) != len(asked) {
			t.Error("goes on asking")
		}
	})
}

// surveyTakes is how long three questions take, of which the second and the third wait once and twice, with the
// answers.
const surveyTakes = 4 * surveyWait

// Whoever is known to the asker is silent, from its fourth question on; a board that was lost, or will be soon,
// answers.
func TestAskingWithKnownAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a, b := l.join(t, serialA, addrA), l.join(t, serialB, addrB)
		defer a.leave(t)
		defer b.leave(t)
		pass(10 * time.Second)
		a.SetAsking(true)
		pass(surveyTakes)
		start := time.Now()
		pass(20 * time.Second)
		asked := l.questions(start, addrA)
		if len(asked) == 0 {
			t.Fatal("not asked again")
		}
		for _, q := range asked {
			var known []string
			for _, rr := range q.msg.Answer {
				known = append(known, rr.(*dns.PTR).Ptr)
			}
			if want := []string{serialA.Instance() + "." + serviceName,
				serialB.Instance() + "." + serviceName}; !slices.Equal(known, want) {
				t.Errorf("known answers %q, want %q", known, want)
			}
		}
		if n := len(l.since(start, addrA)) - len(asked) + len(l.since(start, addrB)); n > 0 {
			t.Errorf("%d answers to a board that knows both", n)
		}
	})
}

// Many known answers still fit into one packet.
func TestQuestionIsShort(t *testing.T) {
	known := make([]dns.RR, 300)
	for i := range known {
		known[i] = pointer(peer.Serial(fmt.Sprintf("10000000aabb%04x", i)), recordTTL)
	}
	if data, err := question(known); err != nil || len(data) > 1400 {
		t.Errorf("a question of %d bytes, %v", len(data), err)
	}
}

// A hint that has less than half its TTL left is no known answer, and one board is one, whatever its addresses.
func TestKnownAnswers(t *testing.T) {
	now := time.Now()
	c := cache{}
	for addr, left := range map[string]time.Duration{addrA: 50 * time.Second, addrB: 70 * time.Second,
		"192.0.2.3": 60 * time.Second} {
		h := instance{serial: serialB, claim: claimFor(serialB, peer.Blank), ttl: recordTTL}.hint(netip.MustParseAddr(addr),
			now.Add(left-recordTTL))
		if _, _, err := c.put(h); err != nil {
			t.Fatal(err)
		}
	}
	known := c.known(serialA, now)
	if len(known) != 1 || known[0].Header().Ttl != 70 {
		t.Errorf("known answers %v, want one of 70 s", known)
	}
	if known := c.known(serialA, now.Add(15*time.Second)); known != nil {
		t.Errorf("known answers %v, want none", known)
	}
	if known := c.known(serialB, now); known != nil {
		t.Errorf("a duplicate is a known answer: %v", known)
	}
}

// Whoever has asked from all its addresses has heard from all addresses of the others, who may have announced
// themselves long ago.
func TestSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		b := l.join(t, serialB, addrB)
		defer b.leave(t)
		both := address.Link{Name: "eth0", Index: 2, Addr: netip.MustParseAddr(addrB),
			Stable: netip.MustParseAddr("169.254.7.7")}
		b.SetLink(both)
		pass(10 * time.Second)
		lost := true // or a would hear b's announcements
		l.lost = func() bool { return lost }
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		pass(10 * time.Second)
		l.mu.Lock()
		lost = false
		l.mu.Unlock()
		wantSees(t, a, "")
		if got := a.Snapshot().Asked; got != (address.Link{}) {
			t.Errorf("asked at %v without being told to", got)
		}
		a.SetAsking(true)
		pass(surveyWait)
		if got := a.Snapshot().Asked; got != (address.Link{}) {
			t.Errorf("asked at %v after %v, once", got, surveyWait)
		}
		pass(surveyTakes - surveyWait)
		if got := a.Snapshot().Asked; got != linkAt(addrA) {
			t.Errorf("asked at %v, want %s", got, addrA)
		}
		wantSees(t, a, strings.ReplaceAll(blankB, addrB, "169.254.7.7")+", "+blankB)

		a.hasChanged()
		more := linkAt(addrA)
		more.Stable = netip.MustParseAddr("169.254.1.1")
		a.SetLink(more)
		pass(0)
		if got := a.Snapshot().Asked; got != (address.Link{}) {
			t.Errorf("asked at %v when another address has just come", got)
		}
		start := time.Now()
		pass(surveyTakes)
		if got := a.Snapshot().Asked; got != more || !a.hasChanged() {
			t.Errorf("asked at %v, want both addresses, and to be told", got)
		}
		for _, from := range []string{addrA, "169.254.1.1"} {
			asked := 0
			for _, s := range l.questions(start, from) {
				if s.msg.Answer == nil {
					asked++
				}
			}
			if asked != surveyTimes-1 && asked != surveyTimes { // the first may be of the same moment
				t.Errorf("%d questions from %s, want %d", asked, from, surveyTimes)
			}
		}
		a.SetAsking(false)
		pass(time.Minute)
		if got := a.Snapshot().Asked; got != (address.Link{}) {
			t.Errorf("asked at %v, and asks no more", got)
		}
	})
}

func TestLinkThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{openErr: errors.New("no such device")}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		pass(10 * time.Minute)
		warnings := a.logs.FilterLevelExact(zap.WarnLevel).All()
		if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "eth0") ||
			!strings.Contains(warnings[0].Message, "no such device") {
			t.Errorf("warnings %v, want one that names the interface and the error", warnings)
		}
		l.mu.Lock()
		l.openErr = nil
		l.mu.Unlock()
		pass(reopenMax)
		if a.Snapshot().SelfHeard.IsZero() {
			t.Fatal("not opened again")
		}
		l.mu.Lock()
		l.sockets[0].fail <- errors.New("network is down")
		l.mu.Unlock()
		start := time.Now()
		pass(3 * time.Second)
		if len(l.since(start, addrA)) == 0 {
			t.Error("silent after a socket that failed")
		}
	})
}

// What keeps both addresses from being announced is told once, with the remedy.
func TestNothingCanBeSent(t *testing.T) {
	refused := func(from netip.Addr) error {
		return fmt.Errorf("send: %w",
			&net.OpError{Op: "write", Net: "udp", Addr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, mdnsPort)),
				Err: os.NewSyscallError("sendmsg", unix.EPERM)})
	}
	synctest.Test(t, func(t *testing.T) {
		l := &lan{sendErr: refused}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		link := linkAt(addrA)
		link.Stable = netip.MustParseAddr("169.254.7.7")
		a.SetLink(link)
		pass(10 * time.Minute)
		const want = "Other boards cannot be found by multicast on eth0, trying again: announcements cannot be sent, " +
			"look for a firewall that drops what goes out to UDP port 5353: operation not permitted."
		warnings := a.logs.FilterLevelExact(zap.WarnLevel).All()
		if len(warnings) != 1 || warnings[0].Message != want {
			t.Errorf("warnings %v, want %q", warnings, want)
		}
	})
	other := unsent([]error{refused(netip.MustParseAddr(addrA)), errors.New("send: no route")})
	if text := other.Error(); !strings.HasSuffix(text, "operation not permitted, send: no route") {
		t.Errorf("two causes are %q", text)
	}
}

func TestDeafBoardSaysSoAndKeepsTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := true
		l := &lan{lost: func() bool { return deaf }}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		start := time.Now()
		pass(30 * time.Minute)
		if !a.Snapshot().SelfHeard.IsZero() {
			t.Error("a deaf board heard itself")
		}
		warnings := a.logs.FilterLevelExact(zap.WarnLevel).All()
		if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "firewall") {
			t.Errorf("warnings %v, want one about a firewall", warnings)
		}
		if n := len(l.since(start, addrA)); n > 4*30 {
			t.Errorf("%d packets in 30 minutes", n)
		}
		l.mu.Lock()
		deaf = false
		l.mu.Unlock()
		pass(announceMax + reopenMax)
		if a.Snapshot().SelfHeard.IsZero() {
			t.Error("still deaf")
		}
	})
}

func TestInvalidClaimIsNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		pass(10 * time.Second)
		a.SetClaim(peer.Claim{Serial: serialA})
		synctest.Wait()
		start := time.Now().Add(time.Nanosecond)
		pass(5 * time.Minute)
		if n := len(l.since(start, addrA)); n != 0 {
			t.Errorf("%d announcements of an invalid claim", n)
		}
		if a.logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
			t.Errorf("warnings %v, want one", a.logs.All())
		}
	})
}

func FuzzHear(f *testing.F) {
	st := mustAnnounce(f, claimFor(serialB, peer.Blank), addrB)
	for _, make := range []func() ([]byte, error){st.pack, st.goodbye} {
		data, err := make()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, data)
		f.Add(true, data)
	}
	query := new(dns.Msg)
	query.SetQuestion(serviceName, dns.TypePTR)
	query.Answer = st.answers()[:1]
	data, err := query.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(false, data)
	f.Add(true, data)
	f.Fuzz(func(t *testing.T, keyed bool, data []byte) {
		cluster := Cluster{Name: "pi"}
		if keyed {
			cluster = keyedCluster("pi", "geheim")
		}
		r := newService(cluster, zap.NewNop(), network{
			local: func(netip.Addr) (bool, error) { return false, nil },
			near:  theLink,
		}).runner()
		own := mustAnnounce(t, claimFor(serialA, peer.Blank), addrA)
		r.zone.service.Store(own.records)
		r.got = wish{link: linkAt(addrA), claim: own.claim}
		now := time.Now()
		r.hear(packet{from: netip.MustParseAddrPort(addrB + ":5353"), ttl: mdnsTTL, data: data}, now)
		r.show(now)
		if n := len(r.cache); n > hintsPerAddr || keyed && n > 0 {
			t.Errorf("%d hints from one packet", n)
		}
		if n := r.others.count(now); n > othersMax {
			t.Errorf("%d other clusters", n)
		}
		for at, h := range r.cache {
			lifetime := h.Expires.Sub(now)
			if err := h.Claim.Validate(); err != nil || h.Claim.Serial != at.serial || h.Addr.Port() == 0 ||
				lifetime < time.Second || lifetime > ttlMax {
				t.Errorf("hint %+v: %v", h, err)
			}
		}
	})
}
