package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Capture records all packets on the LAN until the lab ends, in the file CapturePath. It returns when that has begun. A
// lab of New does so from the start.
func (l *Lab) Capture(ctx context.Context) error {
	if _, err := os.Stat(l.CapturePath()); err == nil {
		return nil
	}
	if _, err := l.startInLAN("tcpdump", "tcpdump", "-i", bridge, "-U", "-Z", "root", "-w", l.CapturePath()); err != nil {
		return err
	}
	return Wait(ctx, 20*time.Millisecond, func(context.Context) error {
		log, err := os.ReadFile(l.lanLog("tcpdump"))
		if err != nil {
			return final{err}
		}
		if !bytes.Contains(log, []byte("listening on")) {
			return fmt.Errorf("tcpdump does not listen yet: %s", log)
		}
		return nil
	})
}

// CapturePath is the file that Capture writes.
func (l *Lab) CapturePath() string { return filepath.Join(l.Dir, "lan", "lan.pcap") }

// startInLAN starts a program on the LAN's own host.
func (l *Lab) startInLAN(name string, argv ...string) (*Process, error) {
	log, err := os.OpenFile(l.lanLog(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// In the LAN's pid namespace, too, to die with it.
	enter := func(f func() error) error { return enterPid(l.lan.inside, []string{"net", "pid"}, f) }
	cmd := command(context.Background(), enter, argv)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the keyboard is not for it
	return startProcess(name, cmd)
}

func (l *Lab) lanLog(name string) string { return filepath.Join(l.Dir, "lan", name+".log") }
