package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bootOffset is where the image of a card has its FAT partition, as mtools name it.
const bootOffset = "@@4M"

// CPU is an emulated machine with the processor of some Pis.
type CPU struct{ program, machine, model, pi string }

// The processors of 64-bit Pis, and of the oldest one with ARMv7.
var (
	ARMv8 = CPU{"qemu-system-aarch64", "virt", "max,pauth-impdef=on", "Raspberry Pi 4 Model B Rev 1.4"}
	ARMv7 = CPU{"qemu-system-arm", "virt,highmem=off", "cortex-a7", "Raspberry Pi 2 Model B Rev 1.1"}
)

// Board is an emulated Pi that boots from a card: firmware, screen and GPIO are not there, but the CPU, the kernel
// and everything on the card are what a real one has, and the device tree names its serial. It is some 20 times slower.
type Board struct {
	Name   string
	Serial string
	MAC    string
	Clock  time.Time // what its clock says when it is powered on; zero for the time of this machine

	lab  *Lab
	cpu  CPU
	dir  string
	qemu *Process // nil while it was never on
}

// NewBoard returns a board without power, with a card that was flashed from image. Its name becomes that of its cable
// at the switch, so 15 bytes at most.
func (l *Lab) NewBoard(name, serial string, cpu CPU, image string) (*Board, error) {
	b := &Board{Name: name, Serial: serial, lab: l, cpu: cpu, dir: filepath.Join(l.Dir, name)}
	b.MAC = fmt.Sprintf("dc:a6:32:%s:%s:%s", serial[10:12], serial[12:14], serial[14:16])
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return nil, err
	}
	for _, argv := range [][]string{
		{"cp", "--sparse=always", image, b.card()},
		{"truncate", "--size=8G", b.card()}, // as cards are, which are larger than images
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", b.path("login")},
		{"mcopy", "-i", b.card() + bootOffset, b.path("login.pub"), "::authorized_keys"},
		{"mcopy", "-i", b.card() + bootOffset, "::vmlinuz-*", b.path("kernel")},
		{"mcopy", "-i", b.card() + bootOffset, "::initrd.img-*", b.path("initrd")},
		{"mcopy", "-i", b.card() + bootOffset, "::cmdline.txt", b.path("cmdline")},
		append(b.argv(), "-machine", cpu.machine+",dumpdtb="+b.path("tree")),
		{"fdtput", "-t", "s", b.path("tree"), "/", "serial-number", serial},
		{"fdtput", "-t", "s", b.path("tree"), "/", "model", cpu.pi},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w: %s", name, strings.Join(argv, " "), err, out)
		}
	}
	return b, nil
}

func (b *Board) path(name string) string { return filepath.Join(b.dir, name) }

func (b *Board) card() string { return b.path("card.img") }

// argv is the emulator with the parts of the board that are always the same.
func (b *Board) argv() []string {
	return []string{b.cpu.program, "-cpu", b.cpu.model, "-smp", "1", "-m", "1024", "-nodefaults", "-display", "none"}
}

// PutOnCard writes a file of the boot partition, as any computer can. The power must be off.
func (b *Board) PutOnCard(name, text string) error {
	c := exec.Command("mcopy", "-o", "-i", b.card()+bootOffset, "-", "::"+name)
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: put %s on the card: %w: %s", b.Name, name, err, out)
	}
	return nil
}

// PowerOn starts the board with the kernel that is on its card. Its console is in the log of that name.
func (b *Board) PowerOn() error {
	cmdline, err := os.ReadFile(b.path("cmdline"))
	if err != nil {
		return err
	}
	if err := b.lab.lan.ip(
		"tuntap add dev "+b.Name+" mode tap",
		"link set "+b.Name+" master "+bridge+" up",
	); err != nil {
		return err
	}
	argv := append(b.argv(),
		"-machine", b.cpu.machine, "-accel", "tcg,thread=multi",
		"-kernel", b.path("kernel"), "-initrd", b.path("initrd"), "-dtb", b.path("tree"),
		"-append", strings.TrimSpace(string(cmdline))+" console=ttyAMA0 mitigations=off",
		"-drive", "if=none,id=card,format=raw,cache=unsafe,file="+b.card(), "-device", "virtio-blk-pci,drive=card",
		"-netdev", "tap,id=cable,script=no,downscript=no,ifname="+b.Name,
		"-device", "virtio-net-pci,netdev=cable,romfile=,mac="+b.MAC,
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
		"-serial", "file:"+b.path("console.log"),
	)
	if !b.Clock.IsZero() {
		argv = append(argv, "-rtc", "base="+b.Clock.UTC().Format("2006-01-02T15:04:05"))
	}
	b.qemu, err = b.lab.startInLAN(b.Name, argv...)
	return err
}

// On reports whether the board has power.
func (b *Board) On() bool { return b.qemu != nil && b.qemu.Running() }

// PowerOff pulls the plug.
func (b *Board) PowerOff() error {
	if !b.On() {
		return errors.New(b.Name + " is off")
	}
	b.qemu.Kill()
	return b.lab.lan.ip("link del " + b.Name)
}

// Console is what the board has written on its serial console since it was powered on.
func (b *Board) Console() string {
	text, _ := os.ReadFile(b.path("console.log")) // none is an empty one
	return string(text)
}

// Addr is the address that DHCP gave to the board last.
func (b *Board) Addr() (netip.Addr, error) {
	leases, err := os.ReadFile(b.lab.leases())
	if err != nil {
		return netip.Addr{}, err
	}
	for line := range strings.Lines(string(leases)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == b.MAC {
			return netip.ParseAddr(f[2])
		}
	}
	return netip.Addr{}, errors.New(b.Name + " has no lease")
}

// Exec runs a shell command on the board as root, through ssh, as its owner does.
func (b *Board) Exec(ctx context.Context, script string) ([]byte, error) {
	addr, err := b.Addr()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := command(ctx, b.lab.lan.enter, []string{"ssh", "-i", b.path("login"), "-F", "none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=20",
		"pi@" + addr.String(), "sudo sh -c '" + strings.ReplaceAll(script, "'", `'\''`) + "'"})
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", b.Name, script, err)
	}
	return out, err
}
