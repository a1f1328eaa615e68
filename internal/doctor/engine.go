package doctor

// The agent and the Docker Engine: that both run, and that the engine can do what a swarm needs.

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func checkAgent(_ context.Context, p *Patient) []Result {
	const name = "agent"
	switch {
	case p.Agent != nil:
		return with(fail(name, "sudo systemctl restart pi-agent, and see journalctl -u pi-agent",
			"It draws no picture of the cluster: %v.", p.Agent),
			"systemctl", "restart", "pi-agent")
	case p.Picture.Needs:
		return fail(name, "journalctl -u pi-agent says more", "%s", p.Picture.Doing)
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
	case errors.Is(p.EngineErr, swarm.ErrNoPermission):
		return skip(name, "Whoever may not use Docker cannot look at it: run sudo pi-agent doctor.")
	case p.EngineErr != nil:
		reason := strings.TrimPrefix(p.EngineErr.Error(), swarm.ErrUnreachable.Error()+": ")
		return with(fail(name, "sudo systemctl start docker, and see journalctl -u docker",
			"The Docker Engine does not answer: %s", reason),
			"systemctl", "start", "docker")
	}
	major, minor := version(p.Engine.Version)
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fail(name, "install docker.io of Debian bookworm or newer",
			"Docker Engine %s is too old, %d.%d is the oldest that will do.",
			p.Engine.Version, oldestMajor, oldestMinor)
	}
	if p.Engine.State == swarm.Failed || p.Engine.State == swarm.Locked {
		remedy := "journalctl -u docker says more"
		if fault := p.Engine.Fault(); fault == swarm.Expired || fault == swarm.OwnExpired {
			remedy = "pi-agent status says what becomes of it"
		}
		return fail(name, remedy, "Docker Engine %s is not in its swarm (%s): %s.",
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

func checkSettings(_ context.Context, p *Patient) (all []Result) {
	const name = "settings of docker"
	found := swarm.Hindering(p.Setup)
	if s := p.Engine.Excluded; p.EngineErr == nil && s != nil && !slices.Contains(found, s) {
		found = append(found, s)
	}
	for _, s := range found {
		tell := warn
		if s.Excludes {
			tell = fail
		}
		all = append(all, tell(name, s.Remedy.En, "%s", s.Text.Capital().Dot())...)
	}
	if len(all) == 0 {
		return pass(name, "None is in the way of a swarm.")
	}
	return all
}

// enginePackages are the Debian packages that have an engine.
var enginePackages = []string{"docker.io", "docker-ce", "moby-engine"}

// numbers are the leading numbers of a version: what comes after them is Debian's.
var numbers = regexp.MustCompile(`^(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)`)

func upstream(version string) string {
	if m := numbers.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return ""
}

// enginePackage is the package with an engine that is installed: its name and its entry in the list of packages, both
// empty when there is none.
func enginePackage(status string) (name, entry string) {
	for _, pkg := range enginePackages {
		for entry := range strings.SplitSeq("\n"+status, "\n\n") {
			if strings.Contains("\n"+entry+"\n", "\nPackage: "+pkg+"\n") && strings.Contains(entry, " ok installed") {
				return pkg, entry + "\n"
			}
		}
	}
	return "", ""
}

// checkPackage looks whether the engine that runs gets updates.
func checkPackage(_ context.Context, p *Patient) []Result {
	const name, remedy = "package", "install docker.io, which gets security updates"
	status, err := text(p.Root, "var/lib/dpkg/status")
	if err != nil {
		return skip(name, "There is no list of packages: %v.", err)
	}
	pkg, entry := enginePackage(status)
	program := p.program()
	_, after, _ := strings.Cut(entry, "\nVersion: ")
	has, _, _ := strings.Cut(after, "\n")
	owned, known := owns(p.Root, pkg, program)
	runs := ""
	if p.EngineErr == nil {
		runs = upstream(p.Engine.Version)
	}
	switch {
	case pkg == "":
		return warn(name, remedy, "The engine is from no package that is known here.")
	case known && !owned:
		return warn(name, "let docker.service start that of the package: systemctl cat docker.service shows what it starts",
			"The package %s is installed, and the engine is another one, %s, which gets no security updates from it.",
			pkg, program)
	case runs != "" && upstream(has) != "" && runs != upstream(has) && known:
		return warn(name, "sudo systemctl restart docker",
			"The package %s is of version %s, and the engine that runs is still %s.", pkg, has, runs)
	case runs != "" && upstream(has) != "" && runs != upstream(has):
		return warn(name, "sudo systemctl restart docker, where the package was upgraded; "+
			"else find out where the engine is from: ps -C dockerd -o args",
			"The package %s is of version %s, and the engine that runs is %s: it is another one, or from before an upgrade.",
			pkg, has, runs)
	case strings.Contains(entry, "\nStatus: hold "):
		return warn(name, "sudo apt-mark unhold "+pkg, "The package %s is held back, and gets no security updates.", pkg)
	}
	return pass(name, "The engine is from the package %s, and gets updates.", pkg)
}

// program is the engine's, as root sees the one that runs, or as systemd would start it; empty where neither is known.
func (p *Patient) program() string {
	if pid, err := text(p.Root, "run/docker.pid"); err == nil {
		if _, err := strconv.Atoi(pid); err == nil {
			if exe, err := fs.ReadLink(p.Root, "proc/"+pid+"/exe"); err == nil {
				return strings.TrimSuffix(exe, " (deleted)") // since an upgrade
			}
		}
	}
	return p.Setup.Program
}

// owns reports whether a package has brought a program, and whether that is known.
func owns(root fs.FS, pkg, program string) (owned, known bool) {
	names, err := fs.Glob(root, "var/lib/dpkg/info/"+pkg+"*.list")
	if err != nil || pkg == "" || program == "" {
		return false, false
	}
	for _, at := range names {
		if base := path.Base(at); base != pkg+".list" && !strings.HasPrefix(base, pkg+":") {
			continue // a package whose name begins alike
		}
		list, err := text(root, at)
		if err != nil {
			continue
		}
		known = true
		if strings.Contains("\n"+list+"\n", "\n"+program+"\n") {
			return true, true
		}
	}
	return false, known
}

// certificateName is the certificate of this node below the engine's data; root may read it.
const certificateName = "swarm/certificates/swarm-node.crt"

// certificateSoon is how many days before its end a certificate should have been renewed.
const certificateSoon = 14

func checkCertificate(_ context.Context, p *Patient) []Result {
	const name = "certificate"
	if p.Picture.Swarm == nil {
		return nil
	}
	pemText, err := text(p.Root, strings.TrimPrefix(path.Join(p.dataRoot(), certificateName), "/"))
	if err != nil {
		return skip(name, "Root may look at the certificate of this node: run sudo pi-agent doctor.")
	}
	block, _ := pem.Decode([]byte(pemText))
	if block == nil {
		return fail(name, "docker swarm leave, after which the board joins anew",
			"The certificate of this node cannot be read.")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fail(name, "docker swarm leave, after which the board joins anew",
			"The certificate of this node cannot be read: %v.", err)
	}
	left := c.NotAfter.Sub(p.Now)
	switch days := left.Hours() / 24; {
	case left < 0:
		return fail(name, "set the clock right if it is wrong; else docker swarm leave, after which the board joins anew",
			"The certificate of this node has ended, %s ago.", say.Ago(-left))
	case days < certificateSoon:
		return warn(name, "see that the managers run: they renew it", "The certificate of this node ends in %s.",
			say.Ago(left))
	case p.Now.Before(c.NotBefore):
		return fail(name, "set the clock right", "The certificate of this node begins in %s: the clock is behind.",
			say.Ago(c.NotBefore.Sub(p.Now)))
	}
	return pass(name, "The certificate of this node is valid for %s.", say.Ago(left))
}
