package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// Pi is a virtual Raspberry Pi without an operating system of its own: what it runs is what the test starts.
//
// It sees the machine's files, with an /etc, /var/lib, /boot and /run of its own. What is written there and in
// /var/lib/docker stays through power cuts, except in /run. Everything else, /tmp too, is the machine's and shared.
type Pi struct {
	Computer              // its name, pi1, pi2 and so on, is also the hostname
	Addr     netip.Prefix // address that eth0 gets at boot
}

func (l *Lab) newPi(i int) (*Pi, error) {
	p := &Pi{
		Computer: Computer{
			Name:   fmt.Sprintf("pi%d", i+1),
			Serial: defaultSerial(i),
			MAC:    fmt.Sprintf("b8:27:eb:77:00:%02x", i+1),
			lab:    l,
		},
		Addr: netip.PrefixFrom(l.host(byte(11+i)), 24),
	}
	if i < len(l.options.Serials) {
		p.Serial = l.options.Serials[i]
	}
	p.Dir = filepath.Join(l.Dir, p.Name)
	if err := os.MkdirAll(filepath.Join(p.Dir, "log"), 0o755); err != nil {
		return nil, err
	}
	return p, p.flash()
}

// defaultSerial gives each eight Pis in a row the serials ...07, 02, 05, 08, 03, 06, 01, 04.
func defaultSerial(i int) string {
	return fmt.Sprintf("10000000aabbcc%02x", i/8*8+(i*3+6)%8+1)
}

func (p *Pi) disk() string { return filepath.Join(p.Dir, "disk") }

// flash makes the Pi's disk as a new card: blank but for its names, its name server and pi-agent.toml.
func (p *Pi) flash() error {
	if err := os.RemoveAll(p.disk()); err != nil {
		return err
	}
	for _, dir := range overlaid {
		for _, part := range []string{"upper", "work"} {
			if err := os.MkdirAll(filepath.Join(layer(p.disk(), dir), part), 0o755); err != nil {
				return err
			}
		}
	}
	id := sha256.Sum256([]byte(p.lab.ID + p.Name))
	etc, boot := filepath.Join(layer(p.disk(), "/etc"), "upper"), filepath.Join(layer(p.disk(), "/boot"), "upper")
	for _, dir := range []string{
		filepath.Join(p.disk(), "docker"),
		filepath.Join(boot, "firmware"),
		filepath.Join(etc, "pi-agent"),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		"hostname":               p.Name + "\n",
		"hosts":                  "127.0.0.1 localhost\n127.0.1.1 " + p.Name + "\n",
		"resolv.conf":            "nameserver " + p.lab.Gateway().String() + "\n",
		"machine-id":             hex.EncodeToString(id[:16]) + "\n",
		"pi-agent/pi-agent.toml": p.config(p.lab.options.Config),
	} {
		if err := os.WriteFile(filepath.Join(etc, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Boot turns the power on. Neither engine nor agent is started.
func (p *Pi) Boot(state Link) error {
	if p.On() {
		return fmt.Errorf("%s is on already", p.Name)
	}
	m, err := p.lab.boot(p.Dir, piNamespaces, initName, p.Name, p.disk())
	if err != nil {
		return fmt.Errorf("boot %s: %w", p.Name, err)
	}
	p.powered(m)
	if err := p.connect(state); err != nil {
		return fmt.Errorf("connect %s: %w", p.Name, err)
	}
	return nil
}

// PowerOn is Boot with a network as usual.
func (p *Pi) PowerOn() error { return p.Boot(Link{}) }

// Reflash pulls the plug if need be and puts a new card in: everything the Pi has written is gone, its serial is the
// same.
func (p *Pi) Reflash() error {
	if p.On() {
		if err := p.PowerOff(); err != nil {
			return err
		}
	}
	return p.flash()
}
