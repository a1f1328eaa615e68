package discovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// keyedCluster has signatures and a tag of the length that real ones have.
func keyedCluster(name, key string) Cluster {
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		_, _ = h.Write([]byte(text)) // never fails
		return h.Sum(nil)
	}
	return Cluster{
		Name: name,
		Tag:  hex.EncodeToString(sign("tag")[:6]),
		Sign: func(text string) string { return base64.RawURLEncoding.EncodeToString(sign(text)[:16]) },
	}
}

func TestClustersDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{}
		var boards []*board
		for i, c := range []Cluster{
			{Name: "pi"}, {Name: "class-b"}, keyedCluster("pi", "one"), keyedCluster("pi", "two"), keyedCluster("class-b",
				"one"),
		} {
			l.cluster = c
			for j := range 2 {
				n := 2*i + j + 1
				boards = append(boards, l.join(t, peer.Serial(fmt.Sprintf("10000000aabbcc%02x", n)), fmt.Sprintf("192.0.2.%d", n)))
			}
		}
		pass(10 * time.Second)
		for i, b := range boards {
			other := i ^ 1
			wantSees(t, b, fmt.Sprintf("10000000aabbcc%02x blank 192.0.2.%d:2378", other+1, other+1))
			if n := b.Snapshot().Others; n != 4 {
				t.Errorf("board %d knows of %d other clusters, want 4", i, n)
			}
			if near := b.Nearby(); len(near) != 8 || near[0].Cluster == "" {
				t.Errorf("board %d has the neighbours %v, want the 8 of other clusters", i, near)
			}
		}
		for _, b := range boards[2:] {
			b.leave(t)
		}
		synctest.Wait()
		boards[0].hasChanged()
		pass(othersHeard + announceMax)
		if n := boards[0].Snapshot().Others; n != 0 || !boards[0].hasChanged() {
			t.Errorf("%d other clusters are known after all have gone, want 0 and a signal", n)
		}
		if near := boards[0].Nearby(); len(near) != 0 {
			t.Errorf("neighbours are known after all have gone: %v", near)
		}
		boards[1].leave(t)
		synctest.Wait()
		wantSees(t, boards[0], "")
		boards[0].Stranger(peer.Claim{Cluster: "pi", Tag: "f00"})
		boards[0].Stranger(peer.Claim{Cluster: "pi"})
		synctest.Wait()
		if n := boards[0].Snapshot().Others; n != 1 || !boards[0].hasChanged() {
			t.Errorf("%d other clusters after a stranger of one, want 1 and a signal", n)
		}
		boards[0].leave(t)
	})
}

func TestForgeriesAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{cluster: keyedCluster("pi", "geheim")}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		claim := claimFor(serialB, peer.Blank)
		claim.Tag = l.cluster.Tag
		st, err := newAnnouncement(claim, netip.MustParseAddr(addrB), l.cluster)
		if err != nil {
			t.Fatal(err)
		}
		// with is the announcement with one string of its TXT record changed, and some lifetime.
		with := func(key, value string, port uint16, ttl time.Duration) []byte {
			all := st.answers()
			all[1].(*dns.SRV).Port = port
			txt := all[3].(*dns.TXT)
			txt.Txt = slices.Clone(txt.Txt)
			i := slices.IndexFunc(txt.Txt, func(s string) bool { return strings.HasPrefix(s, key+"=") })
			txt.Txt[i] = key + "=" + value
			data, err := response(ttl, all...)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		pass(time.Second)
		a.hasChanged()
		for name, data := range map[string][]byte{
			"no signature":    with("mac", "", peer.Port, recordTTL),
			"wrong signature": with("mac", strings.Repeat("A", 22), peer.Port, recordTTL),
			"longer":          with("mac", signatureOf(st.records)+"A", peer.Port, recordTTL),
			"state":           with("state", "manager", peer.Port, recordTTL),
			"swarm":           with("swarm", "abc", peer.Port, recordTTL),
			"port":            with("swarm", "", 2379, recordTTL),
			"lifetime":        with("swarm", "", peer.Port, time.Hour),
			"of a goodbye":    with("mac", signatureOf(st.parting), peer.Port, recordTTL),
		} {
			l.inject(addrB+":5353", mdnsTTL, data)
			synctest.Wait()
			if a.sees() != "" || a.hasChanged() || a.Snapshot().Others != 0 {
				t.Errorf("%s: sees %q and %d other clusters", name, a.sees(), a.Snapshot().Others)
			}
		}
		good, err := st.pack()
		if err != nil {
			t.Fatal(err)
		}
		l.inject("192.0.2.66:5353", mdnsTTL, good) // recorded and sent again from elsewhere
		synctest.Wait()
		wantSees(t, a, "")
		l.inject(addrB+":5353", mdnsTTL, good)
		synctest.Wait()
		wantSees(t, a, blankB)

		nameOnly, err := response(0, st.answers()[0])
		if err != nil {
			t.Fatal(err)
		}
		for name, bye := range map[string][]byte{"altered announcement": with("swarm", "", peer.Port, 0),
			"name only": nameOnly} {
			l.inject(addrB+":5353", mdnsTTL, bye)
			synctest.Wait()
			if a.sees() != blankB {
				t.Errorf("a goodbye (%s) without a signature was believed", name)
			}
		}
		bye, err := st.goodbye()
		if err != nil {
			t.Fatal(err)
		}
		l.inject(addrB+":5353", mdnsTTL, bye)
		synctest.Wait()
		wantSees(t, a, "")
	})
}

func TestFloodOfOtherClustersLeavesRoomForOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{cluster: keyedCluster("pi", "geheim")}
		a := l.join(t, serialA, addrA)
		defer a.leave(t)
		for i := range 2000 {
			c := claimFor(peer.Serial(fmt.Sprintf("2%015x", i)), peer.Manager)
			c.Tag = fmt.Sprintf("%012x", i)
			addr := fmt.Sprintf("198.51.%d.%d", i/250, i%250+1)
			st, err := newAnnouncement(c, netip.MustParseAddr(addr), keyedCluster("pi", "guess"))
			if err != nil {
				t.Fatal(err)
			}
			data, err := st.pack()
			if err != nil {
				t.Fatal(err)
			}
			l.inject(addr+":5353", mdnsTTL, data)
			synctest.Wait()
		}
		b := l.join(t, serialB, addrB)
		defer b.leave(t)
		pass(2 * time.Second)
		wantSees(t, a, blankB)
		wantSees(t, b, blankA)
		if n := a.Snapshot().Others; n != othersMax {
			t.Errorf("%d other clusters are known, want %d", n, othersMax)
		}
		if n := len(a.Nearby()); n > neighboursMax {
			t.Errorf("%d neighbours are known, want at most %d", n, neighboursMax)
		}
		if n := len(l.since(time.Now().Add(-2*time.Second), addrA)); n > 5 {
			t.Errorf("the flood made this board announce %d times in 2 s", n)
		}
	})
}

func TestDeniedBoardIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stolen = peer.Serial("10000000aabbcc05")
		l := &lan{cluster: keyedCluster("pi", "one")}
		l.join(t, stolen, "192.0.2.5")
		l.join(t, "10000000aabbcc07", "192.0.2.7")
		l.cluster.Deny = []peer.Serial{stolen}
		b := l.join(t, "10000000aabbcc02", "192.0.2.2")
		pass(10 * time.Second)
		wantSees(t, b, "10000000aabbcc07 blank 192.0.2.7:2378")
		if n := b.Snapshot().Others; n != 0 {
			t.Errorf("it counts as %d other clusters", n)
		}
	})
}
