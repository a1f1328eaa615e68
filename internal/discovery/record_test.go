package discovery

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
)

const serialA, serialB = peer.Serial("10000000aabbcc01"), peer.Serial("10000000aabbcc02")

func claimFor(s peer.Serial, state peer.State) peer.Claim {
	return peer.Claim{Serial: s, Cluster: "pi", State: state}
}

func mustState(t testing.TB, c peer.Claim, addr string) statement {
	t.Helper()
	s, err := newStatement(c, netip.MustParseAddr(addr), Cluster{Name: "pi"})
	if err != nil {
		t.Fatal(err)
	}
	return s
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
	c := peer.Claim{Serial: serialA, Cluster: strings.Repeat("c", 32), State: peer.Founding, Swarm: strings.Repeat("s", 64)}
	cluster := keyedCluster(c.Cluster, "geheim")
	c.Tag = cluster.Tag
	said := c
	said.Hostname, said.Node, said.Clock = "raspberrypi", "n0de", time.Now()
	st, err := newStatement(said, netip.MustParseAddr("192.168.200.200"), cluster)
	if err != nil {
		t.Fatal(err)
	}

	data, err := st.announcement()
	if len(data) > 400 {
		t.Errorf("the longest announcement has %d bytes, want at most 400", len(data))
	}
	got, errs := sightings(unpack(t, data, err))
	want := []sighting{{serial: serialA, claim: c, port: peer.Port, ttl: recordTTL, mac: st.mac}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sighting{})); diff != "" || errs != nil {
		t.Errorf("announcement (-want +got):\n%s%v", diff, errs)
	}

	data, err = st.goodbye()
	got, errs = sightings(unpack(t, data, err))
	want = []sighting{{serial: serialA, claim: c, port: peer.Port, mac: st.byeMAC}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sighting{})); diff != "" || errs != nil {
		t.Errorf("goodbye (-want +got):\n%s%v", diff, errs)
	}
	if strings.Contains(string(data), "_dns-sd") {
		t.Error("the goodbye takes back the kind of service, which other boards offer too")
	}
}

func TestNewStatementRefuses(t *testing.T) {
	if _, err := newStatement(peer.Claim{Serial: serialA}, netip.MustParseAddr("192.0.2.7"), Cluster{}); err == nil {
		t.Error("an incomplete claim is announced")
	}
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("fe80::1")} {
		if _, err := newStatement(claimFor(serialA, peer.Blank), addr, Cluster{}); err == nil {
			t.Errorf("address %s is announced", addr)
		}
	}
}

// Whatever else a claim says, the board announces itself, and is understood.
func FuzzStatement(f *testing.F) {
	f.Add("k\xfcche", "\x00\x00", strings.Repeat("a", 129), "Swarm id", "10.0.0.1 x")
	f.Fuzz(func(t *testing.T, hostname, model, trouble, swarm, peers string) {
		c := claimFor(serialA, peer.Worker)
		c.Hostname, c.Model, c.Trouble, c.Waits, c.Swarm, c.Node, c.Peers, c.Machine = hostname, model, trouble, model, swarm, hostname, peers, swarm
		st, err := newStatement(c, netip.MustParseAddr("192.0.2.7"), Cluster{Name: "pi"})
		if err != nil {
			t.Fatal(err)
		}
		data, err := st.announcement()
		if found, errs := sightings(unpack(t, data, err)); len(found) != 1 || errs != nil {
			t.Errorf("%v, %v", found, errs)
		}
	})
}

