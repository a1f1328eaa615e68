package doctor

// The agent and the Docker Engine: that both run, and that the engine can do what a swarm needs.

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func checkAgent(_ context.Context, p *Patient) []Result {
	const name = "agent"
	switch {
	case p.Agent != nil:
		return with(fail(name, "sudo systemctl restart pi-agent, and see journalctl -u pi-agent", "It draws no picture of the cluster: %v.", p.Agent),
			"systemctl", "restart", "pi-agent")
	case p.Picture.Needs:
		return fail(name, "journalctl -u pi-agent tells more", "%s", p.Picture.Doing)
	}
	return pass(name, "%s", p.Picture.Doing)
}

// The oldest engine that pi-agent works with.
const (
	oldestMajor = 20
	oldestMinor = 10
)

func checkEngine(_ context.Context, p *Patient) []Result {
	const name = "engine"
	switch {
	case errors.Is(p.EngineErr, fs.ErrPermission), p.EngineErr != nil && strings.Contains(p.EngineErr.Error(), "no permission"):
		return skip(name, "Whoever may not use Docker cannot look at it: run sudo pi-agent doctor.")
	case p.EngineErr != nil:
		reason := strings.TrimPrefix(p.EngineErr.Error(), swarm.ErrUnreachable.Error()+": ")
		return with(fail(name, "sudo systemctl start docker, and see journalctl -u docker", "The Docker Engine does not answer: %s", reason),
			"systemctl", "start", "docker")
	}
	major, minor := version(p.Engine.Version)
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fail(name, "install docker.io of Debian bookworm or newer", "Docker Engine %s is too old, %d.%d is the oldest that will do.",
			p.Engine.Version, oldestMajor, oldestMinor)
	}
	if p.Engine.State == swarm.Failed || p.Engine.State == swarm.Locked {
		return fail(name, "journalctl -u docker tells more", "Docker Engine %s is not in its swarm (%s): %s.",
			p.Engine.Version, p.Engine.State, p.Engine.Error)
	}
	return pass(name, "Docker Engine %s answers, its swarm is %s.", p.Engine.Version, p.Engine.State)
}

// version is the first two numbers of an engine's version, 0 where there is none.
func version(s string) (major, minor int) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) < 2 {
		return 0, 0
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return 0, 0
	}
	minor, err = strconv.Atoi(parts[1])
	if err != nil {
		return 0, 0
	}
	return major, minor
}

func checkLiveRestore(_ context.Context, p *Patient) []Result {
	const name = "live-restore"
	switch {
	case p.EngineErr != nil:
		return nil
	case p.Engine.LiveRestore:
		return fail(name, `remove "live-restore" from /etc/docker/daemon.json, then sudo systemctl restart docker`,
			"Docker has live-restore on, which swarm mode does not support.")
	}
	return pass(name, "It is off, as swarm mode needs it.")
}

// enginePackages are the Debian packages that have an engine.
var enginePackages = []string{"docker.io", "docker-ce", "moby-engine"}

func checkHeld(_ context.Context, p *Patient) []Result {
	const name = "package"
	status, err := text(p.Root, "var/lib/dpkg/status")
	if err != nil {
		return skip(name, "There is no list of packages: %v.", err)
	}
	for _, pkg := range enginePackages {
		for entry := range strings.SplitSeq("\n"+status, "\n\n") {
			if !strings.Contains("\n"+entry+"\n", "\nPackage: "+pkg+"\n") || !strings.Contains(entry, " ok installed") {
				continue
			}
			if strings.Contains(entry, "\nStatus: hold ") {
				return warn(name, "sudo apt-mark unhold "+pkg, "The package %s is held back, and gets no security updates.", pkg)
			}
			return pass(name, "The engine is from the package %s, and gets updates.", pkg)
		}
	}
	return warn(name, "install docker.io, which gets security updates", "The engine is from no package that is known here.")
}

// certificatePath is the certificate of this node; root may read it.
const certificatePath = "var/lib/docker/swarm/certificates/swarm-node.crt"

// certificateSoon is how many days before its end a certificate should have been renewed.
const certificateSoon = 14

func checkCertificate(_ context.Context, p *Patient) []Result {
	const name = "certificate"
	if p.Picture.Swarm == nil {
		return nil
	}
	pemText, err := text(p.Root, certificatePath)
	if err != nil {
		return skip(name, "Root may look at the certificate of this node: run sudo pi-agent doctor.")
	}
	block, _ := pem.Decode([]byte(pemText))
	if block == nil {
		return fail(name, "docker swarm leave, after which the board joins anew", "The certificate of this node cannot be read.")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fail(name, "docker swarm leave, after which the board joins anew", "The certificate of this node cannot be read: %v.", err)
	}
	left := c.NotAfter.Sub(p.Now)
	switch days := left.Hours() / 24; {
	case left < 0:
		return fail(name, "set the clock right if it is wrong; else docker swarm leave, after which the board joins anew",
			"The certificate of this node has ended, %s ago.", picture.Ago(-left))
	case days < certificateSoon:
		return warn(name, "see that the managers run: they renew it", "The certificate of this node ends in %s.", picture.Ago(left))
	case p.Now.Before(c.NotBefore):
		return fail(name, "set the clock right", "The certificate of this node begins in %s: the clock is behind.",
			picture.Ago(c.NotBefore.Sub(p.Now)))
	}
	return pass(name, "The certificate of this node is valid for %s.", picture.Ago(left))
}
