// Package peer has the words in which boards speak about themselves: the serial, and the claim that goes into
// announcements and into every hello.
package peer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"github.com/pi-agent/pi-agent/internal/say"
	"net/netip"
	"regexp"
	"time"
)

// Port is the TCP port of hello and join, and the port announced in SRV records. It follows Docker's 2375-2377.
const Port = 2378

// DefaultCluster is the name of the cluster a board belongs to when nobody named one.
const DefaultCluster = "pi"

// State is what a board says it is doing.
type State string

// The states of a board. The first four are outside any swarm.
const (
	Waiting  State = "waiting"  // cannot take part yet: no engine, no address
	Blank    State = "blank"    // ready, in no swarm
	Electing State = "electing" // wants to run swarm init, and asks every board it knows first; yields to a lower serial
	Founding State = "founding" // runs swarm init; yields to nobody any more
	Worker   State = "worker"   // in a swarm
	Manager  State = "manager"  // in a swarm, and able to admit boards to it
)

// InSwarm reports whether a board in this state belongs to a swarm.
func (s State) InSwarm() bool { return s == Worker || s == Manager }

// Membership is a board's place in a swarm. It is empty outside one.
type Membership struct {
	Swarm string `json:"swarm,omitempty"` // id of the swarm, empty as long as it is not known
	Node  string `json:"node,omitempty"`  // the board's node id in it

	Manager bool `json:"manager,omitempty"` // the board manages it
	Sole    bool `json:"sole,omitempty"`    // and no other does
	Yields  bool `json:"yields,omitempty"`  // a person has given the swarm up: this manager takes its board into another

	// Revive is valid while the board's engine has forgotten, or is about to, that it is in the swarm, and is to be
	// made its manager again, at this address.
	Revive netip.Addr `json:"revive,omitzero"`

	// From is the board that the card was in before. What the engine is a member of is that board's, where it is still
	// there.
	From Serial `json:"from,omitempty"`
}

// Validate checks a membership that was read. The error names the field and its value.
func (m Membership) Validate() error {
	if !idForm.MatchString(m.Swarm) {
		return fmt.Errorf("swarm %.80q is not a swarm id", m.Swarm)
	}
	if !idForm.MatchString(m.Node) {
		return fmt.Errorf("node %.80q is not a node id", m.Node)
	}
	if m.From != "" {
		if _, err := ParseSerial(string(m.From)); err != nil {
			return fmt.Errorf("from: %w", err)
		}
	}
	return nil
}

// Claim is what a board says about itself. In an announcement it is a hint that anybody may have sent; in a hello it
// comes over a channel that enroll has checked.
type Claim struct {
	// These are announced and in every hello.

	Serial  Serial `json:"serial"`
	Cluster string `json:"cluster"`         // name of the cluster the board belongs to
	Tag     string `json:"tag,omitempty"`   // tells cluster keys apart and proves nothing; empty without a key
	State   State  `json:"state"`           // what the board is doing
	Swarm   string `json:"swarm,omitempty"` // id of its swarm, empty when in none or not yet known

	// These are in a hello only.

	Node     string    `json:"node,omitempty"`     // its node id in the swarm
	Model    string    `json:"model,omitempty"`    // such as "Raspberry Pi 4 Model B Rev 1.1"
	Hostname string    `json:"hostname,omitempty"` // empty where the board has none that it can have
	Machine  string    `json:"machine,omitempty"`  // Mark of its machine id
	Engine   string    `json:"engine,omitempty"`   // Mark of its Docker Engine's id
	Clock    time.Time `json:"clock,omitzero"`     // the board's clock when it spoke
	Boot     uint64    `json:"boot,omitempty"`     // drawn by lot when its agent started; zero from an older agent
	Said     uint64    `json:"said,omitempty"`     // what its agent has said since then, counted
	Peers    string    `json:"peers,omitempty"`    // see Claim.Others
	Trouble  say.Text  `json:"trouble,omitzero"`   // why it cannot take part until a person helps
	Waits    say.Text  `json:"waits,omitzero"`     // why it is not in a swarm yet
	Contents Contents  `json:"contents,omitzero"`  // of the swarm that it manages
	Unlisted bool      `json:"unlisted,omitempty"` // its swarm does not list the node of the board that it answers
	Nodes    int       `json:"nodes,omitempty"`    // how many its swarm lists, told to one of them
	Ready    int       `json:"ready,omitempty"`    // and how many of these are ready
	Orphan   bool      `json:"orphan,omitempty"`   // a worker whose managers all say that they manage its swarm no longer
	// Manages is the id of the swarm that it manages once its engine is back, which does not answer or cannot enter it.
	Manages   string `json:"manages,omitempty"`
	Unreached bool   `json:"unreached,omitempty"` // it cannot reach the board that it answers, which has asked it

	// This is in a request to join only.

	Moving bool `json:"moving,omitempty"` // it will leave its swarm when it may join that of the board it asks
}

