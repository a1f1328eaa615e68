package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/board"
)

// probeMax is how long a port may take to answer.
const probeMax = 2 * time.Second

// OnThisBoard fills in the ways to look at the board that the program runs on.
func (p *Patient) OnThisBoard() {
	p.Root, p.Now = os.DirFS("/"), time.Now()
	p.Has, p.Synced, p.Free, p.Probe, p.Run = address.Kernel{}.Has, board.ClockSynced, free, probe, run
}

func free(path string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// probe knocks at a port. UDP has no answer that can be waited for: silence is well, only a refusal is an error.
func probe(ctx context.Context, network string, addr netip.AddrPort) error {
	conn, err := (&net.Dialer{Timeout: probeMax}).DialContext(ctx, network, addr.String())
	if err != nil {
		return why(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written that could be lost
	if network != "udp" {
		return nil
	}
	// A refusal of the first packet is told when the next one is sent or read.
	if _, err := conn.Write([]byte{0}); err != nil {
		return why(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeMax / 4)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return why(err)
	}
	return nil
}

// why is the cause of a network error without addresses.
func why(err error) error {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer")
	}
	return err
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return string(out), err
}
