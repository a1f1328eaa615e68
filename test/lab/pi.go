package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// Pi is a virtual Raspberry Pi. Its methods may be called from several goroutines, but power, link and process
// changes of one Pi should come from one.
//
// It sees the machine's files, with an /etc, /var/lib, /boot and /run of its own. What is written there and in
// /var/lib/docker stays through power cuts, except in /run. Everything else, /tmp too, is the machine's and shared.
type Pi struct {
	Name   string       // pi1, pi2 and so on; also the hostname
	Serial string       // as in its pi-agent.toml
	MAC    string       // hardware address of eth0
	Addr   netip.Prefix // address that eth0 gets at boot
	Dir    string       // what the lab keeps about it: disk, logs

	lab *Lab

	mu        sync.Mutex
	machine   *machine // nil while the power is off
	processes map[string]*Process
}

func (l *Lab) newPi(i int) (*Pi, error) {
	p := &Pi{
		Name:   fmt.Sprintf("pi%d", i+1),
		Serial: defaultSerial(i),
		MAC:    fmt.Sprintf("b8:27:eb:77:00:%02x", i+1),
		Addr:   netip.PrefixFrom(l.host(byte(11+i)), 24),
		lab:    l,
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
	m, err := p.lab.boot(p.Dir, piNamespaces, p.Name, p.disk())
	if err != nil {
		return fmt.Errorf("boot %s: %w", p.Name, err)
	}
	p.mu.Lock()
	p.machine, p.processes = m, map[string]*Process{}
	p.mu.Unlock()
	if err := p.connect(state); err != nil {
		return fmt.Errorf("connect %s: %w", p.Name, err)
	}
	return nil
}

// PowerOn is Boot with a network as usual.
func (p *Pi) PowerOn() error { return p.Boot(Link{}) }

// PowerOff pulls the plug: all processes get SIGKILL at once. It returns when they are dead.
func (p *Pi) PowerOff() error {
	m, err := p.on()
	if err != nil {
		return err
	}
	m.kill()
	p.reap()
	p.mu.Lock()
	p.machine = nil
	p.mu.Unlock()
	// The kernel takes the interface away in its own time, and the next boot wants the name.
	_ = p.lab.lan.ip("link del " + p.Name)
	return nil
}

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

// reap waits for the end of a Pi that is about to die, and of what was started in it.
func (p *Pi) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.machine == nil {
		return
	}
	<-p.machine.gone
	for _, proc := range p.processes {
		<-proc.done
	}
}

// On reports whether the power is on.
func (p *Pi) On() bool {
	_, err := p.on()
	return err == nil
}

func (p *Pi) on() (*machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.machine == nil {
		return nil, fmt.Errorf("%s is off", p.Name)
	}
	return p.machine, nil
}

// Enter calls f on a thread that is inside the Pi: files it opens, sockets it makes and programs it starts belong
// there. f must not start goroutines for such work, nor end its own (as t.Fatal does).
func (p *Pi) Enter(f func() error) error {
	m, err := p.on()
	if err != nil {
		return err
	}
	return m.enter(f)
}

// Command is exec.CommandContext for a program inside the Pi.
func (p *Pi) Command(ctx context.Context, argv ...string) *Cmd { return command(ctx, p.Enter, argv) }

// Exec runs a program inside the Pi and returns its standard output. The error has its standard error in the text.
func (p *Pi) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	out, err := p.Command(ctx, argv...).Output()
	if err != nil {
		err = fmt.Errorf("%s: %v: %w", p.Name, argv, err)
	}
	return out, err
}

// Path is a file of the Pi as this process reaches it; empty while the Pi is off. It works for sockets, too.
func (p *Pi) Path(name string) string {
	m, err := p.on()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("/proc/%d/root%s", m.cmd.Process.Pid, name)
}

// WriteFile writes a file of the Pi, and the directories above it. The Pi must be on.
func (p *Pi) WriteFile(name, text string, mode os.FileMode) error {
	return p.Enter(func() error {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(text), mode)
	})
}
