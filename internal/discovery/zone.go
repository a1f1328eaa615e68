package discovery

import (
	"slices"
	"sync/atomic"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"
)

// zone is what mdns.Server answers from: always the newest statement, and nothing while there is none. Its methods may be
// called by many goroutines at once.
type zone struct {
	now atomic.Pointer[statement]
}

var _ mdns.Zone = (*zone)(nil)

// Records implements mdns.Zone: the records that answer q, then those the asker will want next (RFC 6763 section 12). Names
// are compared without regard to case, RFC 6762 section 16.
func (z *zone) Records(q dns.Question) []dns.RR {
	s := z.now.Load()
	if s == nil {
		return nil
	}
	if class := q.Qclass &^ topBit; class != dns.ClassINET && class != dns.ClassANY {
		return nil
	}
	wants := func(kind uint16) bool { return q.Qtype == kind || q.Qtype == dns.TypeANY }
	switch name := dns.CanonicalName(q.Name); {
	case name == metaName && wants(dns.TypePTR):
		return []dns.RR{s.meta()}
	case name == serviceName && wants(dns.TypePTR):
		return []dns.RR{s.ptr(), s.srv(), s.txt(), s.a()}
	case name == s.instance() && q.Qtype == dns.TypeANY:
		return []dns.RR{s.srv(), s.txt(), s.a()}
	case name == s.instance() && q.Qtype == dns.TypeSRV:
		return []dns.RR{s.srv(), s.a()}
	case name == s.instance() && q.Qtype == dns.TypeTXT:
		return []dns.RR{s.txt()}
	case name == s.host() && wants(dns.TypeA):
		return []dns.RR{s.a()}
	}
	return nil
}

// wanted reports whether a query asks for something of ours that the asker does not know yet: it lists what it knows, and
// that counts while at least half its lifetime is left (RFC 6762 section 7.1).
func (z *zone) wanted(query *dns.Msg) bool {
	known := func(rr dns.RR) bool {
		return slices.ContainsFunc(query.Answer, func(k dns.RR) bool {
			return k.Header().Ttl >= rr.Header().Ttl/2 && dns.IsDuplicate(k, rr)
		})
	}
	for _, q := range query.Question {
		for _, rr := range z.Records(q) {
			if rr.Header().Name == dns.CanonicalName(q.Name) && !known(rr) {
				return true
			}
		}
	}
	return false
}
