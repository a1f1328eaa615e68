package prepare

// This file takes the cluster key off the boot partition and gives it to the agent.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/bootfile"
	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

// agentUser is who the service runs as.
const agentUser = "pi-agent"

// Key takes the cluster key off the boot partition, if there is one, and gives it to the agent. It comes before the
// settings are looked at, because an agent that tells what is wrong with them needs the key to be heard.
func Key(log *zap.Logger) error {
	done, err := clusterkey.Take(bootfile.Dirs, clusterkey.Path)
	if done != "" {
		log.Info(done)
	}
	if errors.Is(err, clusterkey.ErrStillThere) {
		log.Warn(fmt.Sprintf("No secret: %v.", err))
		err = nil
	}
	return errors.Join(err, giveKey(clusterkey.Path, agentUser))
}

// giveKey gives the file with the cluster key, which a person puts there as root, to the agent, and to nobody else.
// Where there is no such file or user there is nothing to do.
func giveKey(path, name string) error {
	var noUser user.UnknownUserError
	u, err := user.Lookup(name)
	if errors.As(err, &noUser) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("give the cluster key to the agent: %w", err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return fmt.Errorf("give the cluster key to the agent: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("give the cluster key to the agent: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing is written
	if err := errors.Join(f.Chmod(0o600), f.Chown(uid, gid)); err != nil {
		return fmt.Errorf("give the cluster key to the agent: %w", err)
	}
	return nil
}
