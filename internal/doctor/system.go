package doctor

import (
	"context"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/board"
	"github.com/pi-agent/pi-agent/internal/ports"
)

// OnThisBoard fills in the ways to look at the board that the program runs on.
func (p *Patient) OnThisBoard() {
	p.Root, p.Now = os.DirFS("/"), time.Now()
	p.Routes, p.Has, p.Synced = address.Kernel{}.Table, address.Kernel{}.Has, board.ClockSynced
	p.Free, p.Probe, p.Run = free, ports.Probe, run
	p.Strangers = func() []ports.Holder {
		l := ports.Here(p.Root)
		l.Engine, l.EngineErr = p.Engine, p.EngineErr
		return l.Strangers()
	}
}

func free(path string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return string(out), err
}
