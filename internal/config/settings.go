package config

// This file is the table of all settings: key, default, bounds, explanation, and how the value is read.

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
)

// setting is one key of the file, with all there is to know about it. The parser, its error messages and the reference
// file are made from this table.
type setting struct {
	key       string
	byDefault string // as in the file
	bounds    string // what may be given, in words
	doc       string // for the person who edits the file
	set       set
}

// set puts a value of the file into the settings. ok is false when the value is not within bounds; then the settings
// are of no use.
type set func(c *Config, value any) (ok bool)

// text is of a setting that takes a text.
func text(take func(c *Config, s string) (ok bool)) set {
	return func(c *Config, v any) bool {
		s, ok := v.(string)
		return ok && take(c, s)
	}
}

// either is of a setting that takes one of two words, of which yes makes the field true.
func either(field func(*Config) *bool, yes, no string) set {
	return text(func(c *Config, s string) bool {
		*field(c) = s == yes
		return s == yes || s == no
	})
}

// orNone is of a setting that takes what can be parsed, or an empty text for the zero value.
func orNone[T any](field func(*Config) *T, parse func(string) (T, error)) set {
	return text(func(c *Config, s string) bool {
		var value T
		var err error
		if s != "" {
			value, err = parse(s)
		}
		*field(c) = value
		return err == nil
	})
}

// list is of a setting that takes a list of at most so many texts that can be parsed.
func list[T any](most int, field func(*Config) *[]T, parse func(string) (T, error)) set {
	return func(c *Config, v any) bool {
		values, ok := v.([]any)
		var all []T
		for _, v := range values {
			s, _ := v.(string)
			one, err := parse(s)
			if err != nil {
				return false
			}
			all = append(all, one)
		}
		*field(c) = all
		return ok && len(all) <= most
	}
}

// Bounds of the numbers.
const (
	expectMax    = 64
	managersMost = 7 // what Docker advises
	settleMin    = 5 * time.Second
	settleMax    = 5 * time.Minute
	peersMax     = 16
)

// keySetting is the one setting whose value is a secret, and in no error.
const keySetting = "key"

// denyMax is the most serials that can be denied.
const denyMax = 64

// interfaceMax is the longest name of a network interface, in bytes (IFNAMSIZ without its NUL).
const interfaceMax = 15

