package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// answerPatience is how long a page may take to answer.
const answerPatience = 5 * time.Second

// Get asks for the page at addr from the Gateway's host, over a connection of its own, and returns what it says.
func (l *Lab) Get(addr netip.AddrPort) (page string, err error) {
	err = l.InLAN(func() error {
		conn, err := net.DialTimeout("tcp4", addr.String(), answerPatience)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetDeadline(time.Now().Add(answerPatience)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		page = strings.TrimSpace(string(body))
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, page)
		}
		return err
	})
	return page, err
}
