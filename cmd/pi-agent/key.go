package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"

	"go.uber.org/zap"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/config"
	"github.com/pi-agent/pi-agent/internal/discovery"
	"github.com/pi-agent/pi-agent/internal/enroll"
)

// keyCommand is "pi-agent key new". It writes no file: where the key goes is for the person who asks for it.
func keyCommand(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("pi-agent key", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "Usage of pi-agent key:\n  pi-agent key new\n    \tprint a new random cluster key")
	}
	if len(args) > 0 && args[0] == "new" {
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, clusterkey.Generate())
		return err
	}
	if err := parse(flags, args); err != nil {
		return err
	}
	flags.Usage()
	return errUsage
}

// membership is what makes this board one of its cluster.
type membership struct {
	trust   enroll.Trust
	cluster discovery.Cluster
}

// join makes the membership of a board in the cluster of that name with this key, or with none. It may take seconds.
func join(cluster string, phrase clusterkey.Phrase, log *zap.Logger) (membership, error) {
	if phrase.None() {
		log.Warn(fmt.Sprintf("There is no cluster key: every machine on this network that names cluster %q may join, or lead.", cluster))
		return membership{enroll.SameName{Cluster: cluster}, discovery.Cluster{Name: cluster}}, nil
	}
	if phrase.Weak() {
		log.Warn("The cluster key is a passphrase, which is weak: whoever listens to this network can take it home and guess. " +
			"\"pi-agent key new\" prints a strong one.")
	}
	key, err := phrase.Key(cluster)
	if err != nil {
		return membership{}, err
	}
	trust, err := enroll.NewSameKey(cluster, key)
	if err != nil {
		return membership{}, err
	}
	tag, err := key.Tag()
	if err != nil {
		return membership{}, err
	}
	sign, err := key.Signer("v1 announce")
	if err != nil {
		return membership{}, err
	}
	return membership{trust, discovery.Cluster{Name: cluster, Tag: tag, Sign: sign}}, nil
}

// clusterKey is the key in the settings, else the one in the file, which may be absent at its default place.
func clusterKey(cfg config.Config, path string, log *zap.Logger) (clusterkey.Phrase, error) {
	phrase, err := clusterkey.ReadFile(path)
	switch {
	case !cfg.Key.None():
		if err == nil && !phrase.Equal(cfg.Key) {
			log.Warn(fmt.Sprintf("The settings have another cluster key than %s: the one in the settings is in force.", path))
		}
		return cfg.Key, nil
	case path == clusterkey.Path && errors.Is(err, fs.ErrNotExist):
		return clusterkey.Phrase{}, nil
	case errors.Is(err, clusterkey.ErrExposed):
		log.Warn(fmt.Sprintf("The cluster key is no secret on this board: %v.", err))
		return phrase, nil
	}
	return phrase, err
}
