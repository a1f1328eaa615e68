package lab

import (
	"context"
	"fmt"
)

// StartAvahi starts dbus and avahi-daemon, the foreign mDNS implementation that Raspberry Pi OS has, and returns when
// avahi-browse and avahi-publish can be used in the Pi. Its log, and the name to stop it by, is "avahi-daemon".
func (p *Pi) StartAvahi(ctx context.Context) error {
	if _, err := p.Exec(ctx, "mkdir", "-p", "/run/dbus"); err != nil {
		return err
	}
	if _, err := p.Exec(ctx, "dbus-daemon", "--system", "--fork"); err != nil { // returns when it listens
		return err
	}
	// Avahi's limit of processes counts those of the avahi user on all Pis together.
	if _, err := p.Start("avahi-daemon", "avahi-daemon", "--no-rlimits", "--no-drop-root"); err != nil {
		return err
	}
	if err := p.WaitLog(ctx, "avahi-daemon", "Server startup complete"); err != nil {
		return fmt.Errorf("start avahi: %w", err)
	}
	return nil
}
