package discovery

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
)

const serialA, serialB = peer.Serial("10000000aabbcc01"), peer.Serial("10000000aabbcc02")

func claimFor(s peer.Serial, state peer.State) peer.Claim {
	return peer.Claim{Serial: s, Cluster: "pi", State: state}
}

func mustAnnounce(t testing.TB, c peer.Claim, addr string) announcement {
	t.Helper()
	s, err := newAnnouncement(c, netip.MustParseAddr(addr), Cluster{Name: "pi"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answers are the records that say who is at an address: PTR, SRV, A and TXT.
func (a announcement) answers() []dns.RR { return a.records.Records(pointersOf(serviceName)) }

// signatureOf is the signature among the records.
func signatureOf(s *mdns.MDNSService) string {
	return strings.TrimPrefix(s.TXT[len(s.TXT)-1], "mac=")
}

func unpack(t testing.TB, data []byte, err error) *dns.Msg {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(data); err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestAnnouncementIsUnderstood(t *testing.T) {
	c := peer.Claim{Serial: serialA, Cluster: strings.Repeat("c", 32), State: peer.Founding,
		Swarm: strings.Repeat("s", 64)}
	cluster := keyedCluster(c.Cluster, "geheim")
	c.Tag = cluster.Tag
	said := c
	said.Hostname, said.Node, said.Clock = "raspberrypi", "n0de", time.Now()
	st, err := newAnnouncement(said, netip.MustParseAddr("192.168.200.200"), cluster)
	if err != nil {
		t.Fatal(err)
	}

	data, err := st.pack()
	if len(data) > 400 {
		t.Errorf("the longest announcement has %d bytes, want at most 400", len(data))
	}
	got, errs := instances(unpack(t, data, err))
	want := []instance{{serial: serialA, claim: c, ttl: recordTTL, signature: signatureOf(st.records)}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(instance{})); diff != "" || errs != nil {
		t.Errorf("announcement (-want +got):\n%s%v", diff, errs)
	}

	data, err = st.goodbye()
	got, errs = instances(unpack(t, data, err))
	want = []instance{{serial: serialA, claim: c, signature: signatureOf(st.parting)}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(instance{})); diff != "" || errs != nil {
		t.Errorf("goodbye (-want +got):\n%s%v", diff, errs)
	}
	if strings.Contains(string(data), "_dns-sd") {
		t.Error("the goodbye takes back the kind of service, which other boards offer too")
	}
}

func TestNewAnnouncementRefuses(t *testing.T) {
	if _, err := newAnnouncement(peer.Claim{Serial: serialA}, netip.MustParseAddr("192.0.2.7"), Cluster{}); err == nil {
		t.Error("an incomplete claim is announced")
	}
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("fe80::1")} {
		if _, err := newAnnouncement(claimFor(serialA, peer.Blank), addr, Cluster{}); err == nil {
			t.Errorf("address %s is announced", addr)
		}
	}
}

// Whatever else a claim says, the board announces itself, and is understood.
func FuzzAnnouncement(f *testing.F) {
	f.Add("k\xfcche", "\x00\x00", strings.Repeat("a", 129), "Swarm id", "10.0.0.1 x")
	f.Fuzz(func(t *testing.T, hostname, model, trouble, swarm, peers string) {
		c := claimFor(serialA, peer.Worker)
		c.Hostname, c.Model, c.Trouble, c.Waits, c.Swarm, c.Node, c.Peers, c.Machine = hostname, model, say.Words(trouble), say.Words(model), swarm, hostname, peers, swarm
		st, err := newAnnouncement(c, netip.MustParseAddr("192.0.2.7"), Cluster{Name: "pi"})
		if err != nil {
			t.Fatal(err)
		}
		data, err := st.pack()
		if found, errs := instances(unpack(t, data, err)); len(found) != 1 || errs != nil {
			t.Errorf("%v, %v", found, errs)
		}
	})
}

func TestInstancesRefusesAndPassesOver(t *testing.T) {
	txt := func(change ...string) []string {
		all := map[string]string{"v": "1", "serial": string(serialA), "cluster": "pi", "state": "blank", "swarm": ""}
		for _, c := range change {
			k, v, _ := strings.Cut(c, "=")
			all[k] = v
		}
		var out []string
		for k, v := range all {
			out = append(out, k+"="+v)
		}
		return out
	}
	tests := []struct {
		name   string
		change func(*dns.Msg)
		word   string // in the error; empty means no error
		found  int
		is     error
	}{
		{"as it should be", func(*dns.Msg) {}, "", 1, nil},
		{"unknown keys", func(m *dns.Msg) { m.Answer[4].(*dns.TXT).Txt = txt("tag=f00", "mac=0") }, "", 1, nil},
		{"upper case", func(m *dns.Msg) {
			for _, rr := range m.Answer {
				rr.Header().Name = strings.ToUpper(rr.Header().Name)
			}
			m.Answer[4].(*dns.TXT).Txt = append([]string{"V=1"}, txt()...)
		}, "", 1, nil},
		{"first of two keys", func(m *dns.Msg) { m.Answer[4].(*dns.TXT).Txt = append(txt(), "state=king") }, "", 1, nil},
		{"other version", func(m *dns.Msg) { m.Answer[4].(*dns.TXT).Txt = txt("v=2") }, `version "2"`, 0, errVersion},
		{"no version", func(m *dns.Msg) { m.Answer[4].(*dns.TXT).Txt = nil }, "version", 0, errVersion},
		{"bad state", func(m *dns.Msg) { m.Answer[4].(*dns.TXT).Txt = txt("state=king") }, "king", 0, nil},
		{"other name", func(m *dns.Msg) {
			m.Answer[4].(*dns.TXT).Txt = txt("serial=" + string(serialB))
		}, "name of another", 0, nil},
		{"port 0", func(m *dns.Msg) { m.Answer[2].(*dns.SRV).Port = 0 }, "port 0", 0, nil},
		{"another port", func(m *dns.Msg) { m.Answer[2].(*dns.SRV).Port = 22 }, "port 22", 0, nil},
		{"no TXT", func(m *dns.Msg) { m.Answer = slices.Delete(m.Answer, 4, 5) }, "", 0, nil},
		{"no SRV", func(m *dns.Msg) { m.Answer = slices.Delete(m.Answer, 2, 3) }, "", 0, nil},
		{"other class", func(m *dns.Msg) { m.Answer[4].Header().Class = dns.ClassCHAOS }, "", 0, nil},
		{"another kind of service", func(m *dns.Msg) {
			for _, rr := range m.Answer {
				rr.Header().Name = strings.ReplaceAll(rr.Header().Name, "_pi-agent", "_ipp")
			}
		}, "", 0, nil},
		{"instance is no board", func(m *dns.Msg) {
			m.Answer[2].Header().Name = "printer." + serviceName
			m.Answer[4].Header().Name = "printer." + serviceName
		}, "not a pi-agent instance", 0, nil},
		{"short serial in the name", func(m *dns.Msg) {
			for _, i := range []int{2, 4} {
				m.Answer[i].Header().Name = "pi-1." + serviceName
			}
		}, "normal form", 0, nil},
		{"records in the additional section", func(m *dns.Msg) { m.Answer, m.Extra = m.Answer[:1], m.Answer[1:] }, "", 1,
			nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := mustAnnounce(t, claimFor(serialA, peer.Blank), "192.0.2.7").pack()
			msg := unpack(t, data, err)
			tt.change(msg)
			found, errs := instances(msg)
			err = errors.Join(errs...)
			if len(found) != tt.found {
				t.Errorf("found %v, want %d", found, tt.found)
			}
			if (err == nil) != (tt.word == "") || err != nil && !strings.Contains(err.Error(), tt.word) {
				t.Errorf("error %v, want one with %q", err, tt.word)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
		})
	}
}

func TestInstancesBoundsTTL(t *testing.T) {
	for given, want := range map[uint32]time.Duration{0: 0, 1: time.Second, 75: 75 * time.Second, 1 << 31: ttlMax} {
		data, err := mustAnnounce(t, claimFor(serialA, peer.Blank), "192.0.2.7").pack()
		msg := unpack(t, data, err)
		for _, rr := range msg.Answer {
			rr.Header().Ttl = given
		}
		got, errs := instances(msg)
		if len(got) != 1 || got[0].ttl != want || errs != nil {
			t.Errorf("TTL %d: %v, %v, want %v", given, got, errs, want)
		}
	}
}

func TestZone(t *testing.T) {
	var z zone
	if got := z.Records(dns.Question{Name: serviceName, Qtype: dns.TypePTR, Qclass: dns.ClassINET}); got != nil {
		t.Fatalf("with nothing to say: %v", got)
	}
	st := mustAnnounce(t, claimFor(serialA, peer.Blank), "192.0.2.7")
	z.service.Store(st.records)
	instance, host := serialA.Instance()+"."+serviceName, serialA.Instance()+"."+domain
	tests := []struct {
		name  string
		qtype uint16
		class uint16
		want  []uint16
	}{
		{serviceName, dns.TypePTR, dns.ClassINET, []uint16{dns.TypePTR, dns.TypeSRV, dns.TypeA, dns.TypeTXT}},
		{"_PI-Agent._TCP.Local.", dns.TypeANY, dns.ClassINET | topBit,
			[]uint16{dns.TypePTR, dns.TypeSRV, dns.TypeA, dns.TypeTXT}},
		{metaName, dns.TypePTR, dns.ClassANY, []uint16{dns.TypePTR}},
		{instance, dns.TypeANY, dns.ClassINET, []uint16{dns.TypeSRV, dns.TypeA, dns.TypeTXT}},
		{strings.ToUpper(instance), dns.TypeSRV, dns.ClassINET, []uint16{dns.TypeSRV, dns.TypeA}},
		{instance, dns.TypeTXT, dns.ClassINET, []uint16{dns.TypeTXT}},
		{host, dns.TypeA, dns.ClassINET, []uint16{dns.TypeA}},
		{host, dns.TypeANY, dns.ClassINET, []uint16{dns.TypeA}},
		{host, dns.TypeAAAA, dns.ClassINET, nil},
		{host, dns.TypeA, dns.ClassCHAOS, nil},
		{"_ipp._tcp.local.", dns.TypePTR, dns.ClassINET, nil},
		{"", dns.TypeANY, dns.ClassANY, nil},
	}
	for _, tt := range tests {
		var got []uint16
		for _, rr := range z.Records(dns.Question{Name: tt.name, Qtype: tt.qtype, Qclass: tt.class}) {
			got = append(got, rr.Header().Rrtype)
			if rr.Header().Ttl != 120 {
				t.Errorf("%v: want TTL 120", rr)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s type %d: %v, want %v", tt.name, tt.qtype, got, tt.want)
		}
	}
}

func TestZoneKnownAnswers(t *testing.T) {
	var z zone
	st := mustAnnounce(t, claimFor(serialA, peer.Blank), "192.0.2.7")
	z.service.Store(st.records)
	query := new(dns.Msg)
	query.SetQuestion(strings.ToUpper(serviceName), dns.TypePTR)
	if !z.wanted(query) {
		t.Error("an asker that knows nothing gets no answer")
	}
	known := st.answers()[0]
	query.Answer = []dns.RR{known}
	if z.wanted(query) {
		t.Error("an asker that knows us gets an answer")
	}
	known.Header().Ttl = 59
	if !z.wanted(query) {
		t.Error("an asker that will soon forget us gets no answer")
	}
}
