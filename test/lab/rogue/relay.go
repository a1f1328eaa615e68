package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"time"
)

// relay is the man in the middle: whoever connects to it is told that this is the board at to, and that board that this is
// whoever connects. TLS ends here on both sides, so that everything can be read.
func (r *rogue) relay(listen, to string) error {
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{r.cert}, ClientAuth: tls.RequestClientCert}
	l, err := tls.Listen("tcp4", listen, config)
	if err != nil {
		return err
	}
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
	out, err := tls.DialWithDialer(&net.Dialer{Timeout: 3 * time.Second}, "tcp4", to, config)
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