var settings = []setting{
	{
		"expect", "0", fmt.Sprintf("a whole number from 0 to %d", expectMax),
		"How many boards there will be. The swarm is made as soon as all of them are seen. 0 means that the number " +
			"is not known: then the swarm is made when no new board has appeared for the time that settle gives. " +
			"A board that is heard and does not answer holds up the first swarm, unless as many as expected answer: " +
			"1 makes one alone.",
		func(c *Config, v any) bool {
			n, ok := v.(int64)
			c.Expect = int(n)
			return ok && n >= 0 && n <= expectMax
		},
	},
	{
		"settle", `"15s"`, `a duration from "5s" to "5m"`,
		"How long no new board may appear before the swarm is made. Give more when some boards start much later than others.",
		text(func(c *Config, s string) (ok bool) {
			d, err := time.ParseDuration(s)
			c.Settle = d
			return err == nil && d >= settleMin && d <= settleMax
		}),
	},
	{
		"managers", "0", `0, 1, 3, 5, 7 or "auto"`,
		"How many boards manage the swarm. 0 leaves that to you: the board that makes the swarm manages it, and those that " +
			"you promote. With 3 any one board may be lost and the swarm can still be changed, with 5 any two. The boards " +
			"with the lowest serials become managers when enough of them are there; one that is gone for 5 minutes is " +
			"replaced when another board can take its place; surplus ones become workers. \"auto\" is 1 for up to 2 boards, 3 " +
			"for up to 6, and 5 for more. Give all boards the same: the setting of the board that leads the managers counts. " +
			"Every manager is root on every board, so give a cluster key with more than 1.",
		func(c *Config, v any) (ok bool) {
			n, ok := v.(int64)
			c.Managers = int(n)
			if v == "auto" {
				c.Managers = AutoManagers
				return true
			}
			return ok && (n == 0 || n >= 1 && n <= managersMost && n%2 == 1)
		},
	},
	{
		"cluster", `"` + peer.DefaultCluster + `"`,
		"1 to 32 characters of a-z, 0-9 and - in quotes, not starting or ending with -",
		"The name of the cluster. Boards with another name are left alone, so that several classes can share a network.",
		text(func(c *Config, s string) (ok bool) {
			c.Cluster = s
			return peer.CheckCluster(s) == nil
		}),
	},
	{
		keySetting, `""`, clusterkey.Bounds + `, in quotes, or ""`,
		"The cluster key. Only boards with the same key and the same cluster name are let in, and a board follows no " +
			"other. Empty takes the one in " + clusterkey.Path + ", and where there is no such file there is no key: then " +
			"boards trust every machine on the network when they first meet.",
		orNone(func(c *Config) *clusterkey.Phrase { return &c.Key }, clusterkey.Parse),
	},
	{
		"deny", "[]", fmt.Sprintf(`a list of at most %d serials in quotes, such as ["10000000aabbcc05"]`, denyMax),
		"The serials of boards that are kept out, such as one that was stolen: none of them is heard, answered or let " +
			"in, and a manager removes them from the swarm. Give it on every board, and all boards a new cluster key.",
		list(denyMax, func(c *Config) *[]peer.Serial { return &c.Deny }, peer.ParseSerial),
	},
	{
		"interface", `""`, `the name of a network interface, such as "eth0", or ""`,
		"The network interface over which the boards reach one another. Empty chooses one: network cards, or the bridge, " +
			"bond or VLAN on top of one, first those with a default route, then wired before wireless. One of another " +
			"program, such as that of a VPN, is used only when it is named here.",
		text(func(c *Config, s string) (ok bool) {
			c.Interface = s
			return len(s) <= interfaceMax && s != "." && s != ".." && !strings.ContainsAny(s, "/:% \t\n\v\f\r")
		}),
	},
	{
		"peers", "[]",
		fmt.Sprintf("a list of at most %d IPv4 addresses in quotes, such as [\"192.168.1.20\"], or []", peersMax),
		"Addresses of other boards, for networks that do not pass multicast (client isolation, IGMP snooping). One board " +
			"that all others name is enough: it tells them of one another. Its own address among them does no harm, so " +
			"that all cards can be the same.",
		list(peersMax, func(c *Config) *[]netip.Addr { return &c.Peers }, func(s string) (netip.Addr, error) {
			addr, err := netip.ParseAddr(s)
			if err == nil && (!addr.Is4() || !addr.IsGlobalUnicast() && !addr.IsLinkLocalUnicast()) {
				err = errors.New("not an address of one board")
			}
			return addr, err
		}),
	},
	{
		"address", `"link-local"`, `"link-local" or "interface"`,
		"The address that a swarm uses, for as long as it lives. With \"link-local\" each board gives itself one of " +
			"169.254.0.0/16 beside that of DHCP, and keeps it: the swarm lives on when the router gives other addresses, or " +
			"when there is none. With \"interface\" it is the interface's own, for boards that reach one another through a " +
			"router: it must never change. All boards need the same.",
		either(func(c *Config) *bool { return &c.LinkLocal }, "link-local", "interface"),
	},
	{
		"serial", `""`, `1 to 16 hexadecimal digits in quotes, not all zero, or ""`,
		"The serial of a board that has none of its own. The lowest serial makes the swarm. Empty asks the board.",
		orNone(func(c *Config) *peer.Serial { return &c.Serial }, peer.ParseSerial),
	},
	{
		"hostname", `"auto"`, `"auto" or "keep"`,
		"With \"auto\" a board that is still called as its image was (raspberrypi, debian, ...) takes the name pi- and the " +
			"last 6 digits of its serial, and a board whose name another one with a lower serial has, too, adds them to " +
			"its own. A name that you gave stays. With \"keep\" no name is ever changed, nor /etc/hosts.",
		either(func(c *Config) *bool { return &c.Rename }, "auto", "keep"),
	},
	{
		"docker_without_sudo", "true", "true or false",
		"Whether the first user of the board (user id 1000) may use docker without sudo. That user is then root in all but " +
			"name, as with sudo.",
		func(c *Config, v any) bool {
			b, ok := v.(bool)
			c.DockerWithoutSudo = b
			return ok
		},
	},
	{
		"docker", `"unix:///run/docker.sock"`, `"unix://" and the absolute path of a socket`,
		"Where the Docker Engine listens.",
		text(func(c *Config, s string) (ok bool) {
			c.Docker = s
			path, ok := strings.CutPrefix(s, "unix://")
			return ok && filepath.IsAbs(path)
		}),
	},
	{
		"web", `":7380"`, `a port from 1024 to 65535 as in ":7380", an address and a port, or "off"`,
		"Where the board serves the page that shows the cluster, for everybody on its networks to look at: open " +
			"http://<name or address of a board>:7380/. Its numbers for Prometheus are at /metrics.",
		text(func(c *Config, s string) (ok bool) {
			if s == "off" {
				c.Web = ""
				return true
			}
			host, port, err := net.SplitHostPort(s)
			_, hostErr := netip.ParseAddr(host)
			n, portErr := strconv.ParseUint(port, 10, 16)
			c.Web = s
			return err == nil && portErr == nil && n >= 1024 && (host == "" || hostErr == nil)
		}),
	},
	{
		"light", `"on"`, `"on" or "off"`,
		"Whether the green light of the board (ACT) says where it stands, instead of when its card is read.",
		either(func(c *Config) *bool { return &c.Light }, "on", "off"),
	},
	{
		"log", `"info"`, `"info" or "debug"`,
		"How much is written to the journal.",
		text(func(c *Config, s string) (ok bool) {
			level, err := zapcore.ParseLevel(s)
			c.Log = level
			return err == nil && (s == "info" || s == "debug")
		}),
	},
}
