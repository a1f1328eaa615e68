package prepare

// This file makes an engine forget a swarm that it cannot enter.

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"go.uber.org/zap"
)

// expiredPath is where the agent asks for an engine that has forgotten its swarm, see takenPath.
const expiredPath = "/run/pi-agent/swarm-expired"

// What the engine keeps of its swarm, below its data: the note that it is in one, and the certificate by which it
// enters.
const (
	noteName = "swarm/docker-state.json"
	certName = "swarm/certificates/swarm-node.crt"
)

// AskToForget asks root to let the engine forget the swarm that it cannot enter because its certificate has expired. It
// returns before that is done.
func AskToForget() error {
	if err := renameio.WriteFile(expiredPath, nil, 0o644); err != nil {
		return fmt.Errorf("ask root to let the engine forget its swarm: %w", err)
	}
	return nil
}

// forget moves the engine's note of its swarm away, if the agent has asked for that, and restarts the engine, which has
// its data in root. What the swarm holds stays where it is.
func forget(ctx context.Context, root string, log *zap.Logger) error {
	if _, err := os.Stat(expiredPath); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if done, err := putAside(root, time.Now()); err != nil || !done {
		return err
	}
	log.Info("The certificate of this manager has expired: Docker is restarted, for pi-agent to bring the swarm back.")
	// This runs before the engine's start, which therefore cannot be waited for.
	return command(ctx, "systemctl", "--no-block", "try-restart", "docker.service")
}

// putAside moves away the note of the engine with its data in root, if its certificate has expired. It reports whether
// it did.
func putAside(root string, now time.Time) (bool, error) {
	path := filepath.Join(root, certName)
	cert, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("let the engine forget its swarm: %w", err)
	}
	// The request stays where it is until the next boot, and must not be followed again when the swarm is back.
	switch ended, err := ended(cert, now); {
	case err != nil:
		return false, fmt.Errorf("let the engine forget its swarm: %s: %w", path, err)
	case !ended:
		return false, nil
	}
	note := filepath.Join(root, noteName)
	switch err := os.Rename(note, note+".expired"); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("let the engine forget its swarm: %w", err)
	}
	return true, nil
}

// ended reports whether the first certificate of a text is not valid any more.
func ended(text []byte, now time.Time) (bool, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return false, errors.New("it holds no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false, err
	}
	return now.After(cert.NotAfter), nil
}
