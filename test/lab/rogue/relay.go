package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"time"
)

// relay is the man in the middle: whoever connects gets to the board at to, and takes him for that board, as that one
// takes him for who connects. TLS ends here on both sides, so that everything can be read.
func (r *rogue) relay(l net.Listener, to string) error {
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{r.cert},
		ClientAuth: tls.RequestClientCert}
	l = tls.NewListener(l, config)
	for {
		in, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer in.Close()
			if err := between(in, to, config); err != nil && !errors.Is(err, io.EOF) {
				log.Printf("the relay from %s ended: %v", in.RemoteAddr(), err)
			}
		}()
	}
}

// between passes on what the two ends say until one has had enough.
func between(in net.Conn, to string, config *tls.Config) error {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 3 * time.Second}, Config: config}
	out, err := dialer.DialContext(context.Background(), "tcp4", to)
	if err != nil {
		return err
	}
	defer out.Close()
	ended := make(chan error, 2)
	pass := func(to, from net.Conn) {
		buf := make([]byte, 16<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				log.Printf("relayed from %s: %q", from.RemoteAddr(), buf[:n])
				if _, err := to.Write(buf[:n]); err != nil {
					ended <- err
					return
				}
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}
	go pass(out, in)
	go pass(in, out)
	return <-ended // and the other ends when both connections are closed
}
