package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"
)

// holds are the ways to keep a connection busy. Each ends when the other side has had enough.
var holds = map[string]func(net.Conn, *tls.Config) error{
	"half": func(c net.Conn, _ *tls.Config) error { // the beginning of a ClientHello
		if _, err := c.Write([]byte{0x16, 3, 1, 2, 0, 1}); err != nil {
			return err
		}
		return untilClosed(c)
	},
	"idle": func(c net.Conn, config *tls.Config) error {
		t := tls.Client(c, config)
		if err := t.Handshake(); err != nil {
			return err
		}
		return untilClosed(t)
	},
	"slow": func(c net.Conn, config *tls.Config) error { // a byte a second, for ever
		t := tls.Client(c, config)
		if _, err := io.WriteString(t, "POST /v1/hello HTTP/1.1\r\nHost: pi\r\nSlow: "); err != nil {
			return err
		}
		for range time.Tick(time.Second) {
			if _, err := t.Write([]byte{'a'}); err != nil {
				return err
			}
		}
		return nil
	},
	"huge": func(c net.Conn, config *tls.Config) error { // a request of a gigabyte
		t := tls.Client(c, config)
		if _, err := io.WriteString(t,
			"POST /v1/hello HTTP/1.1\r\nHost: pi\r\nContent-Length: 1073741824\r\n\r\n"); err != nil {
			return err
		}
		chunk := make([]byte, 16<<10)
		for {
			if _, err := t.Write(chunk); err != nil {
				return err
			}
		}
	},
}

func untilClosed(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

// heldMax is how many connections are held at a time, to all boards together.
const heldMax = 1000

// connect opens so many connections a second to each of the boards in turn, and holds them in one of these ways.
func (r *rogue) connect(boards []netip.Addr, hold func(net.Conn, *tls.Config) error, rate int) {
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{r.cert}}
	held := make(slots, heldMax)
	var opened tally
	go opened.report("connections")
	often(rate, func() {
		for _, at := range boards {
			held.try(func() {
				c, err := r.dial(context.Background(), "tcp4", netip.AddrPortFrom(at, 2378).String())
				if err != nil {
					return
				}
				defer c.Close()
				opened.n.Add(1)
				_ = hold(c, config) // it always ends with an error: they hang up
			})
		}
	})
}
