// Package doctor looks for what keeps a board from being a good node of its swarm. Each check is a small function over
// what it is given, so that tests can give it a board on which all is well, and one that is ill.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/address"
	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Verdict is what a check says.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "PASS"
	Warn Verdict = "WARN" // works now, and may not later, or not well
	Fail Verdict = "FAIL" // does not work
	Skip Verdict = "SKIP" // cannot be looked at, for the reason given
)

// Result is the outcome of one check.
type Result struct {
	Check   string   `json:"check"` // name of the check, such as "port 2377/tcp"
	Verdict Verdict  `json:"verdict"`
	Text    string   `json:"text"`
	Remedy  string   `json:"remedy,omitempty"`
	Fix     []string `json:"fix,omitempty"` // a command that helps, is safe, and can be taken back

	firewall bool // it may be for a firewall
}

// Patient is a board, and the ways to look at it.
type Patient struct {
	Root    fs.FS // of its file system
	Now     time.Time
	Built   time.Time       // when this program was made
	Picture picture.Picture // of its cluster
	Agent   error           // why its agent did not draw the picture; nil when it did

	Engine    swarm.Status
	EngineErr error         // why Engine is not known; nil when it is
	Setup     dockerd.Setup // how a person has set it up
	DataRoot  string        // where it keeps its data; empty at the usual place
	Link      address.Choice
	LinkErr   error
	LinkLocal bool // the swarm is to use an address of 169.254.0.0/16

	Routes func() ([]address.Route, error)
	Has    func(netip.Addr) (bool, error)                                       // whether an address is the board's own
	Synced func() (bool, error)                                                 // whether a time server sets the clock
	Free   func(path string) (free, total uint64, err error)                    // bytes of a file system
	Probe  func(ctx context.Context, network string, addr netip.AddrPort) error // why a port is shut; see ports.Probe
	// Reached lets the other boards probe the ports of this one, and returns by their names what each found shut, and
	// why.
	Reached func(ctx context.Context) (map[string]map[string]string, error)
	Run     func(ctx context.Context, name string, args ...string) (string, error) // runs a command that changes nothing
	// Strangers lists who has ports that are meant for the engine or the agent.
	Strangers func() []ports.Holder
}

// check is one of the checks. It returns nothing where it does not apply.
type check func(ctx context.Context, p *Patient) []Result

// checks are all checks in the order in which they are told: what others need comes first.
var checks = []check{
	checkAgent, checkEngine, checkSettings, checkPackage, checkCertificate,
	checkModules, checkMemoryCgroup,
	checkClock, checkClocks,
	checkName, checkSerial,
	checkLink, checkSwarmAddress, checkLinkLocalRoute, checkOverlayPool, checkDockerNetworks, checkPowerSave,
	checkMulticast, checkMulticastOfPeers,
	checkStrangers, checkPorts, checkOwnPorts,
	checkDisk, checkVoltage,
}

// Examine makes all checks. It takes some seconds where ports are silent.
func Examine(ctx context.Context, p *Patient) (all []Result) {
	for _, c := range checks {
		all = append(all, c(ctx, p)...)
	}
	for _, r := range all {
		if r.firewall {
			return append(all, firewallCommands(p)...)
		}
	}
	return all
}

// Failed reports whether a check failed.
func Failed(all []Result) bool {
	for _, r := range all {
		if r.Verdict == Fail {
			return true
		}
	}
	return false
}

// Text writes the results as a person reads them, and how many there are of each verdict. Names in them come from other
// boards.
func Text(w io.Writer, all []Result) error {
	var b strings.Builder
	count := map[Verdict]int{}
	for _, r := range all {
		count[r.Verdict]++
		fmt.Fprintf(&b, "%s  %-19s %s\n", r.Verdict, r.Check, tame.Line(r.Text))
		for line := range strings.Lines(r.Remedy) {
			fmt.Fprintf(&b, "      %-19s -> %s\n", "", tame.Line(strings.TrimSuffix(line, "\n")))
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d warned, %d failed, %d skipped.\n", count[Pass], count[Warn], count[Fail], count[Skip])
	_, err := io.WriteString(w, b.String())
	return err
}

func pass(check, format string, args ...any) []Result {
	return []Result{{Check: check, Verdict: Pass, Text: fmt.Sprintf(format, args...)}}
}

func warn(check, remedy, format string, args ...any) []Result {
	return []Result{{Check: check, Verdict: Warn, Text: fmt.Sprintf(format, args...), Remedy: remedy}}
}

func fail(check, remedy, format string, args ...any) []Result {
	return []Result{{Check: check, Verdict: Fail, Text: fmt.Sprintf(format, args...), Remedy: remedy}}
}

func skip(check, format string, args ...any) []Result {
	return []Result{{Check: check, Verdict: Skip, Text: fmt.Sprintf(format, args...)}}
}

// with adds a command that helps.
func with(all []Result, fix ...string) []Result {
	for i := range all {
		all[i].Fix = fix
	}
	return all
}

// behindFirewall marks results for which a firewall may be the cause.
func behindFirewall(all []Result) []Result {
	for i := range all {
		all[i].firewall = true
	}
	return all
}

// dataRoot is where the engine keeps its data.
func (p *Patient) dataRoot() string { return cmp.Or(p.DataRoot, dockerd.DefaultRoot) }

// text is a file without space around it.
func text(root fs.FS, path string) (string, error) {
	b, err := fs.ReadFile(root, path)
	return strings.TrimSpace(string(b)), err
}
