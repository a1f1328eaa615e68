package prepare

// This file lets the first user use docker without sudo.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// firstUser is the user id that Debian gives to the first human.
const firstUser = "1000"

// dockerGroup may use the Docker Engine, which is to be root in all but name.
const dockerGroup = "docker"

// The files of passwd(5) and lckpwdf(3).
const (
	usersPath = "/etc/passwd"
	usersLock = "/etc/.pwd.lock"
)

// dockerWithoutSudo puts the first user into group docker, and looks again when users have changed meanwhile: systemd
// does not notice a change of the file while the unit that it started for the previous one still runs.
func dockerWithoutSudo(ctx context.Context, log *zap.Logger) error {
	for {
		if err := awaitUsers(); err != nil {
			return fmt.Errorf("docker without sudo: %w", err)
		}
		before, err := os.Stat(usersPath)
		if err != nil {
			return fmt.Errorf("docker without sudo: %w", err)
		}
		if err := addFirstUser(ctx, log); err != nil {
			return fmt.Errorf("docker without sudo: %w", err)
		}
		after, err := os.Stat(usersPath)
		if err == nil && os.SameFile(before, after) && before.ModTime().Equal(after.ModTime()) {
			return nil
		}
	}
}

// awaitUsers waits until nobody is changing users. Programs that do touch the file long before the change is in it.
func awaitUsers() error {
	f, err := os.OpenFile(usersLock, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // which ends the lock
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// addFirstUser puts the first user into group docker. Where there is no such user, or no Docker yet, there is nothing
// to do.
func addFirstUser(ctx context.Context, log *zap.Logger) error {
	var noUser user.UnknownUserIdError
	var noGroup user.UnknownGroupError
	u, err := user.LookupId(firstUser)
	if errors.As(err, &noUser) {
		return nil
	}
	if err != nil {
		return err
	}
	g, err := user.LookupGroup(dockerGroup)
	if errors.As(err, &noGroup) {
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("groups of %s: %w", u.Username, err)
	}
	if slices.Contains(groups, g.Gid) {
		return nil
	}
	if err := command(ctx, "usermod", "--append", "--groups", dockerGroup, u.Username); err != nil {
		return err
	}
	log.Info(fmt.Sprintf("User %s may use docker without sudo, from the next login on.", u.Username))
	return nil
}
