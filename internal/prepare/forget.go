package prepare

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"
)

// expiredPath is where the agent asks for an engine that has forgotten its swarm, see takenPath.
const expiredPath = "/run/pi-agent/swarm-expired"

// What the engine keeps of its swarm: the note that it is in one, and the certificate by which it enters.
const (
	notePath = "/var/lib/docker/swarm/docker-state.json"
	certPath = "/var/lib/docker/swarm/certificates/swarm-node.crt"
)

// AskToForget asks root to let the engine forget the swarm that it cannot enter, for its certificate has expired. It returns
// before that is done.
func AskToForget() error {
	if err := renameio.WriteFile(expiredPath, nil, 0o644); err != nil {
		return fmt.Errorf("ask root to let the engine forget its swarm: %w", err)
	}
	return nil
}

// forget moves the engine's note of its swarm away, if the agent has asked for that, and restarts the engine. What the swarm
// holds stays where it is.
func forget(ctx context.Context, log *zap.Logger) error {
	if _, err := os.Stat(expiredPath); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cert, err := os.ReadFile(certPath)
	if err != nil {
		return fmt.Errorf("let the engine forget its swarm: %w", err)
	}
	// The request stays where it is until the next boot, and must not be followed again when the swarm is back.
	if ended, err := ended(cert, time.Now()); err != nil || !ended {
		return err
	}
	switch err := os.Rename(notePath, notePath+".expired"); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("let the engine forget its swarm: %w", err)
	}
	log.Info("The certificate of this manager has expired: Docker is restarted, for pi-agent to bring the swarm back.")
	// This runs before the engine's start, which therefore cannot be waited for.
	return command(ctx, "systemctl", "--no-block", "try-restart", "docker.service")
}

// ended reports whether the first certificate of a file is not valid any more.
func ended(text []byte, now time.Time) (bool, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return false, fmt.Errorf("%s holds no certificate", certPath)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false, fmt.Errorf("%s: %w", certPath, err)
	}
	return now.After(cert.NotAfter), nil
}
