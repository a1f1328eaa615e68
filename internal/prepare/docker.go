package prepare

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"

	"go.uber.org/zap"
)

// firstUser is the user id that Debian gives to the first human.
const firstUser = "1000"

// dockerGroup may use the Docker Engine, which is to be root in all but name.
const dockerGroup = "docker"

// dockerWithoutSudo puts the first user into group docker. Where there is no such user, or no Docker yet, there is nothing
// to do: it is tried anew when users change and at the next start.
func dockerWithoutSudo(ctx context.Context, log *zap.Logger) error {
	var noUser user.UnknownUserIdError
	var noGroup user.UnknownGroupError
	u, err := user.LookupId(firstUser)
	if errors.As(err, &noUser) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("docker without sudo: %w", err)
	}
	g, err := user.LookupGroup(dockerGroup)
	if errors.As(err, &noGroup) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("docker without sudo: %w", err)
	}
	has, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("docker without sudo: groups of %s: %w", u.Username, err)
	}
	if slices.Contains(has, g.Gid) {
		return nil
	}
	if err := command(ctx, "usermod", "--append", "--groups", dockerGroup, u.Username); err != nil {
		return fmt.Errorf("docker without sudo: %w", err)
	}
	log.Info(fmt.Sprintf("User %s may use docker without sudo, from the next login on.", u.Username))
	return nil
}