var (
	clusterForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	idForm      = regexp.MustCompile(`^[a-z0-9]{0,64}$`)
	codeForm    = regexp.MustCompile(`^[a-z-]{0,64}$`)
	tagForm     = regexp.MustCompile(`^[0-9a-f]{0,16}$`)
)

// Bounds of the free text of a claim, in bytes.
const (
	textMax    = 128 // of Model and Hostname; the longest known board model has 44
	TroubleMax = 512 // of Trouble and Waits
)

// CheckCluster says whether name may name a cluster: 1 to 32 characters of a-z, 0-9 and inner "-".
func CheckCluster(name string) error {
	if !clusterForm.MatchString(name) {
		return fmt.Errorf("cluster %.40q: give 1 to 32 characters of a-z, 0-9 and -, not starting or ending with -", name)
	}
	return nil
}

// Mark tells ids of one kind apart on other boards. The id itself, which is meant to stay on its machine, cannot be
// read back from it. No id has no mark.
func Mark(kind, id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("pi-agent " + kind + "\n" + id))
	return hex.EncodeToString(sum[:8])
}

// Membership is the place in a swarm that the board claims.
func (c Claim) Membership() Membership {
	return Membership{Swarm: c.Swarm, Node: c.Node, Manager: c.State == Manager}
}

// Validate checks a claim that came from outside. The error names the field and its value.
func (c Claim) Validate() error {
	if s, err := ParseSerial(string(c.Serial)); err != nil {
		return err
	} else if s != c.Serial {
		return fmt.Errorf("serial %q is not in its normal form %q", c.Serial, s)
	}
	if err := CheckCluster(c.Cluster); err != nil {
		return err
	}
	if !tagForm.MatchString(c.Tag) {
		return fmt.Errorf("tag %.40q is not the tag of a key", c.Tag)
	}
	for _, m := range []struct{ name, value string }{{"machine", c.Machine}, {"engine", c.Engine}} {
		if !tagForm.MatchString(m.value) {
			return fmt.Errorf("%s %.40q is not the mark of an id", m.name, m.value)
		}
	}
	switch c.State {
	case Waiting, Blank, Electing, Founding, Worker, Manager:
	default:
		return fmt.Errorf("state %.20q is none of waiting, blank, electing, founding, worker, manager", c.State)
	}
	if err := c.Membership().Validate(); err != nil {
		return err
	}
	if !idForm.MatchString(c.Manages) {
		return fmt.Errorf("manages %.80q is not a swarm id", c.Manages)
	}
	if err := cmp.Or(c.Contents.validate(), checkOthers(c.Peers)); err != nil {
		return err
	}
	if c.Ready < 0 || c.Ready > c.Nodes {
		return fmt.Errorf("%d of %d nodes cannot be ready", c.Ready, c.Nodes)
	}
	for _, code := range []string{c.Trouble.Code, c.Waits.Code} {
		if !codeForm.MatchString(code) {
			return fmt.Errorf("%.80q is not the code of a sentence", code)
		}
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"model", c.Model, textMax}, {"hostname", c.Hostname, textMax},
		{"trouble", c.Trouble.En, TroubleMax}, {"trouble_es", c.Trouble.Es, TroubleMax},
		{"waits", c.Waits.En, TroubleMax}, {"waits_es", c.Waits.Es, TroubleMax},
	} {
		if err := checkText(f.value, f.most); err != nil {
			return fmt.Errorf("%s %w", f.name, err)
		}
	}
	return nil
}
