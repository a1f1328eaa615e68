// Command rogue is the attacker of the tests: a stranger on the LAN, without the cluster key. Its argument is the
// attack:
//
//	pretend  a board that wants to lead, or at least to get in: it announces itself as the manager with the lowest serial
//	         in every way it can think of (lie.go), answers whoever asks it (answer.go), and asks whoever it hears
//	         (ask.go)
//	ask      the last of these only, of the boards at -to, too
//	flood    thousands of announcements a second, from invented boards at the addresses of others (flood.go)
//	half, idle, slow, huge
//	         many connections, of which none gets to a request (connect.go)
//	relay    the man in the middle, who can read what others say to the board at -to (relay.go)
//
// It writes a line "served ..." for each request that it gets, "got ..." for each of its own that was not refused,
// "refused ..." for each board, path and status of one that was, "relayed ..." for what it passes on, and each second
// "did ..." with what it has really sent.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"log"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	serial  = "0000000000000001"
	swarmID = "r0gue0swarm0r0gue0swarm00"
)

func main() {
	iface := flag.String("interface", "eth0", "`name` of the network interface")
	asks := flag.Int("asks", 100, "`number` of times a second that a board is asked")
	silent := flag.Int("silent", 0, "`number` of connections a second to each board on which nothing is said")
	lies := flag.Int("lies", 20, "`number` of rounds of announcements a second")
	crowd := flag.Int("crowd", 0, "`number` of invented boards, each of a cluster of its own, in a round of announcements")
	rate := flag.Int("rate", 1000, "`number` of packets a second, or of connections to each board")
	to := flag.String("to", "", "`addresses` of the boards to connect to, separated by commas")
	flag.Parse()
	log.SetFlags(0)

	eth, err := net.InterfaceByName(*iface)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := certificate()
	if err != nil {
		log.Fatal(err)
	}
	addrs := addrsOf(eth)
	r := &rogue{addr: addrs[0], all: addrs, cert: cert, heard: map[netip.Addr]overheard{}}
	group, err := listen(eth)
	if err != nil {
		log.Fatal(err)
	}
	go r.listen(group)
	switch attack := flag.Arg(0); attack {
	case "pretend":
		go r.lie(group, time.Second/time.Duration(*lies), *crowd)
		go r.ask(time.Second / time.Duration(*asks))
		if *silent > 0 {
			go r.hold(time.Second / time.Duration(*silent))
		}
		log.Fatal(r.answer())
	case "ask":
		if *to != "" {
			for _, at := range addrsIn(*to) {
				r.heard[at] = overheard{cluster: "pi"} // which is what boards say that were not told otherwise
			}
		}
		r.ask(time.Second / time.Duration(*asks))
	case "flood":
		r.flood(eth, *rate)
	case "relay":
		l, err := net.Listen("tcp4", ":2378")
		if err != nil {
			log.Fatal(err)
		}
		log.Fatal(r.relay(l, *to+":2378"))
	default:
		hold, ok := holds[attack]
		if !ok {
			log.Fatalf("attack %q is not known", attack)
		}
		r.connect(addrsIn(*to), hold, *rate)
	}
}

// addrsIn reads a list of addresses.
func addrsIn(list string) (all []netip.Addr) {
	for s := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			log.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// addrsOf are all IPv4 addresses of an interface, of which there must be one.
func addrsOf(eth *net.Interface) (all []netip.Addr) {
	addrs, err := eth.Addrs()
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			all = append(all, p.Addr())
		}
	}
	if len(all) == 0 {
		log.Fatalf("%s has no IPv4 address", eth.Name)
	}
	return all
}

// certificate is as good as any board's.
func certificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