func TestSightingsRefusesAndPassesOver(t *testing.T) {
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
		{"unknown keys", func(m *dns.Msg) { m.Answer[3].(*dns.TXT).Txt = txt("tag=f00", "mac=0") }, "", 1, nil},
		{"upper case", func(m *dns.Msg) {
			for _, rr := range m.Answer {
				rr.Header().Name = strings.ToUpper(rr.Header().Name)
			}
			m.Answer[3].(*dns.TXT).Txt = append([]string{"V=1"}, txt()...)
		}, "", 1, nil},
		{"first of two keys", func(m *dns.Msg) { m.Answer[3].(*dns.TXT).Txt = append(txt(), "state=king") }, "", 1, nil},
		{"other version", func(m *dns.Msg) { m.Answer[3].(*dns.TXT).Txt = txt("v=2") }, `version "2"`, 0, errVersion},
		{"no version", func(m *dns.Msg) { m.Answer[3].(*dns.TXT).Txt = nil }, "version", 0, errVersion},
		{"bad state", func(m *dns.Msg) { m.Answer[3].(*dns.TXT).Txt = txt("state=king") }, "king", 0, nil},
		{"other name", func(m *dns.Msg) {
			m.Answer[3].(*dns.TXT).Txt = txt("serial=" + string(serialB))
		}, "name of another", 0, nil},
		{"port 0", func(m *dns.Msg) { m.Answer[2].(*dns.SRV).Port = 0 }, "port 0", 0, nil},
		{"another port", func(m *dns.Msg) { m.Answer[2].(*dns.SRV).Port = 22 }, "port 22", 0, nil},
		{"no TXT", func(m *dns.Msg) { m.Answer = slices.Delete(m.Answer, 3, 4) }, "", 0, nil},
		{"no SRV", func(m *dns.Msg) { m.Answer = slices.Delete(m.Answer, 2, 3) }, "", 0, nil},
		{"other class", func(m *dns.Msg) { m.Answer[3].Header().Class = dns.ClassCHAOS }, "", 0, nil},
		{"another kind of service", func(m *dns.Msg) {
			for _, rr := range m.Answer {
				rr.Header().Name = strings.ReplaceAll(rr.Header().Name, "_pi-agent", "_ipp")
			}
		}, "", 0, nil},
		{"instance is no board", func(m *dns.Msg) {
			m.Answer[2].Header().Name = "printer." + serviceName
			m.Answer[3].Header().Name = "printer." + serviceName
		}, "not a pi-agent instance", 0, errForeign},
		{"short serial in the name", func(m *dns.Msg) {
			for _, rr := range m.Answer[2:4] {
				rr.Header().Name = "pi-1." + serviceName
			}
		}, "normal form", 0, nil},
		{"records in the additional section", func(m *dns.Msg) { m.Answer, m.Extra = m.Answer[:1], m.Answer[1:] }, "", 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := mustState(t, claimFor(serialA, peer.Blank), "192.0.2.7").announcement()
			msg := unpack(t, data, err)
			tt.change(msg)
			found, errs := sightings(msg)
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

func TestSightingsBoundsTTL(t *testing.T) {
	for given, want := range map[uint32]time.Duration{0: 0, 1: time.Second, 75: 75 * time.Second, 1 << 31: ttlMax} {
		data, err := mustState(t, claimFor(serialA, peer.Blank), "192.0.2.7").announcement()
		msg := unpack(t, data, err)
		for _, rr := range msg.Answer {
			rr.Header().Ttl = given
		}
		got, errs := sightings(msg)
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
	st := mustState(t, claimFor(serialA, peer.Blank), "192.0.2.7")
	z.now.Store(&st)
	instance, host := st.instance(), st.host()
	tests := []struct {
		name  string
		qtype uint16
		class uint16
		want  []uint16
	}{
		{serviceName, dns.TypePTR, dns.ClassINET, []uint16{dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeA}},
		{"_PI-Agent._TCP.Local.", dns.TypeANY, dns.ClassINET | topBit, []uint16{dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeA}},
		{metaName, dns.TypePTR, dns.ClassANY, []uint16{dns.TypePTR}},
		{instance, dns.TypeANY, dns.ClassINET, []uint16{dns.TypeSRV, dns.TypeTXT, dns.TypeA}},
		{strings.ToUpper(instance), dns.TypeSRV, dns.ClassINET, []uint16{dns.TypeSRV, dns.TypeA}},
		{instance, dns.TypeTXT, dns.ClassINET, []uint16{dns.TypeTXT}},
		{host, dns.TypeA, dns.ClassINET, []uint16{dns.TypeA}},
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
	st := mustState(t, claimFor(serialA, peer.Blank), "192.0.2.7")
	z.now.Store(&st)
	query := new(dns.Msg)
	query.SetQuestion(strings.ToUpper(serviceName), dns.TypePTR)
	if !z.wanted(query) {
		t.Error("an asker that knows nothing gets no answer")
	}
	known := st.ptr()
	query.Answer = []dns.RR{known}
	if z.wanted(query) {
		t.Error("an asker that knows us gets an answer")
	}
	known.Header().Ttl = 59
	if !z.wanted(query) {
		t.Error("an asker that will soon forget us gets no answer")
	}
}
