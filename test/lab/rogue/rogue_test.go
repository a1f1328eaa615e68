package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

func TestDatagram(t *testing.T) {
	head, payload := datagram(netip.MustParseAddr("10.77.0.9"), question())
	if head.Src.String() != "10.77.0.9" || head.Dst.String() != "224.0.0.251" || head.TotalLen != 20+8+len(question()) {
		t.Errorf("header %v", head)
	}
	want := []byte{5353 >> 8, 5353 & 0xff, 5353 >> 8, 5353 & 0xff, 0, byte(8 + len(question())), 0, 0}
	if !bytes.Equal(payload[:8], want) {
		t.Errorf("UDP header %x, want %x", payload[:8], want)
	}
	var msg dns.Msg
	if err := msg.Unpack(payload[8:]); err != nil || len(msg.Question) != 1 {
		t.Errorf("%v, %v", msg, err)
	}
}

// The man in the middle must really be able to read: otherwise it proves nothing that he has not.
func TestRelayReads(t *testing.T) {
	var read safeBuffer
	log.SetOutput(&read)
	t.Cleanup(func() { log.SetOutput(io.Discard) })
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	board, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	go func() {
		c, err := board.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.CopyN(c, c, int64(len("secret"))) // sends it back
	}()
	middle, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { middle.Close() })
	r := rogue{cert: cert}
	go func() { _ = r.relay(middle, board.Addr().String()) }() // ends with the listener

	c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp4",
		middle.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "secret"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("secret"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "secret" {
		t.Errorf("through the relay came %q, %v", got, err)
	}
	if n := strings.Count(read.String(), `"secret"`); n != 2 {
		t.Errorf("the relay has read it %d times, want twice:\n%s", n, read.String())
	}
}

// safeBuffer is a bytes.Buffer for several goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
